import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgclip_jax.knowledge.caption import Caption
from kgclip_jax.knowledge.hierarchy import Hierarchy
from kgclip_jax.knowledge.negatives.negative_config import REPLACEMENTS
from kgclip_jax.knowledge.negatives.replacements import Palette
from kgclip_jax.knowledge.vocabulary import Vocabulary
from kgclip_jax.random import FastRandom, generator
from tests.knowledge.worded import captions, worded

TRAINING = [
    worded("a {small|0} {dog|#0} {riding=ride|0>1} an {old|1} {car|#1}"),
    worded("{red|0} {cats=cat|#0} {on|0>1} {hills=hill|#1}"),
    worded("an {animal|#0} {chasing=chase|0>1} a {cat|#1} {behind|1>2} an {owl|#2}"),
]
KINDS = Hierarchy({"dog": ["animal"], "cat": ["animal"], "owl": ["animal"]})


def texts(caption: Caption, kind: str, hierarchy: Hierarchy | None = None, share: float = 0.0):
    """Return all that many seeds give."""
    palette = Palette(Vocabulary(TRAINING, hierarchy), share)
    return {
        negative.text
        for seed in range(40)
        for negative in REPLACEMENTS[kind](*caption, FastRandom(generator(seed, "test")), palette)
    }


def test_objects_give_way_to_those_of_the_same_number() -> None:
    caption = worded("A {dog|#0} and {hills=hill|#1}")
    assert texts(caption, "replace_object") == {
        *("A car and hills", "An animal and hills", "A cat and hills", "An owl and hills"),
        "A dog and cats",
    }


def test_what_may_be_the_same_thing_is_no_replacement() -> None:
    caption = worded("a {dog|#0} and a {car|#1}")
    without = texts(caption, "replace_object", KINDS)
    assert without == {
        *("a cat and a car", "an owl and a car"),  # not the "animal", which a dog is
        *("a dog and a cat", "a dog and an owl"),
    }


def test_siblings_take_the_place_of_their_likes() -> None:
    caption = worded("a {dog|#0} and a {rock|#1}")
    expected = {"a cat and a rock", "an owl and a rock"}
    found = texts(caption, "replace_object", KINDS, share=1.0)
    assert {text for text in found if text.endswith("rock")} == expected
    assert {text for text in found if not text.endswith("rock")} == {
        *("a dog and a car", "a dog and a cat", "a dog and an owl")  # a rock has no siblings
    }


def test_attributes_and_relations() -> None:
    caption = worded("{Old=old|0} {rocks=rock|#0} {above|0>1} a {red|1} {dog|#1}")
    assert texts(caption, "replace_attribute") == {
        *("Small rocks above a red dog", "Red rocks above a red dog"),
        *("Old rocks above a small dog", "Old rocks above an old dog"),
    }
    assert texts(caption, "replace_relation") == {
        "Old rocks on a red dog",
        "Old rocks behind a red dog",
    }
    riding = worded("a {dog|#0} {riding=ride|0>1} a {cat|#1}")
    assert texts(riding, "replace_relation") == {"a dog chasing a cat"}


@pytest.mark.parametrize("kind", sorted(REPLACEMENTS))
def test_nothing_to_replace(kind: str) -> None:
    assert not texts(worded("nothing"), kind)
    unknown = worded("{6=6|0} {Xs=x|#0} {burned by=burn by|0>1} a {background|#1}")
    assert texts(unknown, kind) == (
        {"6 cats burned by a background", "6 hills burned by a background"}
        if kind == "replace_object"
        else set()
    )


@given(captions(), st.sampled_from(sorted(REPLACEMENTS)), st.integers(0, 99))
def test_one_name_changes(caption: Caption, kind: str, seed: int) -> None:
    palette = Palette(Vocabulary(TRAINING), 0.0)
    random = FastRandom(generator(seed, "test"))
    for text, graph, made, _ in REPLACEMENTS[kind](*caption, random, palette):
        assert made == kind
        old, new = names(caption), names(Caption(text, graph))
        changed = [pair for pair in zip(old, new, strict=True) if pair[0] != pair[1]]
        assert len(changed) == 1
        assert changed[0][0][0] != changed[0][1][0]


def names(caption: Caption) -> list[tuple[str, str]]:
    """List the names of a graph, and the words they point to."""
    text, graph = caption
    parts = [(thing.name, thing.span) for thing in graph.objects]
    parts += [(a.name, a.span) for thing in graph.objects for a in thing.attributes]
    parts += [(relation.predicate, relation.span) for relation in graph.relations]
    return [(name, text[slice(*span)].lower()) for name, span in parts]
