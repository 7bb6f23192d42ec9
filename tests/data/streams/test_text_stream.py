"""Rows of texts with side tables: of the stream of texts, and beside captions."""

import pickle

import numpy as np
import pytest

from kgclip_jax.data.blocks import arrays_of, map_blocks
from kgclip_jax.data.emoji import EmojiWorld
from kgclip_jax.data.preprocessing import Preprocessing
from kgclip_jax.data.sources import EmojiSource
from kgclip_jax.data.stored_pictures import Data
from kgclip_jax.data.streams.captions_config import CaptionsConfig
from kgclip_jax.data.streams.concept_table import ConceptTable
from kgclip_jax.data.streams.embedding_table import EmbeddingTable
from kgclip_jax.data.streams.side_tables import TABLES, Table, TableConfig
from kgclip_jax.data.streams.stream import Stream, StreamConfig, StreamOpening
from kgclip_jax.data.streams.text_stream import TextsConfig
from kgclip_jax.data.streams.texts import text_ids
from kgclip_jax.data.tokenization.clip_tokenizer import ClipTokenizer
from kgclip_jax.errors import DataError
from kgclip_jax.preparation.text_sources import EmojiCaptions
from tests.data.made_up_embeddings import clustered, random_embeddings

TOKENIZER = ClipTokenizer(20)
READING = Preprocessing(16, TOKENIZER)
TEXTS = [f"the {number}th text" for number in range(11)] + ["a text of " + "many " * 9 + "words"]
WORLD = EmojiWorld(concepts=12, unseen_concepts=4, scenes=20, captions=2)
TABLES_OF = {
    "teacher": EmbeddingTable(folder="words"),
    "concepts": ConceptTable(folder="topics"),
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    clustered(random_embeddings(tmp_path / "words", TEXTS), tmp_path / "topics", monkeypatch)
    return tmp_path


def open_stream(settings, folder, seed=0, hosts=1):
    opening = StreamOpening(Data(path=str(folder)), READING, seed, hosts=hosts)
    return settings.open("words", opening)


def words(folder, **changes):
    settings = TextsConfig(texts="words", rows=8, tables=TABLES_OF, length=8)
    return open_stream(settings, folder, **changes)


@pytest.mark.parametrize("table", TABLES_OF.values(), ids=lambda table: table.kind)
def test_every_kind_of_table_is_one(folder, table):
    assert TABLES_OF.keys() >= {"concepts"}
    assert isinstance(table, TableConfig)
    assert TABLES.find(table.kind, "table") is type(table)
    opened = table.open(folder, {})
    assert isinstance(opened, Table)
    found = opened.rows([], TEXTS[3:5])
    assert (found.shape, found.dtype) == ((2, *opened.shape), opened.dtype)
    copy = pickle.loads(pickle.dumps(opened))
    np.testing.assert_array_equal(copy.rows([], TEXTS[3:5]), found)
    assert len(pickle.dumps(opened)) < 1000
    with pytest.raises(DataError, match="1 of 2 texts are not in it: 'others'"):
        opened.rows([], [TEXTS[0], "others"])


def test_no_kind_of_table_is_missing_here():
    assert {table.kind for table in TABLES_OF.values()} == TABLES.places.keys()


def test_it_is_a_stream_of_the_shapes_that_it_promises(folder):
    stream = words(folder)
    assert isinstance(TextsConfig(texts="words", rows=8), StreamConfig)
    assert isinstance(stream, Stream)
    found = stream.load(3, range(stream.rows // stream.unit))
    made = map_blocks(lambda array: (array.shape, array.dtype), found.blocks)
    assert made == map_blocks(lambda array: (array.shape, array.dtype), stream.abstract())
    assert stream.notes == ["12 texts of words"]


def test_rows_are_a_function_of_seed_step_and_place(folder):
    stream = words(folder, hosts=2)
    whole = [*arrays_of(stream.load(5, range(2)).blocks)]
    copy = pickle.loads(pickle.dumps(stream))
    for unit in range(2):
        for alone, array in zip(arrays_of(copy.load(5, [unit]).blocks), whole, strict=True):
            np.testing.assert_array_equal(alone, array[4 * unit : 4 * unit + 4])
    for other in (stream.load(6, [0, 1]), words(folder, seed=1).load(5, [0])):
        pairs = zip(arrays_of(other.blocks), whole, strict=True)
        assert any(not np.array_equal(one, two) for one, two in pairs)


def test_every_text_comes_once_an_epoch_with_its_own_rows(folder):
    stream = words(folder)
    blocks, cut = [], 0
    for step in range(3):  # two epochs of twelve
        found = stream.load(step, [0])
        blocks.append(found.blocks)
        cut += found.counts["text", "cut to its slot"]
    assert cut == 2
    tokens = np.concatenate([block.text.tokens[0] for block in blocks])
    expected = {row.tobytes(): number for number, row in enumerate(TOKENIZER(TEXTS[:11])[:, :8])}
    numbers = [expected.get(row.tobytes(), 11) for row in tokens]
    assert sorted(numbers) == sorted([*range(12)] * 2)
    for name, table in TABLES_OF.items():
        rows = np.concatenate([block.tables[name] for block in blocks])
        of_all = table.open(folder, {}).rows([], TEXTS)
        np.testing.assert_array_equal(rows, of_all[numbers])


def test_standardised_numbers_have_mean_0_and_deviation_1(folder):
    plain, standard = (
        EmbeddingTable(folder="words", standardised=each).open(folder, {}) for each in (False, True)
    )
    found = standard.rows([], TEXTS).astype(np.float32)
    np.testing.assert_allclose(found.mean(axis=0), 0, atol=2e-3)
    np.testing.assert_allclose(found.std(axis=0), 1, atol=2e-3)
    assert plain.fingerprint() != standard.fingerprint()


def test_a_number_that_never_changes_is_no_division_by_zero(tmp_path):
    texts = random_embeddings(tmp_path / "words", TEXTS)
    moments = np.load(tmp_path / "words" / "moments.npy")
    moments[1, 2] = 0
    np.save(tmp_path / "words" / "moments.npy", moments)
    table = EmbeddingTable(folder=str(texts.folder), standardised=True).open(tmp_path, {})
    assert np.isfinite(table.rows([], TEXTS)).all()


def test_captions_find_their_rows_whatever_slot_they_are_in(tmp_path, monkeypatch):
    records = EmojiCaptions(world=WORLD).records(tmp_path, bad_share=0.0)
    captions = sorted({c for n in range(len(records)) for c in records.record(n).captions})
    random_embeddings(tmp_path / "words", captions)
    source = EmojiSource(kind="emoji", world=WORLD)
    settings = CaptionsConfig(
        sources={"emoji": source}, rows=16, tables={"teacher": TABLES_OF["teacher"]}
    )
    block = open_stream(settings, tmp_path).load(2, [0]).blocks
    stored = TABLES_OF["teacher"].open(tmp_path, {}).rows([], captions)
    said = {row.tobytes(): caption for row, caption in zip(stored, captions, strict=True)}
    told = [said[row.tobytes()] for row in block.tables["teacher"]]
    np.testing.assert_array_equal(block.ids[:, 0], text_ids(TOKENIZER(told)))
