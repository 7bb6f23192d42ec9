"""Scene graphs of any names and spans, for property tests."""

from hypothesis import strategies as st

from kgclip_jax.knowledge.scene_graph import Attribute, Relation, SceneGraph, SceneObject, Span

names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))

spans = st.none() | st.tuples(st.integers(0, 99), st.integers(0, 99)).map(
    lambda ends: Span(min(ends), max(ends) + 1)
)
attributes = st.builds(Attribute, names, spans)
objects = st.lists(
    st.builds(SceneObject, names, st.lists(attributes, max_size=2).map(tuple), spans),
    min_size=1,
    max_size=4,
)


@st.composite
def graphs(draw):
    things = draw(objects)
    numbers = st.integers(0, len(things) - 1)
    links = st.builds(Relation, numbers, names, numbers, spans)
    return SceneGraph(tuple(things), tuple(draw(st.lists(links, max_size=3))))
