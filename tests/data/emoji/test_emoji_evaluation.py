"""Evaluation sets: well posed, unseen, and of no use to a blind scorer."""

import itertools
import math
import zlib
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest

from kgclip_jax.data.emoji import EmojiScenes, EmojiWorld, evaluation_sets
from kgclip_jax.data.emoji.scene_swaps import Swap, draw_swap, swap_rules
from kgclip_jax.data.emoji.scenes import Scene, scene_graph
from kgclip_jax.data.emoji.world import splits
from kgclip_jax.data.evaluation_sets import ChoiceSet, RetrievalSet, ZeroShotSet
from kgclip_jax.errors import ConfigError
from kgclip_jax.knowledge.caption import words_of
from kgclip_jax.knowledge.scene_graph import entails
from kgclip_jax.random import FastRandom, generator
from tests.array_pictures import all_images

WORLD = EmojiWorld(concepts=60, unseen_concepts=10, scenes=1000)
PARTS = splits(WORLD)
ITEMS = 100
KINDS = (
    "swap objects",
    "swap attributes",
    "swap relation",
    "unseen attribute-object pairs",
    "unseen relation-object pairs",
)


@pytest.fixture(scope="module")
def sets() -> dict[str, RetrievalSet | ZeroShotSet | ChoiceSet]:
    return {part.name: part for part in evaluation_sets(WORLD, 32, ITEMS)}


def swaps(kind: str, count: int = ITEMS) -> list[Swap]:
    rule = swap_rules(PARTS)[kind]
    return [draw_swap(rule, PARTS, FastRandom(generator(0, "test", i))) for i in range(count)]


def pairs(scene: Scene) -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
    """Return all (attribute, thing) and all (relation, subject) pairs of a scene."""
    graph = scene_graph(PARTS, scene)
    names = [thing.name for thing in graph.objects]
    attributes = {(a.name, thing.name) for thing in graph.objects for a in thing.attributes}
    return attributes, {(r.predicate, names[r.subject]) for r in graph.relations}


UNSEEN_ATTRIBUTES = {(value, PARTS.concepts[c].name) for value, c in PARTS.unseen_attributes}
UNSEEN_RELATIONS = {(name, PARTS.concepts[c].name) for name, c in PARTS.unseen_relations}


def test_all_sets_are_there_and_repeatable(
    sets: dict[str, RetrievalSet | ZeroShotSet | ChoiceSet],
) -> None:
    assert list(sets) == ["unseen scenes", "seen concepts", "unseen concepts", *KINDS]
    fewer = {part.name: part for part in evaluation_sets(WORLD, 32, 20)}
    for name, part in sets.items():
        images = all_images(part.pictures)
        assert len(images) == ITEMS * (2 if name in KINDS else 1)
        first = all_images(fewer[name].pictures)
        assert np.array_equal(first, images[: len(first)])
    assert fewer["swap relation"].texts == sets["swap relation"].texts[:40]


@pytest.mark.parametrize("kind", KINDS)
def test_each_caption_fits_its_own_picture_only(kind: str) -> None:
    for scenes, captions in swaps(kind):
        graphs = [scene_graph(PARTS, scene) for scene in scenes]
        fits = [[entails(graph, caption.graph) for caption in captions] for graph in graphs]
        assert fits == [[True, False], [False, True]]


@pytest.mark.parametrize("kind", KINDS)
def test_captions_have_the_same_words_and_scenes_the_same_parts(kind: str) -> None:
    for scenes, captions in swaps(kind):
        words = [sorted(w for w in c.text.split() if w not in ("a", "an")) for c in captions]
        assert words[0] == words[1]
        assert captions[0].text != captions[1].text
        assert len(captions[0].text.split()) <= WORLD.max_words
        one, other = scenes
        assert one.background == other.background
        assert [thing.centre for thing in one.things] == [thing.centre for thing in other.things]
        for field in ("size", "orientation", "colour"):
            values = [sorted(getattr(t.look, field) for t in s.things) for s in scenes]
            assert values[0] == values[1]
        drawings = [sorted((t.look.concept, t.look.artist) for t in s.things) for s in scenes]
        assert drawings[0] == drawings[1]


def test_kinds_swap_what_they_say() -> None:
    """Which of (thing's name, attributes) stays in its place."""
    for kind, name_stays, attributes_stay in (
        ("swap objects", False, True),
        ("swap attributes", True, False),
        ("swap relation", False, False),
    ):
        for scenes, _ in swaps(kind):
            for one, other in zip(scenes[0].things, scenes[1].things, strict=True):
                assert (one.look.concept == other.look.concept) == name_stays
                if kind != "swap relation":
                    assert (one.look[2:] == other.look[2:]) == attributes_stay
            if kind == "swap relation":  # the things keep what they are
                assert {t.look for t in scenes[0].things} == {t.look for t in scenes[1].things}


@pytest.mark.parametrize("kind", KINDS[:3])
def test_swaps_in_unseen_scenes_have_seen_parts(kind: str) -> None:
    for scenes, _ in swaps(kind):
        for scene in scenes:
            attributes, relations = pairs(scene)
            assert not attributes & UNSEEN_ATTRIBUTES
            assert not relations & UNSEEN_RELATIONS


def test_unseen_pairs_are_in_both_pictures_and_both_captions() -> None:
    for scenes, captions in swaps("unseen attribute-object pairs"):
        for scene, caption in zip(scenes, captions, strict=True):
            assert len(pairs(scene)[0] & UNSEEN_ATTRIBUTES) == 1
            told = {
                (a.name, thing.name) for thing in caption.graph.objects for a in thing.attributes
            }
            assert len(told & UNSEEN_ATTRIBUTES) == 1
    converse_told = 0
    for scenes, captions in swaps("unseen relation-object pairs"):
        for scene, caption in zip(scenes, captions, strict=True):
            attributes, relations = pairs(scene)
            assert not attributes & UNSEEN_ATTRIBUTES
            assert relations & UNSEEN_RELATIONS
            relation = caption.graph.relations[0]
            name = caption.graph.objects[relation.subject].name
            converse_told += (relation.predicate, name) not in UNSEEN_RELATIONS
    assert ITEMS / 2 < converse_told < 3 * ITEMS / 2


def bigram_scorer() -> Callable[[str], float]:
    """Return the log-likelihood of texts under word pairs counted in training captions."""
    source = EmojiScenes(WORLD, 32)
    singles: Counter[str] = Counter()
    doubles: Counter[tuple[str, str]] = Counter()
    for index in range(len(source)):
        words = ["<", *source.caption(index, generator(0, "caption", index)).text.split(), ">"]
        singles.update(words)
        doubles.update(itertools.pairwise(words))

    def score(text: str) -> float:
        words = ["<", *text.split(), ">"]
        return sum(
            math.log((doubles[a, b] + 0.1) / (singles[a] + 0.1 * len(singles)))
            for a, b in itertools.pairwise(words)
        )

    return score


BLIND: dict[str, Callable[[str], float]] = {
    "hash": lambda text: zlib.crc32(text.encode()),
    "length": len,
    "bigrams": bigram_scorer(),
}


def choices(part: ChoiceSet, score: Callable[[str], float]) -> np.ndarray:
    """Return, for each item, how much of caption 0 a scorer prefers: 1, 0, or a half if equal."""
    scores = np.array([score(words_of(text)) for text in part.texts]).reshape(-1, 2)
    return (np.sign(scores[:, 0] - scores[:, 1]) + 1) / 2


@pytest.mark.parametrize("kind", KINDS)
def test_blind_scorers_are_right_half_of_the_time(kind: str, sets: dict[str, ChoiceSet]) -> None:
    for scorer in BLIND.values():
        first = choices(sets[kind], scorer)
        right = np.stack([first, 1 - first])  # picture 0 wants caption 0, picture 1 caption 1
        assert right.mean() == 0.5
        # Nor does the order within an item tell anything: 5 standard deviations.
        assert abs(first.mean() - 0.5) < 5 * 0.5 / math.sqrt(ITEMS)


def test_retrieval_captions_fit_one_picture_alone(sets: dict[str, RetrievalSet]) -> None:
    part = sets["unseen scenes"]
    assert part.owners.tolist() == list(range(ITEMS))
    assert len({words_of(caption) for caption in part.captions}) == ITEMS
    assert len({image.tobytes() for image in all_images(part.pictures)}) == ITEMS


def test_retrieval_pictures_are_not_training_pictures(sets: dict[str, RetrievalSet]) -> None:
    source = EmojiScenes(WORLD, 32)
    training = {source.image(i, generator(0, "x")).tobytes() for i in range(len(source))}
    images = all_images(sets["unseen scenes"].pictures)
    assert not training & {image.tobytes() for image in images}


def test_zero_shot_classes_are_the_concepts(sets: dict[str, ZeroShotSet]) -> None:
    for name, concepts in (("seen concepts", PARTS.seen), ("unseen concepts", PARTS.unseen)):
        part = sets[name]
        names = [PARTS.concepts[c].name for c in concepts]
        assert [text.split(" ", 1)[1] for text in part.class_names] == names
        assert all(text.split(" ")[0] in ("a", "an") for text in part.class_names)
        counts = np.bincount(part.labels, minlength=len(names))
        assert counts.max() - counts.min() <= 1
        assert "{}" in part.templates[0]
        assert not set(part.class_names) & set(
            sets["seen concepts" if name == "unseen concepts" else "unseen concepts"].class_names
        )


def test_a_small_world_has_fewer_sets() -> None:
    world = EmojiWorld(concepts=10, unseen_concepts=0, families=(), unseen_pair_share=0.0)
    assert [s.name for s in evaluation_sets(world, 32, 4)] == [
        "unseen scenes",
        "seen concepts",
        "swap relation",
    ]


def test_too_many_items_for_a_tiny_world_say_so() -> None:
    world = EmojiWorld(concepts=8, unseen_concepts=0, families=(), max_objects=1)
    with pytest.raises(ConfigError, match="raise concepts"):
        evaluation_sets(world, 32, 2000)
