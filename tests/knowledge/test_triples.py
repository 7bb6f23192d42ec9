import itertools

from hypothesis import given

from kgclip_jax.knowledge.caption import Caption
from kgclip_jax.knowledge.scene_graph import Attribute, Relation, SceneGraph, SceneObject, Span
from kgclip_jax.knowledge.triples import from_triples, to_triples
from tests.knowledge.worded import captions, worded


def test_words_are_found_in_the_caption() -> None:
    expected = worded(
        "Two {old|0} {men=man|#0} {riding=ride|0>1} a {fire truck|#1} {on|1>2} a {wet|2} {road|#2}."
    )
    triples = [
        ("man", "ride", "fire truck"),
        ("fire truck", "on", "road"),
        ("man", "is", "old"),
        ("road", "is", "wet"),
    ]
    text = expected.text.replace("men", "mans")  # a plural that can be told from its ending
    moved = from_triples(text, triples)
    assert [text[slice(*thing.span)] for thing in moved.objects] == ["mans", "fire truck", "road"]
    assert to_triples(moved) == to_triples(expected.graph) == triples
    assert [text[slice(*r.span)] for r in moved.relations] == ["riding", "on"]


def test_parts_of_words_are_not_words() -> None:
    graph = from_triples("a woman with a mango", [("man", "with", "man"), ("wom", "is", "an")])
    assert [thing.span for thing in graph.objects] == [None, None, None]
    assert graph.objects[2].attributes == (Attribute("an", None),)


def test_something_and_itself_are_two_things() -> None:
    graph = from_triples("man next to man", [("man", "next to", "man")])
    assert graph == SceneGraph(
        (SceneObject("man", (), Span(0, 3)), SceneObject("man", (), Span(12, 15))),
        (Relation(0, "next to", 1, Span(4, 11)),),
    )


def test_an_attribute_is_the_word_next_to_its_object() -> None:
    text = "a red cup and a red hat"
    graph = from_triples(text, [("hat", "is", "red"), ("cup", "is", "red"), ("cup", "is", "red")])
    assert [thing.attributes for thing in graph.objects] == [
        (Attribute("red", Span(16, 19)),),
        (Attribute("red", Span(2, 5)),),
    ]


def test_what_is_called_as_it_looks_is_called_by_the_second_word() -> None:
    graph = from_triples("an orange orange", [("orange", "is", "orange")])
    assert graph.objects == (
        SceneObject("orange", (Attribute("orange", Span(3, 9)),), Span(10, 16)),
    )


def test_blank_words_are_nowhere() -> None:
    assert from_triples("a  b", [("", " ", "b")]).objects[0].span is None


@given(captions())
def test_triples_survive_when_names_differ(caption: Caption) -> None:
    triples = to_triples(caption.graph)
    graph = from_triples(caption.text, triples)
    if len({thing.name for thing in caption.graph.objects}) == len(caption.graph.objects):
        assert sorted(to_triples(graph)) == sorted(triples)
    spans = [thing.span for thing in graph.objects]
    spans += [attribute.span for thing in graph.objects for attribute in thing.attributes]
    spans = sorted(span for span in spans + [r.span for r in graph.relations] if span)
    assert all(a.stop <= b.start for a, b in itertools.pairwise(spans))
