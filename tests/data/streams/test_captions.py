"""Captioned pictures: a function of (seed, stream, step, unit), sorted into slots of texts."""

import itertools
import pickle
from collections import Counter

import jax.numpy as jnp
import numpy as np
import pytest

from kgclip_jax import schema
from kgclip_jax.data.blocks import arrays_of, map_blocks
from kgclip_jax.data.preprocessing import Preprocessing
from kgclip_jax.data.stored_pictures import Data
from kgclip_jax.data.streams.caption_stream import joined_order
from kgclip_jax.data.streams.captions_config import CaptionsConfig
from kgclip_jax.data.streams.stream import BAD_RECORD, StreamOpening
from kgclip_jax.data.streams.texts import TextMaker, count_vocabulary, text_ids
from kgclip_jax.data.text_slots import TextSlots
from kgclip_jax.data.tokenization.clip_tokenizer import ClipTokenizer
from kgclip_jax.data.tokenization.triple_tokenizer import TripleTokenizer
from kgclip_jax.errors import ConfigError, DataError
from kgclip_jax.knowledge.negatives import NegativeSettings
from kgclip_jax.models.rows import concat_rows
from tests import toys
from tests.data.streams.made_up_sources import (
    TOKENIZER,
    TWO_LENGTHS,
    WORDS,
    Coloured,
    Numbers,
    Photographed,
    stream,
)


def load(stream, step, units=None):
    return stream.load(step, range(stream.rows // stream.unit) if units is None else units)


def blocks(stream, steps):
    return [load(stream, step).blocks for step in range(steps)]


def values(pairs):
    return pairs.image.pixels[:, -1, 0, 0]


def whole_texts(texts, length=32):
    """The token ids of a block as one array, filled up with zeros, in the order of its rows."""
    wide = [np.pad(t, [(0, 0)] * (t.ndim - 1) + [(0, length - t.shape[-1])]) for t in texts.tokens]
    units = len(wide[0]) // 4 if len(wide) > 1 else 1
    if len(wide) == 1:
        return wide[0]
    order = joined_order([4, 4])
    joined = [
        np.concatenate([slot[4 * u : 4 * u + 4] for slot in wide])[order] for u in range(units)
    ]
    return np.concatenate(joined)


def assert_same(left, right):
    for mine, theirs in zip(left, right, strict=True):
        for a, b in zip(arrays_of(mine), arrays_of(theirs), strict=True):
            np.testing.assert_array_equal(a, b)


def test_each_epoch_holds_every_record_once_in_a_new_order():
    steps = blocks(stream(Numbers(48)), 6)
    epochs = np.split(np.concatenate([np.sort(values(pairs)) for pairs in steps]), 2)
    for epoch in epochs:
        np.testing.assert_array_equal(np.sort(epoch), np.arange(48))
    assert (epochs[0] != epochs[1]).any()


def test_captions_fit_their_pictures_and_vary_between_epochs():
    texts = {}
    for pairs in blocks(stream(Numbers(), slots=TWO_LENGTHS), 40):
        for value, row in zip(values(pairs), whole_texts(pairs.text), strict=True):
            texts.setdefault(value, set()).add(row.tobytes())
            assert row[1] == TOKENIZER([f"{value}"])[0, 1]
    assert min(map(len, texts.values())) > 1


def test_seed_and_name_decide_everything():
    assert_same(blocks(stream(Numbers()), 3), blocks(stream(Numbers()), 3))
    first = values(load(stream(Numbers()), 0).blocks)
    assert (values(load(stream(Numbers(), seed=4), 0).blocks) != first).any()
    assert (values(load(stream(Numbers(), name="others"), 0).blocks) != first).any()


@pytest.mark.parametrize("slots", [TWO_LENGTHS, TextSlots(8, (8,), (32,))])
def test_units_alone_are_what_they_are_in_the_whole(slots):
    both = stream(Numbers(bad=(3, 4)), slots=slots)
    whole, alone = load(both, 5), load(both, 5, [1])
    share = map_blocks(lambda array: array[len(array) // 2 :], whole.blocks)
    assert_same([share], [alone.blocks])
    assert whole.counts == load(both, 5, [0]).counts + alone.counts


def test_a_batch_is_what_abstract_says():
    for settings in ({}, {"settings": SWAPS}, {"triples": TRIPLES, "settings": SWAPS}):
        made = stream(Coloured(), slots=TWO_LENGTHS, **settings)
        mine = [(a.shape, a.dtype) for a in arrays_of(load(made, 0).blocks)]
        assert mine == [(a.shape, a.dtype) for a in arrays_of(made.abstract())]
        assert made.abstract().image.pixels.strides == (0, 0, 0, 0)  # takes no memory


def test_texts_are_sorted_into_slots_and_what_is_too_long_is_cut_and_counted():
    rows, cut = 0, 0
    for step in range(30):
        pairs, counts = load(stream(Numbers(), slots=TWO_LENGTHS), step)
        short, long = pairs.text.tokens
        assert (short.shape[1], long.shape[1]) == (6, 12)
        assert (short == 49407).any(axis=1).all()  # also what is cut ends with the end of text
        assert (long == 49407).any(axis=1).all()
        for unit in range(2):
            lengths = [TOKENIZER.lengths(slot[4 * unit :][:4]) for slot in (short, long)]
            assert lengths[0].max() <= lengths[1].min()
        rows += counts["text", "fitting"]
        cut += counts["text", "cut to its slot"]
    assert rows == 30 * 16
    # Two of four captions have at most five tokens with their ends; the third has six.
    assert 0 < cut < 0.1 * rows


def test_the_order_of_joined_slots_is_that_of_the_towers():
    for rows in ([4, 4], [176, 72, 8], [7, 1], [8]):
        bounds = np.cumsum([0, *rows])
        slots = [jnp.arange(a, b) for a, b in itertools.pairwise(bounds)]
        np.testing.assert_array_equal(concat_rows(slots), joined_order(rows))


def test_sources_are_mixed_by_weight():
    sources = {"low": Numbers(40), "high": Numbers(40, base=100)}
    steps = blocks(stream(sources, weights=[3.0, 1.0]), 25)
    assert np.mean([values(pairs) >= 100 for pairs in steps]) == 0.25


def test_a_bad_record_is_replaced_by_a_good_one_and_counted():
    made = stream(Numbers(48, bad=(5, 6)), slots=TWO_LENGTHS)
    records = Counter()
    for step in range(9):
        pairs, counts = load(made, step)
        records.update({key[1:]: n for key, n in counts.items() if key[0] == BAD_RECORD})
        assert not set(values(pairs)) & {5, 6}
        for value, row in zip(values(pairs), whole_texts(pairs.text), strict=True):
            assert row[1] == TOKENIZER([f"{value}"])[0, 1]
    assert records.keys() == {
        ("numbers: unreadable image", f"record {number} is bad") for number in (5, 6)
    }
    assert min(records.values()) >= 3  # once an epoch; a replacement may be bad as well


def test_fewer_records_than_rows_of_a_step_are_told_of():
    assert not any("only" in note for note in stream(Numbers(16)).notes)
    told = "only 15 records for 16 rows: each step has some several times, which are not "
    assert any(note.startswith(told) for note in stream(Numbers(15)).notes)


def test_a_source_of_nothing_but_bad_records_ends_with_the_reason():
    with pytest.raises(DataError, match="100 records of numbers in a row were bad"):
        load(stream(Numbers(bad=range(40))), 0)


def test_ids_are_equal_for_equal_texts_and_for_one_picture():
    few = stream(Numbers(4, words=("one",)), slots=TWO_LENGTHS)
    pairs = load(few, 0).blocks
    texts, pictures = pairs.ids.T
    for ids in (texts, pictures):
        assert len(set(zip(values(pairs), ids, strict=True))) == 4
        assert (ids >= 0).all()
    two = {"here": Numbers(4, words=("one",)), "there": Numbers(4, words=("one",))}
    pairs = load(stream(two), 0).blocks
    assert len(set(pairs.ids[:, 0])) == 4  # the same captions
    assert len(set(pairs.ids[:, 1])) == 8  # of other pictures


def test_hashes_of_texts_do_not_collide():
    tokens = TOKENIZER([f"{a} {b} {c}" for a in WORDS for b in range(50) for c in range(50)])
    different = len(np.unique(tokens, axis=0))  # "1 11" and "11 1" are the same tokens
    assert different > 9000
    assert len(np.unique(text_ids(tokens))) == different


SWAPS = NegativeSettings({"swap_attributes": 1.0}, count=2)
TRIPLES = TripleTokenizer(ClipTokenizer(4), 3, False)


def test_negatives_stand_beside_their_captions_and_are_masked_where_there_are_none():
    made = stream(Coloured(), slots=TWO_LENGTHS, settings=SWAPS)
    swapped = TOKENIZER(["a blue dog and a green cat"])
    for step in range(4):
        pairs, counts = load(made, step)
        coloured = values(pairs) % 2 == 0
        mask = np.stack([coloured, np.zeros(16, bool)], axis=1)
        np.testing.assert_array_equal(pairs.negative_mask, mask)
        tokens = whole_texts(pairs.negatives)
        fits = coloured & (tokens[:, 0] == swapped[0]).all(axis=1)
        cut = counts["text", "cut to its slot"]
        assert fits.sum() >= coloured.sum() - cut
        assert (pairs.negative_ids[coloured, 0] == text_ids(swapped)[0]).all()
        assert counts["negatives", "swap_attributes: made"] == coloured.sum()


def test_a_replacement_brings_its_own_negatives_and_triples():
    for bad in (range(0, 40, 2), range(1, 40, 2)):
        made = stream(Coloured(bad=bad), settings=SWAPS, triples=TRIPLES)
        for step in range(6):
            pairs, counts = load(made, step)
            assert any(key[0] == BAD_RECORD for key in counts)
            coloured = values(pairs) % 2 == 0
            assert coloured.all() or not coloured.any()
            np.testing.assert_array_equal(pairs.negative_mask[:, 0], coloured)
            mask = np.concatenate(
                [pairs.text.triples.mask[:, None], pairs.negatives.triples.mask], axis=1
            )
            np.testing.assert_array_equal(mask[:, :2, :2].all(axis=(1, 2)), coloured)
            np.testing.assert_array_equal(mask.any(axis=(1, 2)), coloured)


def test_negatives_that_replace_words_need_the_words_of_the_sources():
    settings = NegativeSettings({"replace_attribute": 1.0})
    source = Coloured()
    vocabulary = count_vocabulary({"numbers": source}, 0)
    pairs = load(stream(source, settings=settings, vocabulary=vocabulary), 0).blocks
    np.testing.assert_array_equal(pairs.negative_mask[:, 0], values(pairs) % 2 == 0)


NAMES = {int(TOKENIZER([word])[0, 1]): word for word in ("dog", "cat", "is", "green", "blue")}


def facts(triples, *row):
    """The triples of a text, in words."""
    tokens, mask = triples.tokens[row], triples.mask[row]
    return [" ".join(NAMES[element[1]] for element in triple) for triple in tokens[mask].tolist()]


def test_triples_are_those_of_the_captions_and_their_negatives():
    pairs = load(stream(Coloured(), slots=TWO_LENGTHS, settings=SWAPS, triples=TRIPLES), 0).blocks
    assert pairs.text.triples.tokens.shape == (16, 3, 3, 4)
    assert pairs.negatives.triples.mask.shape == (16, 2, 3)
    for row, value in enumerate(values(pairs)):
        coloured = value % 2 == 0
        said = ["dog is green", "cat is blue"] if coloured else []  # a dog of no colour says none
        assert facts(pairs.text.triples, row) == said
        made = ["dog is blue", "cat is green"] if coloured else []  # an invalid one has none
        assert facts(pairs.negatives.triples, row, 0) == made
        assert facts(pairs.negatives.triples, row, 1) == []


def test_texts_without_graphs_have_no_triples():
    pairs = load(stream(Numbers(), triples=TRIPLES), 0).blocks
    assert not pairs.text.triples.mask.any()
    assert pairs.negatives is None
    assert load(stream(Coloured()), 0).blocks.text.triples is None


def test_negatives_that_are_known_to_be_true_are_left_out():
    pairs, counts = load(stream(Photographed(), settings=SWAPS, triples=TRIPLES), 0)
    assert not pairs.negative_mask.any()
    told = counts["negatives", "swap_attributes: true of the picture"]
    assert told == np.sum(values(pairs) % 2 == 0)


def test_the_fingerprint_follows_what_sources_and_tables_hold():
    prints = [stream(source).fingerprint() for source in (Numbers(), Numbers(), Numbers(41))]
    assert prints[0] == prints[1] != prints[2]
    assert stream(Numbers(), tables={"facts": toys.ToyTable()}).fingerprint() != prints[0]


def test_the_fingerprint_follows_the_files_that_rows_are_made_of(tmp_path):
    world = {"concepts": 8, "unseen_concepts": 0, "scenes": 20}
    negatives = {"kinds": {"replace_object": 1.0}, "hierarchy": "is_a.tsv"}
    settings = {
        "sources": {"emoji": {"world": world}},
        "rows": 8,
        "negatives": negatives,
        "neighbours": {"emoji": "nearest.npy"},
        "text_slots": "one",
    }
    config = schema.parse(CaptionsConfig, settings)
    opening = StreamOpening(Data(str(tmp_path)), Preprocessing(8, TOKENIZER))
    prints = []
    for animal, nearest in (("dog", 1), ("cat", 1), ("cat", 2)):
        (tmp_path / "is_a.tsv").write_text(f"IsA\t{animal}\tanimal\n")
        np.save(tmp_path / "nearest.npy", np.full((20, 1), nearest, np.int32))
        prints.append(config.open("captions", opening).fingerprint())
    assert len({*prints}) == 3
    assert config.open("captions", opening).fingerprint() == prints[-1]


def test_side_tables_go_with_their_rows():
    made = stream(Numbers(bad=(3, 4)), slots=TWO_LENGTHS, tables={"facts": toys.ToyTable()})
    for step in range(6):
        pairs = load(made, step).blocks
        assert pairs.tables["facts"].shape == made.abstract().tables["facts"].shape == (16, 3)
        records, _, characters = pairs.tables["facts"].T
        np.testing.assert_array_equal(records, values(pairs))
        for record, long, row in zip(records, characters, whole_texts(pairs.text), strict=True):
            possible = {len(f"{record} {words}"): f"{record} {words}" for words in WORDS}
            body = row[(row > 0) & (row != TOKENIZER.end_id)]  # some are cut to their slots
            np.testing.assert_array_equal(body, TOKENIZER([possible[long]])[0, : len(body)])


def test_a_side_table_is_switched_on_in_the_config(monkeypatch):
    toys.register(monkeypatch)
    settings = schema.parse(CaptionsConfig, {"sources": {}, "rows": 8, "tables": {"toy": {}}})
    assert settings.tables == {"toy": toys.ToyTable()}
    with pytest.raises(ConfigError, match=r"tables\.llm\.kind"):
        schema.parse(CaptionsConfig, {"sources": {}, "rows": 8, "tables": {"llm": {}}})


def test_text_makers_pickle_with_their_sources():
    made = stream(Numbers())
    assert isinstance(pickle.loads(pickle.dumps(made)).texts, TextMaker)
