"""Wrong captions are found by the words of the right one, and trained on."""

import json
import pickle
from dataclasses import replace

import numpy as np
import pytest

from kgclip_jax.data.emoji import EmojiWorld
from kgclip_jax.data.listed_negatives import ListedNegatives, open_listed
from kgclip_jax.data.readers.listed_captions import Listing
from kgclip_jax.data.sources import EmojiSource
from kgclip_jax.data.stored_pictures import Data
from kgclip_jax.data.streams.captions_config import CaptionsConfig, listed_note
from kgclip_jax.data.streams.stream import StreamOpening
from kgclip_jax.data.tokenization.tokenizer_config import Tokenizers
from kgclip_jax.errors import DataError
from kgclip_jax.knowledge.negatives import NegativeSettings
from kgclip_jax.knowledge.negatives.listed import Listed
from kgclip_jax.knowledge.triples import from_triples
from kgclip_jax.model_inputs import preprocessing_for
from kgclip_jax.models.presets import preset
from kgclip_jax.models.spec import KnowledgeEncoder
from tests.data.streams.made_up_sources import Numbers, stream

WORDS = ("one two", "only")
ENTRIES = [
    Listing("A dog &amp; a cat", (Listed("listed", "A cat & a dog"),), 0),
    Listing("a dog & a  cat", (Listed("listed", "a cat & a dog"), Listed("listed_verb", "b")), 2),
    Listing("a bird", (), 1),
]


def test_captions_are_found_however_they_are_written():
    listed = ListedNegatives(ENTRIES, "x.tsv", "")
    texts = [wrong.text for wrong in listed("A DOG & A CAT")]
    assert texts == ["A cat & a dog", "a cat & a dog", "b"]
    assert (listed("a bird"), listed("a fish")) == ([], [])
    assert (len(listed), listed.captions, listed.missing) == (3, 1, 3)
    assert pickle.loads(pickle.dumps(listed))("a dog & a cat") == listed("a dog & a cat")


def test_scene_graphs_go_with_their_texts():
    graph = from_triples("a dog on a cat", [("dog", "on", "cat")])
    entries = [Listing("a cat on a dog", (Listed("listed", "a dog on a cat", graph),), 0)]
    listed = pickle.loads(pickle.dumps(ListedNegatives(entries, "x.json", "")))
    assert listed("a cat on a dog") == [Listed("listed", "a dog on a cat", graph)]
    assert listed.know_graphs
    assert not ListedNegatives(entries + ENTRIES, "x.json", "").know_graphs


def of_numbers(count=20):
    return ListedNegatives(
        [Listing(f"{n} one two", (Listed("listed", f"{n} two one"),), 0) for n in range(count)],
        "x.tsv",
        "hash",
    )


def test_a_stream_takes_them_and_counts_what_is_missing():
    settings = NegativeSettings({"listed": 1.0}, file="x.tsv")
    made = stream(Numbers(40, words=WORDS), settings=settings, listed=of_numbers())
    pairs, counts = made.load(0, range(2))
    right, wrong = pairs.text.tokens[0], pairs.negatives.tokens[0][:, 0]
    there = pairs.negative_mask[:, 0]
    assert 0 < there.sum() < 16
    for caption, false in zip(right[there], wrong[there], strict=True):
        np.testing.assert_array_equal(np.sort(caption), np.sort(false))
        assert (caption != false).sum() == 2
    assert counts["negatives", "listed: made"] == there.sum()
    assert counts["negatives", "listed: the file lists none"] == 16 - there.sum()
    other = stream(Numbers(40, words=WORDS), settings=settings)
    assert made.fingerprint() != other.fingerprint()


def test_a_knowledge_encoder_needs_to_know_what_they_say(tmp_path):
    entry = {"true_caption": "a dog on a cat", "false_caption": "a cat on a dog"}
    (tmp_path / "x.json").write_text(json.dumps([entry]))
    emoji = EmojiSource("emoji", EmojiWorld(concepts=12, unseen_concepts=4, scenes=10))
    settings = NegativeSettings({"listed": 1.0}, file="x.json")
    captions = CaptionsConfig(sources={"emoji": emoji}, rows=8, negatives=settings)
    captions.check(reads_graphs=True)  # what the file says is seen when it is opened
    tiny = preset("tiny")
    knowledge = KnowledgeEncoder(tiny.text.transformer)
    reading = preprocessing_for(replace(tiny, knowledge=knowledge), Tokenizers())
    with pytest.raises(DataError, match=r"x.json cannot go with model.knowledge: .*false_triples"):
        captions.open("captions", StreamOpening(Data(str(tmp_path)), reading))


def test_how_many_captions_have_some_is_told():
    numbers = {"numbers": Numbers(40, words=("one two",))}
    assert "50.0% of the captions have some" in listed_note(of_numbers(), numbers, 0)
    with pytest.raises(DataError, match=r"x.tsv: of 40 captions of the sources, none is in it"):
        listed_note(ListedNegatives(ENTRIES, "x.tsv", ""), numbers, 0)


def test_a_file_without_any_is_refused(tmp_path):
    (tmp_path / "x.json").write_text('[{"text": "a bird", "neg_text": "a dog"}]')
    with pytest.raises(DataError, match=r"x.json: no wrong caption in it"):
        open_listed(tmp_path / "x.json")
