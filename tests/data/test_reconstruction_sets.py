"""Texts to be told again: which ones, by which ids."""

import json
import logging
from pathlib import Path

import numpy as np
import pytest

from kgclip_jax.data.captioned_reconstruction import CaptionReconstruction
from kgclip_jax.data.emoji.told_scenes import EmojiReconstruction
from kgclip_jax.data.emoji.world import EmojiWorld
from kgclip_jax.data.evaluation_config import EVALUATIONS
from kgclip_jax.data.evaluation_sets import TextSet, fingerprint
from kgclip_jax.data.lazy_pictures import EvaluationTransform
from kgclip_jax.data.reconstruction_sets import Copier, reconstruction_set
from kgclip_jax.errors import ConfigError, DataError
from kgclip_jax.knowledge.caption import Caption, words_of
from kgclip_jax.schema import parse
from tests.data.readers.layouts import drawn, write_files

TRANSFORM = EvaluationTransform(8)
WORLD = EmojiWorld(concepts=20, unseen_concepts=2, max_objects=2)


def told_set(training, held_out, copier=None):
    copier = Copier() if copier is None else copier
    return reconstruction_set(
        "told", [*enumerate(training)], [*enumerate(held_out)], TRANSFORM, copier
    )


def test_ids_are_of_the_words_of_training_texts_in_lower_case():
    data = told_set(["A dog .", "the  cat"], [Caption("the DOG"), "a cat"])
    assert data.words == 2 + 5
    # ., a, cat, dog, the are 2 to 6; an end is 1, padding 0.
    assert data.training_ids.tolist() == [[3, 5, 2, 1], [6, 4, 1, 0]]
    assert data.held_out_ids.tolist() == [[6, 5, 1, 0], [3, 4, 1, 0]]
    assert data.held_out == [Caption("the DOG"), "a cat"]  # the encoder reads what is written
    assert len(data.pictures) == 0


def test_what_is_left_out_is_counted(caplog):
    training = ["a dog", "A dog", "a cat", "one two three four", "the cat runs"]
    held_out = ["the dog", "a cow", "a  cat", "The Dog", "a dog runs the cat", "the cat", "cow cow"]
    with caplog.at_level(logging.WARNING):
        data = told_set(training, held_out, Copier(longest=3))
    assert data.training == ["a dog", "the cat runs"]
    assert data.held_out == ["the dog", "a  cat", "the cat"]
    assert data.owners.tolist() == [0, 2, 5]
    assert caplog.messages == [
        "evaluation set 'told': left out {'held-out text repeated': 1, 'training text repeated': "
        "1, 'training text that is held out': 1, 'training text too long': 1, "
        "'held-out text too long': 1, 'held-out text with an unknown word': 2}"
    ]


@pytest.mark.parametrize(
    ("training", "held_out", "message"),
    [
        (["a dog"], ["dog a", "dog"], "1 training texts and 2 held-out texts are left, {} aside"),
        (["a dog", "a cat"], ["a", "a cow"], "2 training texts and 1 .*unknown word': 1} aside"),
        ([], [], "0 training texts and 0 held-out texts"),
    ],
)
def test_too_few_texts_are_refused(training, held_out, message):
    with pytest.raises(DataError, match=rf"'told': {message}"):
        told_set(training, held_out)


def test_the_encoder_may_be_given_other_texts_for_the_same_words():
    data = told_set(["a dog", "the cat"], ["the dog", "a cat"])
    assert isinstance(data, TextSet)
    other = data.with_texts([f"{text}!" for text in data.texts], "parsed")
    assert (other.training, other.held_out) == (["a dog!", "the cat!"], ["the dog!", "a cat!"])
    assert other.graphs == "parsed"
    np.testing.assert_array_equal(other.held_out_ids, data.held_out_ids)


def test_a_width_that_makes_no_heads_is_refused():
    values = {"kind": "emoji_reconstruction", "world": {}, "copier": {"width": 48}}
    with pytest.raises(ConfigError, match=r"config\.copier: width must be a multiple of 32"):
        parse(EmojiReconstruction, values)
    with pytest.raises(ConfigError, match=r"config\.texts must be at least 2"):
        parse(EmojiReconstruction, {"kind": "emoji_reconstruction", "world": {}, "texts": 1})


class TestEmoji:
    def opened(self, **changes):
        values = {"kind": "emoji_reconstruction", "world": vars(WORLD), "training_texts": 200}
        settings = parse(
            EVALUATIONS.find("emoji_reconstruction", "x"), {**values, "texts": 50, **changes}
        )
        return settings.open("mine", Path("nowhere"), TRANSFORM)

    def test_captions_are_repeatable_and_no_training_text_is_held_out(self):
        data = self.opened()
        assert fingerprint([data]) == fingerprint([self.opened()])
        texts = [words_of(text) for text in data.texts]
        assert len({*texts}) == len(texts)
        assert len(data.training) > 120
        assert 25 < len(data.held_out) <= 50
        longest = max(len(text.split()) for text in texts)
        assert data.held_out_ids.shape == (len(data.held_out), 1 + longest)
        assert all(text.graph is not None for text in data.texts)

    def test_held_out_texts_do_not_depend_on_their_number(self):
        few, many = self.opened(texts=20), self.opened()
        assert many.held_out[: len(few.held_out)] == few.held_out

    def test_another_world_says_other_things(self):
        other = self.opened(world={**vars(WORLD), "seed": 5})
        assert not {*other.held_out} & {*self.opened().held_out}


class TestCaptions:
    @pytest.fixture
    def opened(self, tmp_path):
        write_files(tmp_path / "images", drawn(4))
        captions = {
            "train": [
                ["A dog runs .", "a dog sits .", "the dog sits by a cat ."],
                ["a cat runs .", "a cat sits by a dog .", "a big cat and a dog sits ."],
            ],
            "test": [["a cat sits .", "a dog sits ."], ["a cow sits ."]],
        }
        names = iter(["000.jpg", "001.png", "002.webp", "003.jpg"])
        images = [
            {"filename": next(names), "split": split, "sentences": [{"raw": t} for t in texts]}
            for split, pictures in captions.items()
            for texts in pictures
        ]
        (tmp_path / "dataset.json").write_text(json.dumps({"images": images}))

        def open_set(**changes):
            source = {"kind": "karpathy", "folder": "images", "file": "dataset.json"}
            values = {
                "kind": "reconstruction",
                "training": {**source, "split": "train"},
                "source": {**source, "split": "test"},
                **changes,
            }
            settings = parse(EVALUATIONS.find("reconstruction", "x"), values)
            assert isinstance(settings, CaptionReconstruction)
            return settings.open("captions", tmp_path, TRANSFORM)

        return open_set

    def test_one_split_is_learnt_from_and_another_told(self, opened):
        data = opened()
        assert (data.name, len(data.pictures)) == ("captions", 0)
        assert len(data.training) == 5  # "a dog sits ." is held out
        assert data.training[0] == "A dog runs ."
        assert data.held_out == ["a cat sits .", "a dog sits ."]  # no training text has a cow
        with_more = opened(texts=1000, training_texts=1000)
        assert fingerprint([data]) == fingerprint([with_more])

    def test_captions_of_a_picture_are_one_cluster(self, opened):
        assert opened().owners.tolist() == [0, 0]

    def test_so_many_are_chosen_by_hash(self, opened):
        chosen = [opened(training_texts=5, copier={"seed": seed}).training for seed in range(20)]
        assert {len(texts) for texts in chosen} == {4, 5}
        assert len({*map(tuple, chosen)}) > 1

    def test_a_split_that_is_not_there_is_named(self, opened):
        source = {"kind": "karpathy", "folder": "images", "file": "dataset.json", "split": "dev"}
        with pytest.raises(DataError, match="no split 'dev'; there are test, train"):
            opened(source=source)
