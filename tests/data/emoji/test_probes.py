"""Held-out sets that a config asks of an emoji world."""

import re
import zlib
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kgclip_jax.data.emoji import EmojiWorld, evaluation_sets
from kgclip_jax.data.emoji.caption_words import FAMILIES
from kgclip_jax.data.emoji.concepts import catalogue
from kgclip_jax.data.emoji.probes import (
    EmojiAttributes,
    EmojiConcepts,
    EmojiLinearProbe,
    EmojiNames,
    EmojiRetrieval,
    EmojiSynonyms,
)
from kgclip_jax.data.emoji.source import EmojiScenes
from kgclip_jax.data.emoji.world import splits
from kgclip_jax.data.evaluation_config import EVALUATIONS
from kgclip_jax.data.evaluation_sets import fingerprint
from kgclip_jax.data.lazy_pictures import EvaluationTransform
from kgclip_jax.errors import ConfigError, DataError
from kgclip_jax.evaluation.choice import blinded, decide
from kgclip_jax.evaluation.tasks import evaluate
from kgclip_jax.knowledge.caption import words_of
from kgclip_jax.preparation.text_sources import EmojiCaptions
from kgclip_jax.schema import parse
from tests.array_pictures import all_images
from tests.data.made_up_embeddings import clustered, random_embeddings

WORLD = EmojiWorld(concepts=20, unseen_concepts=6)
PARTS = splits(WORLD)
ATTRIBUTES = EmojiAttributes(kind="emoji_attributes", world=WORLD, items=20)
NAMES = EmojiNames(kind="emoji_names", world=WORLD, items=48)
PROBE = EmojiLinearProbe(kind="emoji_linear_probe", world=WORLD, items=30, training_items=60)
KINDS = [ATTRIBUTES, NAMES, PROBE]


def opened(settings, **changes):
    values = {**vars(settings), "world": vars(settings.world), **changes}
    found = parse(EVALUATIONS.find(settings.kind, "x"), values)
    return found.open("mine", Path("nowhere"), EvaluationTransform(32))


def concepts_of(pictures):
    """The numbers of the things in each picture, by what pictures call themselves."""
    return [[int(n) for n in re.findall(r"concept=(\d+)", name)] for name in pictures.names()]


class Reader:
    """Embeds texts by their words, and sees nothing of pictures."""

    def encode_image(self, images):
        return np.ones((len(images), 8), np.float32)

    def encode_text(self, texts):
        seeds = [zlib.crc32(words_of(text).encode()) for text in texts]
        return np.stack([np.random.default_rng(seed).normal(size=8) for seed in seeds])


@pytest.mark.parametrize("settings", KINDS, ids=lambda settings: settings.kind)
def test_sets_are_repeatable_of_the_right_concepts_and_no_more_than_asked_for(settings):
    for concepts, numbers in (("seen", PARTS.seen), ("unseen", PARTS.unseen)):
        data, again = (opened(settings, concepts=concepts) for _ in range(2))
        assert fingerprint([data]) == fingerprint([again])
        shown = concepts_of(data.pictures)
        assert {n for things in shown for n in things} <= {*numbers}
        images = all_images(data.pictures)
        assert images.shape == (len(shown), 32, 32, 3)
        assert np.array_equal(images, all_images(again.pictures))
        assert data.name == "mine"


def test_families_and_directions_have_rows_and_blind_ones():
    data = opened(ATTRIBUTES)
    rows = evaluate(Reader(), [data])
    families = ["colour", "size", "position", "negation", "absence"]
    metrics = [f"{name}, {side}" for name in families for side in ("text", "image")]
    assert [(row.metric, row.blind) for row in rows] == [
        (m, b) for m in metrics for b in (False, True)
    ]
    for row in rows:
        assert row.n >= 2 * 20
        # One right picture an item; where texts have to choose, all pictures tie.
        assert row.value == (pytest.approx(row.chance) if "text" in row.metric else 0)
    sizes = {row.metric: row.n for row in rows}
    assert sizes["size, text"] == sizes["negation, image"] == sizes["absence, text"] == 40
    assert (
        sum(len(q.right) for q in data.questions) == 2 * len(data.pictures) == 2 * len(data.texts)
    )


def test_who_sees_colours_is_right_and_blind_at_chance():
    data = opened(ATTRIBUTES, concepts="unseen", items=200)
    known = np.eye(len(FAMILIES["colour"]) + 1)
    values = [*FAMILIES["colour"], "natural"]
    painted = [values.index(re.search(r"colour='(\w+)'", n)[1]) for n in data.pictures.names()]
    words = [words_of(text).split() for text in data.texts]
    told = [next((n for n, value in enumerate(values) if value in w), 6) for w in words]
    for question in data.questions[:2]:
        assert question.metric.startswith("colour")
        assert decide(question, known[painted], known[told]).all()
        blind = decide(blinded(question), known[painted], known[told]).mean()
        assert blind == pytest.approx(question.chance, abs=0.05)


def test_an_item_does_not_depend_on_their_number():
    few, many = opened(ATTRIBUTES, items=3), opened(ATTRIBUTES)
    for short, long in zip(few.questions, many.questions, strict=True):
        asked = [
            [words_of(data.texts[text]) for text in question.right[:6, 0, 1]]
            for data, question in ((few, short), (many, long))
        ]
        assert asked[0] == asked[1]


def test_retrieval_is_the_source_s_own():
    asked = EmojiRetrieval(kind="emoji_retrieval", world=WORLD, items=12)
    own = evaluation_sets(WORLD, 32, 12)[0]
    data = opened(asked)
    assert fingerprint([data]) == fingerprint([own._replace(name="mine")])
    with pytest.raises(ConfigError, match="items"):
        opened(asked, items=1)


def write_nouns(folder, senses):
    """A WordNet of lone synsets: the words of each, the first of which leads there."""
    lines, index = "", ""
    for number, words in enumerate(senses, 1):
        joined = " ".join(f"{word.replace(' ', '_')} 0" for word in words)
        lines += f"{number:08d} 05 n {len(words):02x} {joined} 000 | a thing  \n"
        index += f"{words[0].replace(' ', '_')} n 1 0 1 0 {number:08d}  \n"
    (folder / "data.noun").write_text(lines)
    (folder / "index.noun").write_text(index)
    for part in ("verb", "adj", "adv"):
        (folder / f"data.{part}").write_text("")


def test_synonyms_have_no_word_of_a_name(tmp_path):
    names = [PARTS.concepts[number].name for number in PARTS.seen][:4]
    first, second, third, fourth = names
    write_nouns(
        tmp_path,
        [
            (first, f"true {first}", "quux"),
            (second, "quux"),
            (third, "great frobnitz"),
            (fourth,),
        ],
    )
    asked = EmojiSynonyms(kind="emoji_synonyms", world=WORLD, wordnet=str(tmp_path), items=5)
    data = opened(asked)
    assert data.class_names == ["a quux", "a great frobnitz"]
    shown = [PARTS.concepts[number].name for (number,) in concepts_of(data.pictures)]
    assert shown == [first, third, first, third, first]
    assert data.labels.tolist() == [0, 1, 0, 1, 0]
    with pytest.raises(ConfigError, match="0 of the unseen concepts have a synonym"):
        opened(asked, concepts="unseen")


@pytest.mark.parametrize("concepts", ["seen", "unseen"])
def test_names_are_all_that_there_are_and_labels_those_of_what_is_shown(concepts):
    data = opened(NAMES, concepts=concepts)
    articles, names = zip(*[text.split(" ", 1) for text in data.class_names], strict=True)
    assert {*articles} == {"a", "an"}
    assert len(names) == len({*names}) == len(catalogue())
    for (number,), label in zip(concepts_of(data.pictures), data.labels.tolist(), strict=True):
        assert names[label] == PARTS.concepts[number].name
    counts = Counter(data.labels.tolist())
    assert len(counts) == {"seen": 20, "unseen": 6}[concepts]
    assert max(counts.values()) - min(counts.values()) <= 1


@pytest.mark.parametrize("concepts", ["seen", "unseen"])
def test_names_can_compete_among_the_concepts_asked_about_alone(concepts):
    data = opened(NAMES, concepts=concepts, among="own")
    all_names = opened(NAMES, concepts=concepts)
    assert [*data.pictures.names()] == [*all_names.pictures.names()]
    assert len(data.class_names) == {"seen": 20, "unseen": 6}[concepts]
    for one, other in zip(data.labels.tolist(), all_names.labels.tolist(), strict=True):
        assert data.class_names[one] == all_names.class_names[other]


def test_pictures_of_unseen_things_are_by_all_artists_and_those_of_zero_shot():
    data = opened(NAMES)
    drawn = {
        (concept, artist, colour)
        for name in data.pictures.names()
        for concept, artist, colour in re.findall(
            r"concept=(\d+), artist=(\d).*?colour='(\w+)'", name
        )
    }
    assert len({pair[:2] for pair in drawn}) == 2 * 6
    assert len({colour for *_, colour in drawn}) == 7
    sets = {part.name: part for part in evaluation_sets(WORLD, 32, 48)}
    beside = sets["unseen concepts"]
    assert [*beside.pictures.names()] == [*data.pictures.names()]
    assert np.array_equal(beside.labels, data.labels)


def test_rows_of_names_are_of_three_cutoffs():
    rows = evaluate(Reader(), [opened(NAMES)])
    count = len(catalogue())
    assert [(row.metric, row.n, row.chance) for row in rows] == [
        (f"top-{cutoff}", 48, cutoff / count) for cutoff in (1, 5, 10)
    ]


@pytest.mark.parametrize("concepts", ["seen", "unseen"])
def test_a_probe_is_fitted_to_other_pictures_of_the_same_classes(concepts):
    data = opened(PROBE, concepts=concepts)
    assert not {*data.pictures.names()} & {*data.training.names()}
    assert (len(data.pictures), len(data.training)) == (30, 60)
    first = {"seen": PARTS.seen, "unseen": PARTS.unseen}[concepts].start
    for pictures, labels in ((data.pictures, data.labels), (data.training, data.training_labels)):
        assert [n - first for (n,) in concepts_of(pictures)] == labels.tolist()


@pytest.mark.parametrize("settings", KINDS, ids=lambda settings: settings.kind)
def test_a_world_without_unseen_concepts_cannot_be_asked_about_them(settings):
    world = {**vars(WORLD), "unseen_concepts": 1}
    with pytest.raises(ConfigError, match=r"unseen_concepts.* at least 2, not 1"):
        opened(settings, concepts="unseen", world=world)
    assert len(opened(settings, concepts="seen", world=world).pictures) >= 30


def test_a_probe_with_fewer_pictures_than_classes_is_refused():
    with pytest.raises(
        ConfigError, match="training_items: 12 pictures are too few for 20 concepts"
    ):
        opened(PROBE, training_items=12)


def test_concepts_are_those_of_captions_of_scenes_beyond_training(tmp_path, monkeypatch):
    world = replace(WORLD, scenes=6, captions=2)
    records = EmojiCaptions(world=replace(world, scenes=10)).records(tmp_path, bad_share=0.0)
    captions = [text for index in range(10) for text in records.record(index).captions]
    known = clustered(
        random_embeddings(tmp_path / "of", [*dict.fromkeys(captions)]),
        tmp_path / "concepts",
        monkeypatch,
    )
    folder = str(tmp_path / "concepts")
    asked = EmojiConcepts(kind="emoji_concepts", world=world, folder=folder, items=4)
    data = opened(asked)
    assert [words_of(text) for text in data.texts] == captions[12:]
    assert data.owners.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert data.nearest.tolist() == known.nearest(captions[12:]).tolist()
    painter = EmojiScenes(replace(world, scenes=10), 32)
    expected = [painter.image(index, np.random.default_rng(0)) for index in range(6, 10)]
    assert np.array_equal(all_images(data.pictures), expected)
    with pytest.raises(DataError, match=r"'mine': .* of 10 texts are not in it"):
        opened(asked, items=5)
    with pytest.raises(ConfigError, match=r"captions must say how many a scene has"):
        opened(asked, world=vars(WORLD))
