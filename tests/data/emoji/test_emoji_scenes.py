"""Scenes: what training shows, and relations that the eye can see."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgclip_jax.data.emoji.caption_words import CONVERSE, FAMILIES
from kgclip_jax.data.emoji.layouts import EXTENTS, place
from kgclip_jax.data.emoji.render import Painter
from kgclip_jax.data.emoji.scenes import Scene, Thing, draw_scene, relations_of, scene_graph
from kgclip_jax.data.emoji.world import EmojiWorld, splits
from kgclip_jax.errors import ConfigError
from kgclip_jax.random import FastRandom, generator

WORLD = EmojiWorld(concepts=60, max_objects=4, unseen_pair_share=0.15)


def random(index: int) -> FastRandom:
    return FastRandom(generator(0, "test", index))


def scenes(world: EmojiWorld, count: int) -> list[Scene]:
    return [draw_scene(splits(world), random(index)) for index in range(count)]


def test_training_never_shows_what_is_held_out() -> None:
    parts = splits(WORLD)
    for scene in scenes(WORLD, 1500):
        graph = scene_graph(parts, scene)
        names = [thing.name for thing in graph.objects]
        assert len(set(names)) == len(names)
        unseen_names = {parts.concepts[c].name for c in parts.unseen}
        assert not unseen_names & set(names)
        attributes = {(a.name, thing.name) for thing in graph.objects for a in thing.attributes}
        assert not attributes & {(v, parts.concepts[c].name) for v, c in parts.unseen_attributes}
        relations = {(r.predicate, names[r.subject]) for r in graph.relations}
        assert not relations & {(p, parts.concepts[c].name) for p, c in parts.unseen_relations}


def test_training_shows_all_the_rest() -> None:
    world = EmojiWorld(concepts=20, max_objects=4, unseen_pair_share=0.15)
    parts = splits(world)
    pairs = set()
    numbers: Counter[int] = Counter()
    for scene in scenes(world, 2400):
        numbers[len(scene.things)] += 1
        pairs |= {
            (value, thing.look.concept)
            for thing in scene.things
            for value in (thing.look.size, thing.look.orientation, thing.look.colour)
        }
    values = FAMILIES["size"] + FAMILIES["colour"]
    every = {(value, concept) for value in values for concept in parts.seen}
    every |= {("upside-down", c) for c in parts.seen if parts.concepts[c].turns}
    missing = every - parts.unseen_attributes - pairs
    assert not missing
    assert sorted(numbers) == [1, 2, 3, 4]
    assert all(500 < count < 700 for count in numbers.values())


@given(
    sizes=st.lists(st.sampled_from(sorted(EXTENTS)), min_size=1, max_size=4),
    overlapping=st.booleans(),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=100)
def test_boxes_stay_inside_and_overlap_only_in_pairs(
    sizes: list[str], overlapping: bool, seed: int
) -> None:
    extents = [EXTENTS[size] for size in sizes]
    centres = place(extents, overlapping, random(seed))
    for (x, y), extent in zip(centres, extents, strict=True):
        assert extent / 2 - 1e-9 <= x <= 1 - extent / 2 + 1e-9
        assert extent / 2 - 1e-9 <= y <= 1 - extent / 2 + 1e-9
    for b in range(len(extents)):
        for a in range(b):
            reach = (extents[a] + extents[b]) / 2
            apart = max(abs(centres[a][axis] - centres[b][axis]) for axis in (0, 1))
            pair = overlapping and (a, b) in ((0, 1), (2, 3))
            assert (apart < reach - 1e-9) == pair


@given(
    first=st.sampled_from(sorted(EXTENTS)),
    second=st.sampled_from(sorted(EXTENTS)),
    overlapping=st.booleans(),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=100)
def test_two_boxes_can_change_places(first: str, second: str, overlapping: bool, seed: int) -> None:
    extents = [EXTENTS[first], EXTENTS[second]]
    centres = place(extents, overlapping, random(seed))
    for point in centres:
        assert all(max(extents) / 2 - 1e-9 <= c <= 1 - max(extents) / 2 + 1e-9 for c in point)


def test_places_do_not_depend_on_who_is_painted_first() -> None:
    """Scenes list broad things first; that must not put them on one side."""
    for count in (2, 3):
        counts: Counter[str] = Counter()
        for index in range(600):
            scene = draw_scene(splits(WORLD), random(index), count)
            counts.update(name for a, name, b in relations_of(scene) if (a, b) == (0, count - 1))
        for name in ("left of", "above"):
            share = counts[name] / (counts[name] + counts[CONVERSE[name]])
            assert abs(share - 0.5) < 0.12  # five standard deviations of 400 tosses


def test_every_relation_has_its_converse_and_every_two_things_a_relation() -> None:
    for scene in scenes(WORLD, 500):
        found = set(relations_of(scene))
        assert {(b, CONVERSE[name], a) for a, name, b in found} == found
        count = len(scene.things)
        assert {(a, b) for a, _, b in found} == {
            (a, b) for a in range(count) for b in range(count) if a != b
        }


def opacity(painter: Painter, thing: Thing) -> np.ndarray:
    """Return the share of blue that a thing takes from the background, for each pixel."""
    blues = [
        painter.paint(Scene((thing,), background))[..., 2].astype(float)
        for background in ("white", "beige")
    ]
    return 1 - (blues[0] - blues[1]) / (255 - 180)


def test_relations_can_be_seen_in_the_picture() -> None:
    """Compare with the centres of gravity of the painted pixels, and with who hides whom."""
    painter = Painter(splits(WORLD), 64)
    hidden = []
    for scene in scenes(WORLD, 400):
        opacities = [opacity(painter, thing) for thing in scene.things]
        middles = [np.argwhere(o > 0.5).mean(axis=0) for o in opacities]  # (row, column)
        together = painter.paint(scene)
        for a, name, b in relations_of(scene):
            rows, columns = middles[b] - middles[a]
            offset = {"left of": columns, "right of": -columns, "above": rows, "below": -rows}
            assert offset.get(name, 64) > 1
            if name == "in front of":
                both = (opacities[a] > 0.5) & (opacities[b] > 0.5)
                hidden.append(both.sum() / (opacities[b] > 0.5).sum())
                alone = painter.paint(scene._replace(things=(scene.things[a],)))
                solid = opacities[a] == 1
                assert np.abs(together[solid].astype(int) - alone[solid]).max(initial=0) <= 6
    assert len(hidden) > 50
    assert np.mean(np.array(hidden) > 0.05) > 0.95
    assert np.mean(np.array(hidden) < 0.75) > 0.95


def test_unused_families_do_not_vary() -> None:
    world = EmojiWorld(families=())
    for scene in scenes(world, 200):
        assert scene.background == "white"
        for look, _ in scene.things:
            assert (look.size, look.orientation, look.colour) == ("medium", "upright", "natural")


def test_an_impossible_world_says_so() -> None:
    parts = splits(WORLD)
    lonely = parts._replace(
        unseen_relations=frozenset((name, c) for name in CONVERSE for c in parts.seen)
    )
    with pytest.raises(ConfigError, match="lower unseen_pair_share"):
        draw_scene(lonely, random(0), count=2)
