"""Folders of embedded texts: what comes back by the text and by its row, and what is refused."""

import json
import pickle

import numpy as np
import pyarrow as pa
import pytest

from kgclip_jax.data import embedded_texts
from kgclip_jax.data.embedded_texts import (
    EmbeddedContents,
    EmbeddedTexts,
    complete,
    part_file,
    read_contents,
    write_part,
)
from kgclip_jax.errors import DataError

WIDTH = 6
PARTS = (["a dog", "a cat", "größer 🐕"], [], ["a cat", "a train", "a house", "  two  ", "a dog"])
TEXTS = [text for part in PARTS for text in part]
VECTORS = np.random.default_rng(0).normal(size=(len(TEXTS), WIDTH)).astype(np.float32)
LAST = part_file(2, 3)


def write_folder(folder, *, parts=PARTS, vectors=VECTORS, dtype="float32"):
    """Write parts, their index and contents; returns the contents."""
    folder.mkdir(exist_ok=True)
    stored, start = vectors.astype(dtype), 0
    for number, texts in enumerate(parts):
        end = start + len(texts)
        write_part(folder / part_file(number, len(parts)), texts, stored[start:end])
        start = end
    contents = EmbeddedContents(
        settings={"teacher": {"model": "x"}},
        rows=tuple(map(len, parts)),
        texts=start,
        width=vectors.shape[1],
        dtype=dtype,
        fingerprint="0123",
        left_out={"unreadable record": 2},
    )
    complete(folder, contents)
    return contents


@pytest.fixture
def found(tmp_path):
    write_folder(tmp_path / "texts")
    return EmbeddedTexts(tmp_path / "texts")


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_every_text_comes_back_with_its_embedding(tmp_path, dtype):
    contents = write_folder(tmp_path, dtype=dtype)
    found = EmbeddedTexts(tmp_path)
    asked = ["  two  ", "größer 🐕", "a train", "a dog"]
    vectors = found.vectors(found.rows_of(asked))
    assert vectors.dtype == dtype
    expected = [VECTORS.astype(dtype)[TEXTS.index(text)] for text in asked]
    np.testing.assert_array_equal(vectors, expected)
    assert found.texts(found.rows_of(asked)) == asked
    assert (found.contents.settings, found.contents.left_out) == (
        contents.settings,
        contents.left_out,
    )


def test_a_text_of_several_parts_is_the_row_where_it_comes_first(found):
    assert found.rows_of(["a cat", "a dog", "a cat"]).tolist() == [1, 0, 1]
    assert len(found) == 8
    assert found.contents.texts == len(np.unique(found.rows_of(TEXTS))) == 6


def test_rows_of_several_parts_come_in_any_order_and_again(found):
    rows = np.array([7, 0, 3, 0, 2, 5])
    np.testing.assert_array_equal(found.vectors(rows), VECTORS[rows])
    assert found.texts(rows) == [TEXTS[row] for row in rows]
    none = np.array([], int)
    assert (found.vectors(none).shape, found.texts(none)) == ((0, WIDTH), [])


def test_blocks_are_all_rows_in_their_order(found, monkeypatch):
    monkeypatch.setattr(embedded_texts, "_BLOCK", 2)
    blocks = list(found.blocks())
    assert [len(block) for block in blocks] == [2, 1, 2, 2, 1]
    np.testing.assert_array_equal(np.concatenate(blocks), VECTORS)


def test_missing_texts_are_counted_and_the_first_are_named(found):
    strangers = [f"unknown {number}" for number in range(50)]  # hashes before and behind all
    with pytest.raises(DataError) as error:
        found.rows_of(["a dog", *strangers, "a cat"])
    assert f"{found.folder}: 50 of 52 texts" in str(error.value)
    assert "'unknown 0', 'unknown 1', 'unknown 2'; " in str(error.value)
    with pytest.raises(DataError, match="1 of 1 texts"):
        found.rows_of(["a dog "])  # one blank more is another text


def test_a_text_with_half_a_surrogate_pair_is_missing_like_others(found):
    with pytest.raises(DataError, match=r"1 of 2 texts are not in it: 'half \\ud83d'"):
        found.rows_of(["a dog", "half \ud83d"])


def test_moments_are_those_of_numpy(tmp_path, monkeypatch):
    """Over all rows, not only a block of them; numbers that are always the same deviate by 0."""
    monkeypatch.setattr(embedded_texts, "_BLOCK", 300)
    parts = [[f"text {number}" for number in range(start, start + 500)] for start in (0, 500)]
    vectors = np.random.default_rng(1).normal(size=(1000, WIDTH))
    vectors = vectors * [1, 10, 0.01, 0, 0, 0] + [0, 1000, -5, 0, 0.1, -0.7]
    write_folder(tmp_path, parts=parts, vectors=vectors)
    mean, deviation = EmbeddedTexts(tmp_path).moments
    exact = vectors.astype(np.float32).astype(np.float64)
    np.testing.assert_allclose(mean, exact.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(deviation, exact.std(axis=0), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    ("number", "dtype"), [(np.nan, "float32"), (-np.inf, "float32"), (7e4, "float16")]
)
def test_numbers_that_are_not_finite_are_refused_and_nothing_is_written(tmp_path, number, dtype):
    vectors = VECTORS[:3].copy()
    vectors[1, 4] = number
    with np.errstate(over="ignore"):
        stored = vectors.astype(dtype)
    with pytest.raises(DataError, match=rf"x\.arrow: 1 of 3 .* in {dtype}, that of 'a cat'"):
        write_part(tmp_path / "x.arrow", PARTS[0], stored)
    assert list(tmp_path.iterdir()) == []


def test_texts_pickle_cheaply_after_use(found):
    found.vectors(np.arange(8))
    pickled = pickle.dumps(found)
    assert len(pickled) < 500
    copy = pickle.loads(pickled)
    np.testing.assert_array_equal(copy.vectors(copy.rows_of(TEXTS[3:5])), VECTORS[[1, 4]])


def test_embeddings_stay_on_disk_until_they_are_asked_for(tmp_path):
    """They may be larger than memory, and many processes have them open."""
    texts = [f"text {number}" for number in range(2000)]
    write_folder(tmp_path, parts=[texts], vectors=np.ones((2000, 64)))
    before = pa.total_allocated_bytes()
    found = EmbeddedTexts(tmp_path)
    assert sum(len(block) for block in found.blocks()) == 2000
    assert found.texts(np.array([1999])) == ["text 1999"]
    assert pa.total_allocated_bytes() - before < 10_000


class TestDamage:
    def test_an_unfinished_folder(self, tmp_path):
        write_folder(tmp_path)
        (tmp_path / "embeddings.json").unlink()
        with pytest.raises(DataError, match=r"embeddings\.json: not found; let .*prepare\.py emb"):
            EmbeddedTexts(tmp_path)

    @pytest.mark.parametrize("content", ["{", "[]", '{"rows": [8]}'])
    def test_malformed_contents(self, found, content):
        (found.folder / "embeddings.json").write_text(content)
        with pytest.raises(DataError, match=r"embeddings\.json\b.*; let .*prepare\.py embed"):
            EmbeddedTexts(found.folder)

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"rows": []}, r"embeddings\.json: rows must be those of one file or more"),
            ({"rows": [3, -1, 6]}, r"embeddings\.json: rows must be"),
            ({"texts": 9}, r"embeddings\.json: texts must be as many as rows, or fewer"),
            ({"texts": 0}, r"embeddings\.json: texts must be"),
            ({"dtype": "float64"}, r"embeddings\.json\.dtype must be one of float16, float32"),
            ({"texts": 5}, r"texts\.npy: "),
            ({"width": 5}, r"moments\.npy: expected \(2, 5\) numbers, found \(2, 6\)"),
        ],
    )
    def test_contents_that_were_tampered_with(self, found, changes, message):
        path = found.folder / "embeddings.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))
        with pytest.raises(DataError, match=message):
            EmbeddedTexts(found.folder)

    @pytest.mark.parametrize("content", [b"", b"junk", None])
    @pytest.mark.parametrize("name", ["texts.npy", "moments.npy"])
    def test_a_broken_or_lost_array(self, found, name, content):
        path = found.folder / name
        path.unlink()
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(DataError, match=f"{name}: no whole NumPy array"):
            EmbeddedTexts(found.folder)

    @pytest.mark.parametrize(
        "array",
        [
            np.zeros((2, 5), np.uint64),
            np.zeros((2, 6), np.int64),
            np.zeros((3, 6), np.uint64),
            np.zeros(6, np.uint64),
        ],
    )
    def test_an_index_of_something_else(self, found, array):
        np.save(found.folder / "texts.npy", array)
        with pytest.raises(DataError, match=r"texts\.npy: "):
            EmbeddedTexts(found.folder)

    @pytest.mark.parametrize("row", [8, 2**63])
    def test_an_index_that_leads_beyond_the_rows(self, found, row):
        index = np.load(found.folder / "texts.npy")
        index[1] = row
        np.save(found.folder / "texts.npy", index)
        with pytest.raises(DataError, match=r"texts\.npy: "):
            EmbeddedTexts(found.folder).rows_of(["a dog"])

    def test_a_lost_part_is_missed_when_it_is_asked_for(self, found):
        (found.folder / LAST).unlink()
        found = EmbeddedTexts(found.folder)
        assert found.texts(found.rows_of(["a cat"])) == ["a cat"]
        with pytest.raises(DataError, match=rf"{LAST}: .*No such file.*; let .*prepare\.py embed"):
            found.vectors(found.rows_of(["a train"]))

    @pytest.mark.parametrize("content", [b"", b"junk", None])
    def test_a_part_that_is_not_whole(self, found, content):
        path = found.folder / LAST
        path.write_bytes(path.read_bytes()[:-50] if content is None else content)
        with pytest.raises(DataError, match=f"{LAST}: .*; let .*embed"):
            found.texts(np.array([7]))

    @pytest.mark.parametrize(
        ("texts", "shape", "dtype"),
        [
            (PARTS[2][:4], (4, WIDTH), "float32"),
            (PARTS[2], (5, WIDTH + 1), "float32"),
            (PARTS[2], (5, WIDTH), "float16"),
        ],
    )
    def test_a_part_of_another_length_width_or_type(self, found, texts, shape, dtype):
        write_part(found.folder / LAST, texts, np.zeros(shape, dtype))
        with pytest.raises(DataError, match=f"{LAST}: expected 5 texts with 6 numbers of type flo"):
            found.vectors(np.array([7]))

    def test_a_part_that_no_writer_has_made(self, found):
        """Of other columns, of several batches, or with a text that is null."""
        path = found.folder / LAST
        whole = pa.ipc.open_file(pa.py_buffer(path.read_bytes())).read_all()
        others = [
            whole.rename_columns(["caption", "embedding"]).to_batches(),
            whole.to_batches(max_chunksize=3),
            whole.set_column(0, "text", pa.array([None] * 5, pa.large_string())).to_batches(),
        ]
        for batches in others:
            with pa.ipc.new_file(str(path), batches[0].schema) as file:
                for batch in batches:
                    file.write_batch(batch)
            with pytest.raises(DataError, match=f"{LAST}: expected 5 texts"):
                EmbeddedTexts(found.folder).texts(np.array([7]))

    def test_a_number_that_is_no_more_finite(self, found):
        path = found.folder / LAST
        content, old = path.read_bytes(), VECTORS[7].tobytes()
        assert content.count(old) == 1
        path.write_bytes(content.replace(old, b"\xff" * len(old)))
        found = EmbeddedTexts(found.folder)
        assert np.isfinite(found.vectors(np.arange(7))).all()
        with pytest.raises(DataError, match=r"1 of 8 embeddings are not finite; let .*embed"):
            found.vectors(np.arange(8))

    def test_a_part_is_indexed_only_when_all_are_whole(self, tmp_path):
        contents = write_folder(tmp_path)
        (tmp_path / "embeddings.json").unlink()
        (tmp_path / LAST).write_bytes(b"")
        with pytest.raises(DataError, match=LAST):
            complete(tmp_path, contents)
        with pytest.raises(DataError, match=r"embeddings\.json: not found"):
            read_contents(tmp_path)
