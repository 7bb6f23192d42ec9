"""What changes places, and what must not."""

import itertools
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgclip_jax.knowledge.caption import Caption
from kgclip_jax.knowledge.english import article
from kgclip_jax.knowledge.negatives.negative import Negative
from kgclip_jax.knowledge.negatives.negative_config import REARRANGEMENTS
from kgclip_jax.knowledge.scene_graph import Attribute, SceneGraph, SceneObject
from kgclip_jax.random import FastRandom, generator
from tests.knowledge.worded import NOUNS, PREDICATES, captions, worded

SWAPS = ("swap_objects", "swap_attributes", "swap_relation", "structure_clip")
LEMMAS = {plural: noun for noun, plural in NOUNS.items()}
LEMMAS |= {between: name for name, between in PREDICATES.items()}


def swapped(caption: Caption, kind: str, seed: int = 0) -> list[Negative]:
    assert caption.graph is not None
    return list(REARRANGEMENTS[kind](*caption, FastRandom(generator(seed, "test"))))


def texts(marked: str, kind: str) -> set[str]:
    return {negative.text for negative in swapped(worded(marked), kind)}


@pytest.mark.parametrize(
    ("kind", "marked", "expected"),
    [
        # Articles and capitals are repaired; TV keeps its own.
        ("swap_objects", "An {owl|#0} {near|0>1} a {dog|#1}", {"A dog near an owl"}),
        ("swap_objects", "{Man=man|#0} on a {TV|#1}.", {"TV on a man."}),
        ("swap_objects", 'A cat. "{Fog=fog|#0}" is {owl|#1}', {'A cat. "Owl" is fog'}),
        # Whole spans, not strings: "man" stays in "woman".
        ("swap_objects", "a {man|#0} and a {woman|#1}, man", {"a woman and a man, man"}),
        # Attributes stay in their places with swap_objects, and move with swap_relation.
        ("swap_objects", "a {red|0} {dog|#0} {by|0>1} an {owl|#1}", {"a red owl by a dog"}),
        ("swap_relation", "a {red|0} {dog|#0} {by|0>1} an {owl|#1}", {"an owl by a red dog"}),
        (
            "swap_relation",  # what follows the noun comes along
            "a {dog|#0} that is {old|0} {above|0>1} an {orange|1} {cat|#1} and a {cup|#2}",
            {"an orange cat above a dog that is old and a cup"},
        ),
        # Articles and the like go where their noun goes, if all of it does.
        ("swap_relation", "The {man|#0} {in|0>1} {grass|#1}", {"Grass in the man"}),
        ("swap_relation", "A {man|#0} {by|0>1} her {big|1} {cat|#1}", {"Her big cat by a man"}),
        # Only singular with singular, and nothing with the background.
        ("swap_objects", "a {man|#0} {rides=ride|0>1} {horses=horse|#1}", set()),
        ("swap_objects", "{Men=man|#0} {ride|0>1} {horses=horse|#1}", {"Horses ride men"}),
        ("swap_objects", "a {man|#0} {near|0>1} {people|#1}", set()),
        ("swap_objects", "a {dog|#0} on a {red|1} {background|#1}", set()),
        ("swap_relation", "a {red|0} {dog|#0} {on|0>1} a {background|#1}", set()),
        # Equal names have nothing to exchange.
        ("swap_objects", "a {dog|#0} and a {dog|#1}", set()),
        # Never within one object, never equal ones, never twice the same on one object.
        ("swap_attributes", "a {black|0} and {white|0} {cow|#0} in {hay|#1}", set()),
        ("swap_attributes", "a {red|0} {cup|#0} and a {red|1} {hat|#1}", set()),
        (
            "swap_attributes",
            "a {small|0} {red|0} {cup|#0} and a {red|1} {hat|#1}",
            set(),
        ),
        (
            "swap_attributes",
            "a {black|0} and {white|0} {cow|#0} in {old|1} {hay|#1}",
            {"an old and white cow in black hay", "a black and old cow in white hay"},
        ),
        # Attributes of one shape only.
        ("swap_attributes", "{two|0} {dogs=dog|#0} near a {black|1} {cat|#1}", set()),
        ("swap_attributes", "a {red|0} {dog|#0} and a {cat|#1}, {sleeping|1}", set()),
        (
            "swap_attributes",
            "{running|0} {dogs=dog|#0} and {sleeping|1} {cats=cat|#1}",
            {"sleeping dogs and running cats"},
        ),
        # A shared attribute changes for both, and is exchanged with neither's own.
        (
            "swap_attributes",
            "{red|0,1} {cups=cup|#0} and {hats=hat|#1} by an {old|2} {car|#2}",
            {"old cups and hats by a red car"},
        ),
        ("swap_attributes", "{big|0} {red|0,1} {cups=cup|#0} and {hats=hat|#1}", set()),
        # Structure-CLIP: attributes first, then nouns that a relation ties together.
        (
            "structure_clip",
            "a {big|0} {dog|#0} {by|0>1} a {red|1} {car|#1} and a {cat|#2}",
            {"a red dog by a big car and a cat", "a big car by a red dog and a cat"},
        ),
        ("structure_clip", "a {big|0} {dog|#0} and a {cat|#1}", set()),
    ],
)
def test_swaps(kind: str, marked: str, expected: set[str]) -> None:
    assert texts(marked, kind) == expected


def test_structure_clip_prefers_attributes() -> None:
    caption = worded("a {big|0} {dog|#0} {by|0>1} a {red|1} {car|#1}")
    for seed in range(20):
        assert [n.kind for n in swapped(caption, "structure_clip", seed)] == [
            "swap_attributes",
            "swap_objects",
        ]


def test_words_that_other_words_are_part_of_stay() -> None:
    """The "fire" of a "fire truck" cannot go where its truck does not."""
    caption = worded("a {fire truck|#0} and a {dog|#1}")
    first, *rest = caption.graph.objects
    inner = Attribute("fire", first.span._replace(stop=first.span.start + 4))
    graph = SceneGraph((first._replace(attributes=(inner,)), *rest))
    assert not swapped(Caption(caption.text, graph), "swap_objects")


def test_parts_without_words_stay() -> None:
    """Graphs may know more than a caption says."""
    caption = worded("a {red|0} {dog|#0} {by|0>1} an {old|1} {car|#1}")
    thing, other = caption.graph.objects
    silent = SceneObject("cat", (Attribute("grey"),))
    more = thing._replace(attributes=(*thing.attributes, Attribute("big")))
    graph = SceneGraph((more, other, silent), caption.graph.relations)
    for kind, text in [
        ("swap_objects", "a red car by an old dog"),
        ("swap_attributes", "an old dog by a red car"),
        ("swap_relation", "an old car by a red dog"),
    ]:
        (negative,) = swapped(Caption(caption.text, graph), kind)
        assert negative.text == text
        assert negative.graph.objects[2] == silent
        assert sum("big" in dict(thing.attributes) for thing in negative.graph.objects) == 1


@given(captions(), st.sampled_from(SWAPS), st.integers(0, 99))
def test_words_stay_the_same_and_the_graph_points_to_them(
    caption: Caption, kind: str, seed: int
) -> None:
    negatives = swapped(caption, kind, seed)
    assert negatives == swapped(caption, kind, seed)
    for text, graph, made, reason in negatives:
        assert made in SWAPS
        assert not reason
        assert content(text) == content(caption.text)
        assert text.lower() != caption.text.lower() or made == "swap_relation"
        assert text[0].isupper() == caption.text[0].isupper()
        words = text.split()
        for word, following in itertools.pairwise(words):
            assert word.lower() not in ("a", "an") or word.lower() == article(following)
        for name, span in mentions(graph):
            said = text[slice(*span)].lower()
            assert LEMMAS.get(said, said) == name
        assert [r[:3] for r in graph.relations] == [r[:3] for r in caption.graph.relations]


@given(captions(), st.integers(0, 99))
def test_exactly_two_objects_change(caption: Caption, seed: int) -> None:
    for negative in swapped(caption, "swap_objects", seed):
        pairs = list(zip(caption.graph.objects, negative.graph.objects, strict=True))
        changed = [(old.name, new.name) for old, new in pairs if old.name != new.name]
        assert len(changed) == 2
        assert changed[0] == changed[1][::-1]
        for old, new in pairs:
            assert [a.name for a in old.attributes] == [a.name for a in new.attributes]
    for negative in swapped(caption, "swap_attributes", seed):
        pairs = list(zip(caption.graph.objects, negative.graph.objects, strict=True))
        assert all(old.name == new.name for old, new in pairs)
        gone = [set(bare(old)[1]) - set(bare(new)[1]) for old, new in pairs]
        come = [set(bare(new)[1]) - set(bare(old)[1]) for old, new in pairs]
        assert sorted(map(len, gone)) == [0] * (len(pairs) - 2) + [1, 1]
        first, second = [n for n, lost in enumerate(gone) if lost]
        assert (gone[first], gone[second]) == (come[second], come[first])
    for negative in swapped(caption, "swap_relation", seed):
        before = [bare(thing) for thing in caption.graph.objects]
        after = [bare(thing) for thing in negative.graph.objects]
        places = [n for n in range(len(before)) if before[n] != after[n]]
        assert sorted(before) == sorted(after)
        assert len(places) in (0, 2)  # 0: both sides are called the same


def content(text: str) -> Counter[str]:
    words = text.lower().replace(",", "").replace(";", "").replace(".", "").split()
    return Counter(word for word in words if word not in ("a", "an"))


def bare(thing: SceneObject) -> tuple[str, tuple[str, ...]]:
    return thing.name, tuple(attribute.name for attribute in thing.attributes)


def mentions(graph: SceneGraph) -> list[tuple[str, tuple[int, int]]]:
    parts = [(thing.name, thing.span) for thing in graph.objects]
    parts += [(a.name, a.span) for thing in graph.objects for a in thing.attributes]
    return parts + [(relation.predicate, relation.span) for relation in graph.relations]


@pytest.mark.parametrize(
    ("kind", "marked", "expected"),
    [
        ("swap_objects", "A {man|#0} {rides=ride|0>1} {horses=horse|#1}.", "A horses rides man."),
        ("structure_clip", "a {man|#0} {by|0>1} {dogs=dog|#1}", "a dogs by man"),
        ("swap_relation", "a {man|#0} {by|0>1} {dogs=dog|#1}", "dogs by a man"),
        (
            "swap_attributes",
            "{two|0} {dogs=dog|#0} near a {black|1} {cat|#1}",
            "black dogs near a two cat",
        ),
    ],
)
def test_agreement_is_a_rule_of_ours(kind: str, marked: str, expected: str) -> None:
    caption = worded(marked)
    assert not swapped(caption, kind)
    (negative,) = REARRANGEMENTS[kind](*caption, FastRandom(generator(0, "test")), agreement=False)
    assert negative.text == expected
