"""Batches are a function of (seed, step): not of hosts, workers or restarts."""

import itertools
from collections import Counter
from contextlib import closing

import jax
import numpy as np
import pytest

from kgclip_jax.data.emoji.source import EmojiScenes
from kgclip_jax.data.emoji.world import EmojiWorld
from kgclip_jax.data.pipeline import summarise, training_batches
from kgclip_jax.data.texts import TextMaker, count_vocabulary
from kgclip_jax.data.tokenization.clip_tokenizer import ClipTokenizer
from kgclip_jax.data.tokenization.triple_tokenizer import TripleTokenizer
from kgclip_jax.errors import BadRecord, DataError
from kgclip_jax.knowledge.negatives import NegativeSettings
from kgclip_jax.knowledge.scene_graph import Attribute, SceneGraph, SceneObject, Span
from kgclip_jax.types import Caption

TOKENIZER = ClipTokenizer(32)
WORDS = ("one", "one two", "one two three", "one two three four five six")


class Numbers:
    """Record i is a picture of the value i and one of its captions names i; some are bad."""

    def __init__(self, length=40, bad=(), words=WORDS, base=0):
        self.name = "numbers"
        self.length, self.bad, self.words, self.base = length, bad, words, base

    def __len__(self):
        return self.length

    def caption(self, index, rng):
        return Caption(f"{index + self.base} {self.words[int(rng.integers(len(self.words)))]}")

    def graphs(self, index):
        return ()

    def image(self, index, rng):
        if index in self.bad:
            raise BadRecord(f"record {index} is bad")
        image = np.full((4, 4, 3), index + self.base, np.uint8)
        image[0] = rng.integers(256)
        return image


def take(count, sources, *, weights=None, seed=3, negatives=None, triples=None, **settings):
    texts = TextMaker(tuple(sources), TOKENIZER, seed, negatives, triples=triples)
    weights = weights or [1.0] * len(sources)
    with closing(training_batches(texts, weights, **{"batch_size": 8} | settings)) as batches:
        return list(itertools.islice(batches, count))


def values(batch):
    return batch.batch.images[:, -1, 0, 0]


def assert_same(left, right):
    for a, b in zip(left, right, strict=True):
        jax.tree.map(np.testing.assert_array_equal, a.batch, b.batch)


def test_each_epoch_holds_every_record_once_in_a_new_order():
    batches = take(10, [Numbers()])
    epochs = np.split(np.concatenate([values(batch) for batch in batches]), 2)
    for epoch in epochs:
        np.testing.assert_array_equal(np.sort(epoch), np.arange(40))
    assert (epochs[0] != epochs[1]).any()


def test_captions_fit_their_pictures_and_vary_between_epochs():
    texts = {}
    for batch in take(40, [Numbers()]):
        for value, row in zip(values(batch), batch.batch.tokens, strict=True):
            texts.setdefault(value, set()).add(row.tobytes())
            named = TOKENIZER([f"{value}"])[0, 1:3]
            assert row[1] == named[0]
    assert min(map(len, texts.values())) > 1


def test_the_seed_decides_everything():
    assert_same(take(3, [Numbers()]), take(3, [Numbers()]))
    other = take(1, [Numbers()], seed=4)[0]
    assert (values(other) != values(take(1, [Numbers()])[0])).any()


def test_resuming_continues_the_stream():
    assert_same(take(7, [Numbers()])[4:], take(3, [Numbers()], start=4))


@pytest.mark.parametrize("hosts", [2, 4])
def test_hosts_share_the_batches_of_one_host(hosts):
    whole = take(3, [Numbers()])
    parts = [take(3, [Numbers()], host=host, hosts=hosts) for host in range(hosts)]
    for step, batch in enumerate(whole):
        for host in range(hosts):
            part = parts[host][step].batch
            np.testing.assert_array_equal(part.images, batch.batch.images[host::hosts])
            np.testing.assert_array_equal(part.tokens, batch.batch.tokens[host::hosts])


def test_worker_processes_change_nothing():
    source = EmojiScenes(EmojiWorld(concepts=12, unseen_concepts=2, scenes=30), size=16)
    alone = take(5, [source])
    assert_same(alone, take(5, [source], workers=2))
    assert_same(alone[2:], take(3, [source], workers=1, start=2))


def test_texts_are_cut_to_the_smallest_bucket_that_holds_the_batch():
    widths = Counter()
    for batch in take(30, [Numbers()], buckets=(6, 12), batch_size=2):
        tokens = batch.batch.tokens
        longest = TOKENIZER.lengths(tokens).max()
        assert tokens.shape[1] == (6 if longest <= 6 else 12)
        assert (tokens == 49407).any(axis=1).all()
        widths[tokens.shape[1]] += 1
    assert set(widths) == {6, 12}
    assert take(1, [Numbers()])[0].batch.tokens.shape[1] == 32


def test_sources_are_mixed_by_weight():
    sources = [Numbers(40), Numbers(40, base=100)]
    batches = take(25, sources, weights=[3.0, 1.0])
    share = np.mean([values(batch) >= 100 for batch in batches])
    assert share == pytest.approx(0.25, abs=0.01)


def test_a_bad_record_is_replaced_by_a_good_one_and_reported():
    batches = take(10, [Numbers(bad=(5, 6))], buckets=(6, 12))
    reasons = Counter(reason for batch in batches for reason in batch.bad_records)
    assert reasons.keys() == {"numbers: record 5 is bad", "numbers: record 6 is bad"}
    assert min(reasons.values()) >= 2  # once an epoch; a replacement may be bad as well
    for batch in batches:
        assert not set(values(batch)) & {5, 6}
        for value, row in zip(values(batch), batch.batch.tokens, strict=True):
            assert row[1] == TOKENIZER([f"{value}"])[0, 1]
    assert_same(batches, take(10, [Numbers(bad=(5, 6))], buckets=(6, 12)))


def test_a_source_of_nothing_but_bad_records_ends_with_the_reason():
    with pytest.raises(DataError, match="100 records of numbers in a row were bad"):
        take(1, [Numbers(bad=range(40))])


def test_hosts_must_divide_the_batch():
    with pytest.raises(DataError, match="8 is not divisible by 3 hosts"):
        take(1, [Numbers()], hosts=3)


def test_bad_records_are_summarised_by_reason():
    assert summarise(Counter(a=3, b=1)) == "3 x a; 1 x b"
    assert summarise(Counter(a=3, b=2, c=1), most=1) == "3 x a; and 2 other reasons"


class Coloured(Numbers):
    """Every other caption speaks of two things with a colour each, the rest of one."""

    def caption(self, index, rng):
        if index % 2:
            return Caption("a dog", SceneGraph((SceneObject("dog", (), Span(2, 5)),)))
        things = [
            SceneObject("dog", (Attribute("green", Span(2, 7)),), Span(8, 11)),
            SceneObject("cat", (Attribute("blue", Span(18, 22)),), Span(23, 26)),
        ]
        return Caption("a green dog and a blue cat", SceneGraph(tuple(things)))


SWAPS = NegativeSettings({"swap_attributes": 1.0}, count=2)


def test_negatives_stand_beside_their_captions_and_are_masked_where_there_are_none():
    for batch in take(4, [Coloured()], negatives=SWAPS, buckets=(16,)):
        tokens, mask = batch.batch.negatives
        assert tokens.shape == (8, 2, 16)
        coloured = values(batch) % 2 == 0
        np.testing.assert_array_equal(mask, np.stack([coloured, np.zeros(8, bool)], axis=1))
        swapped = TOKENIZER(["a blue dog and a green cat"])[0, :16]
        for row in tokens[coloured, 0]:
            np.testing.assert_array_equal(row, swapped)
        made = batch.negatives[("swap_attributes", "made")]
        assert made == coloured.sum()
        assert sum(batch.negatives.values()) - made == 8  # each caption runs out once


def test_negatives_depend_on_neither_hosts_nor_workers_nor_bad_records_of_others():
    settings = {"negatives": SWAPS, "buckets": (16,)}
    whole = take(4, [Coloured(bad=(3, 4))], **settings)
    assert_same(take(4, [Coloured(bad=(3, 4))], workers=2, **settings), whole)
    parts = [take(4, [Coloured(bad=(3, 4))], host=h, hosts=2, **settings) for h in range(2)]
    for step, batch in enumerate(whole):
        for host, part in enumerate(parts):
            mine, theirs = batch.batch.negatives, part[step].batch.negatives
            np.testing.assert_array_equal(theirs.tokens, mine.tokens[host::2])
            np.testing.assert_array_equal(theirs.mask, mine.mask[host::2])


def test_a_replacement_brings_its_own_negatives():
    good = Coloured(bad=range(0, 40, 2))  # only records of one thing are left
    for batch in take(6, [good], negatives=SWAPS, buckets=(16,)):
        assert (values(batch) % 2).all()
        assert not batch.batch.negatives.mask.any()


def test_negatives_that_replace_words_need_the_words_of_the_sources():
    settings = NegativeSettings({"replace_attribute": 1.0})
    source = Coloured()
    texts = TextMaker((source,), TOKENIZER, 0, settings, count_vocabulary([source], 0))
    with closing(training_batches(texts, [1.0], batch_size=8)) as batches:
        batch = next(batches)
    np.testing.assert_array_equal(batch.batch.negatives.mask[:, 0], values(batch) % 2 == 0)


TRIPLES = TripleTokenizer(ClipTokenizer(4), 3, False)
NAMES = {int(TOKENIZER([word])[0, 1]): word for word in ("dog", "cat", "is", "green", "blue")}


def facts(triples, row):
    """The triples of each text of a row, in words."""
    tokens, mask = triples.tokens[row], triples.mask[row]
    return [
        [" ".join(NAMES[element[1]] for element in triple) for triple in text[real].tolist()]
        for text, real in zip(tokens, mask, strict=True)
    ]


def test_triples_are_those_of_the_captions_and_their_negatives():
    for batch in take(4, [Coloured()], negatives=SWAPS, triples=TRIPLES):
        triples = batch.batch.triples
        assert (triples.tokens.shape, triples.mask.shape) == ((8, 3, 3, 3, 4), (8, 3, 3))
        for row, value in enumerate(values(batch)):
            made = [["dog is green", "cat is blue"], ["dog is blue", "cat is green"], []]
            # An invalid negative has none, and a dog of no colour neither.
            assert facts(triples, row) == (made if value % 2 == 0 else [[], [], []])


def test_captions_have_triples_without_negatives_and_texts_without_graphs_have_none():
    (batch,) = take(1, [Coloured()], triples=TRIPLES)
    assert batch.batch.negatives is None
    assert batch.batch.triples.mask.shape == (8, 1, 3)
    np.testing.assert_array_equal(batch.batch.triples.mask[:, 0, 0], values(batch) % 2 == 0)
    (batch,) = take(1, [Numbers()], triples=TRIPLES)
    assert not batch.batch.triples.mask.any()
    assert take(1, [Coloured()])[0].batch.triples is None


def test_a_replacement_brings_its_own_triples():
    for bad in (range(0, 40, 2), range(1, 40, 2)):
        for batch in take(6, [Coloured(bad=bad)], negatives=SWAPS, triples=TRIPLES):
            assert batch.bad_records
            coloured = values(batch) % 2 == 0
            assert coloured.all() or not coloured.any()
            mask = batch.batch.triples.mask
            np.testing.assert_array_equal(mask[:, :2, :2].all(axis=(1, 2)), coloured)
            np.testing.assert_array_equal(mask.any(axis=(1, 2)), coloured)


def test_triples_depend_on_neither_hosts_nor_workers_nor_restarts():
    settings = {"negatives": SWAPS, "triples": TRIPLES}
    whole = take(4, [Coloured(bad=(3, 4))], **settings)
    assert_same(take(4, [Coloured(bad=(3, 4))], workers=2, **settings), whole)
    assert_same(take(2, [Coloured(bad=(3, 4))], start=2, **settings), whole[2:])
    for host in range(4):
        part = take(4, [Coloured(bad=(3, 4))], host=host, hosts=4, **settings)
        for mine, all_rows in zip(part, whole, strict=True):
            rows = jax.tree.map(lambda array, host=host: array[host::4], all_rows.batch)
            jax.tree.map(np.testing.assert_array_equal, mine.batch, rows)


class Photographed(Coloured):
    """What is known of each picture is that the dog may be blue and the cat green as well."""

    def graphs(self, index):
        both = (Attribute("green"), Attribute("blue"))
        return (SceneGraph((SceneObject("dog", both), SceneObject("cat", both))),)


def test_negatives_that_are_known_to_be_true_are_left_out():
    for batch in take(3, [Photographed()], negatives=SWAPS, triples=TRIPLES):
        assert not batch.batch.negatives.mask.any()
        assert batch.negatives["swap_attributes", "true of the picture"] == (
            np.sum(values(batch) % 2 == 0)
        )
