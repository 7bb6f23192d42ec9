"""Items about one property: each caption fits one scene, and captions alone tell nothing."""

import colorsys
import re
from collections import Counter
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from kgclip_jax.data.emoji import EmojiScenes, EmojiWorld
from kgclip_jax.data.emoji.attribute_items import draw_item, families
from kgclip_jax.data.emoji.caption_words import CONVERSE, FAMILIES
from kgclip_jax.data.emoji.render import Painter
from kgclip_jax.data.emoji.scenes import draw_scene, scene_graph
from kgclip_jax.data.emoji.world import splits
from kgclip_jax.errors import ConfigError
from kgclip_jax.knowledge.caption import words_of
from kgclip_jax.knowledge.scene_graph import entails
from kgclip_jax.random import FastRandom, generator

WORLD = EmojiWorld(
    concepts=40,
    unseen_concepts=10,
    unseen_pair_share=0.15,
    max_objects=2,
)
PARTS = splits(WORLD)
POSITIVE, NEGATIVE = ("colour", "size", "position"), ("negation", "absence")
TOLD = {"colour": FAMILIES["colour"], "size": FAMILIES["size"], "position": tuple(CONVERSE)[:4]}
COLOURS = "|".join(FAMILIES["colour"])
NAMES = "|".join(concept.name for concept in PARTS.concepts)
CONCEPTS = {"seen": PARTS.seen, "unseen": PARTS.unseen}


def told_by(caption):
    """The one attribute or relation in a graph."""
    objects, relations = caption.graph
    (told,) = [*[r.predicate for r in relations], *[a.name for o in objects for a in o.attributes]]
    return told


@cache
def items(name, concepts="seen", count=100):
    dice = [FastRandom(generator(0, "test", index)) for index in range(count)]
    return [draw_item(name, families(PARTS)[name], PARTS, d, CONCEPTS[concepts]) for d in dice]


def names_in(scene):
    return {PARTS.concepts[thing.look.concept].name for thing in scene.things}


def fits(caption, scene):
    """Whether what a caption names is there, as its graph says, and what it denies is not."""
    text = words_of(caption)
    denied = re.findall(rf"\b(?:not|without) an? ({NAMES})\b", text)
    named = set(re.findall(rf"\b({NAMES})\b", text)) - {*denied}
    assert {thing.name for thing in caption.graph.objects} == named
    return not names_in(scene) & {*denied} and entails(scene_graph(PARTS, scene), caption.graph)


@pytest.mark.parametrize("concepts", ["seen", "unseen"])
@pytest.mark.parametrize("name", [*POSITIVE, *NEGATIVE])
def test_each_caption_fits_its_own_scene_only(name, concepts):
    for item in items(name, concepts, count=30):
        found = [[fits(caption, scene) for _, caption in item] for scene, _ in item]
        assert np.array_equal(found, np.eye(len(item), dtype=bool))
        for scene, _ in item:
            assert {t.look.concept for t in scene.things} <= {*CONCEPTS[concepts]}


@pytest.mark.parametrize("name", POSITIVE)
def test_what_is_told_is_all_that_training_may_show(name):
    counts = Counter()
    for item in items(name):
        told = [told_by(caption) for _, caption in item]
        assert len(told) == len({*told}) == len(item) > 1
        counts.update(told)
        for scene, _ in item:
            graph = scene_graph(PARTS, scene)
            has = {(a.name, thing.name) for thing in graph.objects for a in thing.attributes}
            assert not has & {(v, PARTS.concepts[c].name) for v, c in PARTS.unseen_attributes}
            subjects = {(r.predicate, graph.objects[r.subject].name) for r in graph.relations}
            assert not subjects & {(p, PARTS.concepts[c].name) for p, c in PARTS.unseen_relations}
    assert {*counts} == {*TOLD[name]}
    assert all(len(item) == len(TOLD[name]) for item in items(name, "unseen"))


def test_answers_come_in_any_order():
    """Or the first picture of another item, which blind rows show, would be like an item's own."""
    for name in POSITIVE:
        first = Counter(told_by(item[0][1]) for item in items(name, "unseen"))
        assert min(first[value] for value in TOLD[name]) > 100 / len(TOLD[name]) / 3
    for name in NEGATIVE:
        first = Counter(item[0][0].things[0].look.concept for item in items(name, "unseen"))
        assert min(first[concept] for concept in PARTS.unseen) > 1
    absent = [not item[0][1].graph.objects for item in items("absence")]
    assert 30 < sum(absent) < 70


def shape(text):
    """A sentence without its things and their values."""
    for word, values in {"thing": NAMES, "coloured": COLOURS, "a": "an"}.items():
        text = re.sub(rf"\b({values})\b", word, text)
    return text


@pytest.mark.parametrize("name", POSITIVE)
def test_captions_are_such_as_training_has_and_negations_are_not(name):
    varied = () if name == "position" else (name,)
    told = replace(WORLD, families=varied, distractor_probability=0.0, relation_probability=1.0)
    source = EmojiScenes(told, 32)
    captions = [source.caption(i % 200, generator(0, "caption", i)).text for i in range(4000)]
    known = {shape(text) for text in captions}
    assert {shape(words_of(caption)) for item in items(name) for _, caption in item} <= known
    assert not any({"not", "no", "without", "but"} & {*text.split()} for text in captions)


def test_half_of_the_negations_begin_with_what_is_absent():
    texts = [words_of(caption) for item in items("negation") for _, caption in item]
    assert 60 < sum(" but " in text for text in texts) < 140
    for item in items("negation"):
        words = [sorted(set(words_of(caption).split()) - {"a", "an"}) for _, caption in item]
        assert words[0] == words[1]


def mask(painter, scene):
    """Which pixels a scene's things cover, by painting it before two backgrounds."""
    white, beige = (painter.paint(scene._replace(background=b)) for b in ("white", "beige"))
    return np.abs(white.astype(int) - beige)[..., 2] < 20


def test_the_colour_told_is_the_colour_painted():
    painter = Painter(PARTS, 64)
    hues = {"red": 0, "yellow": 52, "green": 110, "blue": 220, "purple": 280}
    for item in items("colour", count=40):
        for scene, caption in item:
            covered = mask(painter, scene)
            pixels = painter.paint(scene._replace(background="white"))[covered]
            hue, _, saturation = colorsys.rgb_to_hls(*pixels.mean(axis=0) / 255)
            told = told_by(caption)
            assert (saturation < 0.05) == (told == "grey")
            if told != "grey":
                assert abs((360 * hue - hues[told] + 180) % 360 - 180) < 25


def test_the_size_told_is_the_size_painted():
    painter = Painter(PARTS, 64)
    for item in items("size", count=40):
        sides = {}
        for scene, caption in item:
            covered = np.argwhere(mask(painter, scene))
            sides[told_by(caption)] = np.ptp(covered, axis=0).max() + 1
        assert sides["small"] < 0.75 * sides["large"]
        assert sides["large"] < 64 / 2


def test_the_side_told_is_the_side_painted():
    painter = Painter(PARTS, 64)
    for item in items("position", count=40):
        for scene, caption in item:
            ((subject, predicate, other, _),) = caption.graph.relations
            places = {}
            for thing in scene.things:
                covered = np.argwhere(mask(painter, scene._replace(things=(thing,))))
                places[PARTS.concepts[thing.look.concept].name] = covered.mean(axis=0)
            names = [caption.graph.objects[number].name for number in (subject, other)]
            down, right = places[names[1]] - places[names[0]]
            offset = {"left of": right, "right of": -right, "above": down, "below": -down}
            assert offset[predicate] == max(offset.values()) > 64 / 4


def test_a_world_without_attributes_has_no_such_questions():
    assert [*families(splits(EmojiWorld(families=("orientation",))))] == [
        "position",
        "negation",
        "absence",
    ]


def test_a_world_that_leaves_nothing_to_ask_says_so():
    lonely = PARTS._replace(
        unseen_relations=frozenset((name, c) for name in CONVERSE for c in PARTS.seen)
    )
    dice = FastRandom(generator(0, "test"))
    with pytest.raises(ConfigError, match=r"nothing to ask about position .*raise concepts"):
        draw_item("position", families(lonely)["position"], lonely, dice, PARTS.seen)


def test_scenes_are_not_those_of_training():
    training = {
        draw_scene(PARTS, FastRandom(generator(WORLD.seed, "emoji training scene", index)))
        for index in range(2000)
    }
    assert not training & {s for name in families(PARTS) for item in items(name) for s, _ in item}
