"""Captions: true, short, varied, and exactly tied to their graphs."""

import itertools
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgclip_jax.data.emoji.caption_words import (
    ASIDE,
    BACKGROUNDS,
    BETWEEN,
    CONVERSE,
    LONGEST_BACKGROUND,
    LONGEST_ONE_MORE,
    LONGEST_RELATED,
    LONGEST_UNRELATED,
    ONE_MORE,
    RELATED,
    SYNONYMS,
    UNRELATED,
)
from kgclip_jax.data.emoji.captions import Habits, describe
from kgclip_jax.data.emoji.concepts import catalogue
from kgclip_jax.data.emoji.scenes import draw_scene, scene_graph
from kgclip_jax.data.emoji.world import MIN_WORDS, EmojiWorld, splits
from kgclip_jax.knowledge.caption import Caption
from kgclip_jax.knowledge.english import article
from kgclip_jax.knowledge.scene_graph import SceneGraph, entails
from kgclip_jax.random import FastRandom, generator

WORLD = EmojiWorld(concepts=200, max_objects=4)

probabilities = st.sampled_from([0.0, 0.3, 0.7, 1.0])


def caption_of(world: EmojiWorld, habits: Habits, seed: int) -> tuple[SceneGraph, Caption]:
    random = FastRandom(generator(0, "test", seed))
    scene = draw_scene(splits(world), random)
    return scene_graph(splits(world), scene), describe(splits(world), scene, habits, random)


@given(
    habits=st.builds(Habits, probabilities, probabilities, probabilities),
    max_words=st.integers(MIN_WORDS, 24),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=100)
def test_captions_are_true_short_and_spans_are_exact(
    habits: Habits, max_words: int, seed: int
) -> None:
    world = EmojiWorld(concepts=200, max_objects=4, max_words=max_words)
    scene, (text, graph) = caption_of(world, habits, seed)
    assert graph is not None
    assert entails(scene, graph)
    assert len(text.split()) <= max_words
    spans = []
    for thing in graph.objects:
        assert text[slice(*thing.span)] == thing.name
        spans.append(thing.span)
        for attribute in thing.attributes:
            words = SYNONYMS.get(attribute.name, (attribute.name,))
            assert text[slice(*attribute.span)] in words
            spans.append(attribute.span)
    for relation in graph.relations:
        forms = BETWEEN[relation.predicate] + ASIDE[relation.predicate]
        assert text[slice(*relation.span)] in forms
        spans.append(relation.span)
    spans.sort()
    assert all(a.stop < b.start for a, b in itertools.pairwise(spans))
    for span in spans:  # whole words
        assert not re.match(r"\w", text[span.stop : span.stop + 1])
        assert not re.search(r"\w$", text[: span.start])


def test_a_caption_and_its_contrary_are_not_both_true() -> None:
    habits = Habits(leave_out=0.0, attribute=1.0, relation=1.0)
    told = 0
    for seed in range(500):
        scene, (_, graph) = caption_of(WORLD, habits, seed)
        for relation in graph.relations:
            told += 1
            contrary = relation._replace(predicate=CONVERSE[relation.predicate])
            assert not entails(scene, graph._replace(relations=(contrary,)))
    assert told > 300


def test_habits_rule_how_much_is_told() -> None:
    for seed in range(200):
        scene, (_, silent) = caption_of(WORLD, Habits(1.0, 0.0, 0.0), seed)
        assert len(silent.objects) == 1
        assert not silent.objects[0].attributes
        assert not silent.relations
        things = len(scene.objects) - 1  # without the background
        wide = EmojiWorld(concepts=200, max_objects=4, max_words=100)
        _, (_, full) = caption_of(wide, Habits(0.0, 1.0, 1.0), seed)
        assert len(full.objects) == min(things, 3) + 1
        assert len(full.relations) == (things > 1)
        assert all(scene_object.attributes for scene_object in full.objects)


def test_a_scene_is_told_in_many_ways() -> None:
    parts = splits(WORLD)
    scene = draw_scene(parts, FastRandom(generator(0, "scene")), count=3)
    habits = Habits(0.3, 0.5, 0.7)
    texts = {
        describe(parts, scene, habits, FastRandom(generator(0, "caption", epoch))).text
        for epoch in range(300)
    }
    assert len(texts) > 200


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("owl", "an"),
        ("dog", "a"),
        ("unicorn", "a"),
        ("hourglass", "an"),
        ("house", "a"),
        ("umbrella", "an"),
        ("upside-down", "an"),
        ("yo-yo", "a"),
        ("ice cube", "an"),
    ],
)
def test_articles_follow_the_sound(word: str, expected: str) -> None:
    assert article(word) == expected


def test_articles_of_all_names() -> None:
    after_an = {concept.name for concept in catalogue() if article(concept.name) == "an"}
    assert {name for name in after_an if name[0] not in "aeiou"} == {"hourglass"}
    assert {c.name for c in catalogue() if c.name[0] in "aeiou"} - after_an == {"unicorn"}


def sentence_form(caption: Caption) -> str:
    """Replace noun phrases by * and relations by BETWEEN or ASIDE."""
    text, graph = caption
    cuts = []
    for thing in graph.objects:
        first = thing.attributes[0].span if thing.attributes else thing.span
        start = first.start - (3 if text[: first.start].endswith("an ") else 2)
        assert text[start : first.start] in ("a ", "an ")
        cuts.append((start, thing.span.stop, "*"))
    for relation in graph.relations:
        words = text[slice(*relation.span)]
        kind = "ASIDE" if words in ASIDE[relation.predicate] else "BETWEEN"
        cuts.append((*relation.span, kind))
    for start, stop, mark in sorted(cuts, reverse=True):
        text = text[:start] + mark + text[stop:]
    return text


def test_sentences_are_english() -> None:
    """The forms of sentences, written down by hand."""
    forms = re.compile(
        r"((there is |here is |a picture of |one can see )?\*"
        r"|(there is |a picture of )?\* and \*|\* with \*"
        r"|(there is )?\*, \* and \*|\* and \* with \*"
        r"|(there is )?\* BETWEEN \*|\* is BETWEEN \*|BETWEEN \* (there )?is \*"
        r"|(there is )?\* with \* ASIDE)"
        r"( (on|against) \*)?"
        r"(; (there is )?also \*)?"
    )
    found = set()
    for seed in range(1000):
        _, caption = caption_of(WORLD, Habits(0.3, 0.3, 0.7), seed)
        form = sentence_form(caption)
        assert forms.fullmatch(form), caption.text
        found.add(form)
    assert len(found) > 30


def test_the_longest_sentences_are_counted() -> None:
    def words(template: str, relation: str = "") -> int:
        without_things = template.replace(",", "").format(s="", o="", t="", r=relation, a=relation)
        return len(without_things.split())

    related = [
        words(template, relation)
        for template in RELATED
        for forms in (ASIDE if "{a}" in template else BETWEEN).values()
        for relation in forms
    ]
    assert max(related) == LONGEST_RELATED
    unrelated = [words(template) for templates in UNRELATED.values() for template in templates]
    assert max(unrelated) == LONGEST_UNRELATED
    assert max(words(template.replace(";", "")) for template in ONE_MORE) == LONGEST_ONE_MORE
    grounds = [template.format(b="a pink background") for template in BACKGROUNDS]
    assert max(len(ground.split()) for ground in grounds) == LONGEST_BACKGROUND
