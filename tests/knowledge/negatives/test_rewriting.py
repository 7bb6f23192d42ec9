"""Texts of any kind: spans follow their words, and nothing else changes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgclip_jax.knowledge.caption import Caption
from kgclip_jax.knowledge.negatives.negative_config import REARRANGEMENTS
from kgclip_jax.knowledge.negatives.rewriting import CutSpanError, place, rewrite
from kgclip_jax.knowledge.scene_graph import Attribute, Relation, SceneGraph, SceneObject, Span
from kgclip_jax.random import FastRandom, generator


@pytest.mark.parametrize(
    ("text", "start", "stop", "words", "expected"),
    [
        ("a dog", 2, 5, "owl", "an owl"),
        ("An owl", 3, 6, "dog", "A dog"),
        ("AN OWL", 3, 6, "DOG", "A DOG"),
        ("see a dog", 6, 9, "owl", "see an owl"),
        ("an ox", 3, 5, "owl", "an owl"),
        ("panda dog", 6, 9, "owl", "panda owl"),  # the "a" of "panda" is no article
        ("Aan dog", 4, 7, "owl", "Aan owl"),
        ("i-a dog", 4, 7, "owl", "i-a owl"),
        ("a-dog", 2, 5, "owl", "a-owl"),
        ("a big dog", 6, 9, "owl", "a big owl"),
        ("Dog runs", 0, 3, "an owl", "An owl runs"),
        ("It ran. Dogs sat", 8, 12, "owls", "It ran. Owls sat"),
        ("dog", 0, 3, "owl", "owl"),
    ],
)
def test_articles_and_capitals(text: str, start: int, stop: int, words: str, expected: str) -> None:
    new, shifts = rewrite(text, [(Span(start, stop), words)])
    assert new == expected
    there = place(Span(start, stop), shifts)
    assert new[slice(*there)].lower() == words.lower()


SHIFTS = [(2, 4, 3), (6, 9, -2)]


@pytest.mark.parametrize(
    ("span", "expected"),
    [
        ((0, 2), (0, 2)),
        ((2, 4), (2, 7)),
        ((4, 6), (7, 9)),
        ((6, 9), (9, 10)),
        ((0, 12), (0, 13)),
        ((9, 12), (10, 13)),
        ((1, 3), None),
        ((3, 4), None),
        ((5, 7), None),
        ((8, 11), None),
    ],
)
def test_places(span: tuple[int, int], expected: tuple[int, int] | None) -> None:
    if expected is None:
        with pytest.raises(CutSpanError):
            place(Span(*span), SHIFTS)
    else:
        assert place(Span(*span), SHIFTS) == expected


@st.composite
def any_captions(draw: st.DrawFn) -> Caption:
    """Draw any text, and a graph that points to any words of it without overlap, or to none."""
    text = draw(st.text(min_size=1, max_size=60))
    cuts = sorted(draw(st.sets(st.integers(0, len(text)), max_size=16)))
    spans = [Span(*pair) for pair in zip(cuts[::2], cuts[1::2], strict=False)]
    spans = draw(st.permutations(spans))
    if draw(st.booleans()):
        spans.append(None)
    objects, relations = [], []
    names = st.text("abX ", max_size=3)
    while spans:
        attributes = [Attribute(draw(names), spans.pop()) for _ in range(min(2, len(spans) - 1))]
        objects.append(SceneObject(draw(names), tuple(attributes), spans.pop()))
    numbers = st.integers(0, len(objects) - 1)
    if objects:
        relations = [Relation(draw(numbers), draw(names), draw(numbers)) for _ in range(3)]
    return Caption(text, SceneGraph(tuple(objects), tuple(relations)))


@given(any_captions(), st.sampled_from(sorted(REARRANGEMENTS)), st.integers(0, 9))
def test_any_text(caption: Caption, kind: str, seed: int) -> None:
    text, graph = caption
    old = words(caption)
    for negative in REARRANGEMENTS[kind](text, graph, FastRandom(generator(seed, "test"))):
        if negative.graph is not None:
            new = words(Caption(negative.text, negative.graph))
            assert sorted(map(str.lower, new)) == sorted(map(str.lower, old))


def words(caption: Caption) -> list[str]:
    spans = [thing.span for thing in caption.graph.objects]
    spans += [a.span for thing in caption.graph.objects for a in thing.attributes]
    return [caption.text[slice(*span)] for span in spans if span]
