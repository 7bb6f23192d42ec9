"""A folder of texts and what a language model makes of each, found by the text.

    embeddings.json                    what is in it; written last
    embeddings-00000-of-00012.arrow    columns text and embedding, Arrow IPC
    texts.npy                          hashes of all texts, sorted, and the row of each
    moments.npy                        mean and standard deviation of each number of an embedding

`launch/prepare.py embed` writes such folders. A text is one row wherever it was found, so a folder
serves any records, splits and orders that say the same; several captions of a picture, and made-up
ones beside human ones, are rows of their own. Nothing is read before it is asked for.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from jaxtyping import Float, Int, Int64

from kgclip_jax.arrays import map_array_of
from kgclip_jax.data.text_index import TextIndex, hashes_of, write_index
from kgclip_jax.errors import DataError
from kgclip_jax.files import atomic_file, write_json, writing
from kgclip_jax.schema import check, read_last, to_dict

CONTENTS, INDEX, MOMENTS = "embeddings.json", "texts.npy", "moments.npy"
AGAIN = "let `python launch/prepare.py embed` make it"
Stored = Literal["float16", "float32"]

_BLOCK = 65_536  # rows that are looked at together


@dataclass(frozen=True)
class EmbeddedContents:
    """What a folder holds.

    Attributes:
        settings: what it was made of and how: source, teacher and so on, as plain values.
        rows: of each file.
        texts: different ones.
        width: numbers of an embedding.
        dtype: in which these are stored.
        fingerprint: hash of all files.
        left_out: number of records that could not be read, by reason.
    """

    settings: dict
    rows: tuple[int, ...]
    texts: int
    width: int
    dtype: Stored
    fingerprint: str
    left_out: dict[str, int]

    def __post_init__(self) -> None:
        check(bool(self.rows) and min(self.rows) >= 0, "rows must be those of one file or more")
        check(1 <= self.texts <= sum(self.rows), "texts must be as many as rows, or fewer")


def part_file(number: int, parts: int) -> str:
    """Return the name of a file of texts."""
    return f"embeddings-{number:05d}-of-{parts:05d}.arrow"


def write_part(path: Path, texts: Sequence[str], vectors: Float[np.ndarray, "n d"]) -> None:
    """Write a file, whole or not at all.

    Raises:
        DataError: a number is not finite in the dtype of `vectors`; the message has the text.
        UserError: the disk refuses.
    """
    if len(bad := np.flatnonzero(~np.isfinite(vectors).all(axis=1))):
        raise DataError(
            f"{path}: {len(bad):,} of {len(texts):,} embeddings are not finite in {vectors.dtype}, "
            f"that of {texts[bad[0]]!r} for one"
        )
    flat = pa.array(np.ascontiguousarray(vectors).reshape(-1))
    embeddings = pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1])
    batch = pa.record_batch([pa.array(texts, pa.large_string()), embeddings], ["text", "embedding"])
    with (
        atomic_file(path) as temporary,
        writing(path, pa.ArrowException),
        pa.ipc.new_file(str(temporary), batch.schema) as file,
    ):
        file.write_batch(batch)


def complete(folder: Path, contents: EmbeddedContents) -> None:
    """Index the files of a folder, and write down what it holds; after that, it can be opened.

    Raises:
        DataError: a file is malformed.
        UserError: the disk refuses.
    """
    parts = _Parts(folder, contents.rows, contents.width, contents.dtype)
    hashes = [hashes_of(parts.texts(number)) for number in range(len(contents.rows))]
    distinct = write_index(folder / INDEX, np.concatenate(hashes))
    path = folder / MOMENTS
    with atomic_file(path) as temporary, writing(path), temporary.open("wb") as file:
        np.save(file, _moments(parts.blocks(), contents.width))
    write_json(folder / CONTENTS, to_dict(contents) | {"texts": distinct})


def read_contents(folder: Path) -> EmbeddedContents:
    """Read what a folder holds.

    Raises:
        DataError: it is unfinished or no folder of embedded texts, or the file is malformed.
    """
    return read_last(EmbeddedContents, folder / CONTENTS, finish=AGAIN, again=AGAIN)


class EmbeddedTexts:
    """The texts of a folder. It pickles as the folder's path; processes share the pages of memory.

    Attributes:
        folder: where they are.
        contents: what there is.
        index: of the rows of texts.
        moments: mean and standard deviation of each number of an embedding, over all rows.
    """

    def __init__(self, folder: Path) -> None:
        """Open a folder.

        Raises:
            DataError: it is unfinished, or a file is missing or of another folder.
        """
        self.folder = folder
        self.contents = read_contents(folder)
        width = self.contents.width
        self.index = TextIndex(folder / INDEX)
        if len(self.index) != self.contents.texts:
            raise DataError(f"{self.index.path}: is not of {self.contents.texts:,} texts; {AGAIN}")
        self.moments = map_array_of(folder / MOMENTS, (2, width), np.float32, again=AGAIN)
        self._parts = _Parts(folder, self.contents.rows, width, self.contents.dtype)

    def __reduce__(self) -> tuple[Any, ...]:
        return EmbeddedTexts, (self.folder,)

    def __len__(self) -> int:
        return sum(self.contents.rows)

    def rows_of(self, texts: Sequence[str]) -> Int64[np.ndarray, " n"]:
        """Return the row of each text. Raises DataError where some are not here."""
        rows = self.index.rows_of(texts)
        if not ((rows >= 0) & (rows < len(self))).all():
            raise DataError(f"{self.index.path}: is not of {len(self):,} rows; {AGAIN}")
        return rows

    def vectors(self, rows: Int[np.ndarray, " n"]) -> Float[np.ndarray, "n d"]:
        """Return the embeddings of some rows. Raises DataError when one is not finite."""
        found = self._parts.vectors(rows)
        if not np.isfinite(found).all():
            bad = int((~np.isfinite(found)).any(axis=1).sum())
            raise DataError(
                f"{self.folder}: {bad:,} of {len(rows):,} embeddings are not finite; {AGAIN}"
            )
        return found

    def texts(self, rows: Int[np.ndarray, " n"]) -> list[str]:
        """Return the texts of some rows."""
        return self._parts.some_texts(rows)

    def blocks(self) -> Iterator[Float[np.ndarray, "_ d"]]:
        """Yield all embeddings, in the order of rows."""
        return self._parts.blocks()


class _Parts:
    """The files of a folder, opened when they are first looked at."""

    def __init__(self, folder: Path, rows: Sequence[int], width: int, dtype: str) -> None:
        self._files = [folder / part_file(n, len(rows)) for n in range(len(rows))]
        self._ends = np.cumsum(rows)
        self._rows, self._width, self._dtype = rows, width, np.dtype(dtype)
        self._open: dict[int, tuple[pa.Array, np.ndarray]] = {}

    def texts(self, number: int) -> list[str]:
        return self._part(number)[0].to_pylist()

    def blocks(self) -> Iterator[np.ndarray]:
        for number in range(len(self._files)):
            vectors = self._part(number)[1]
            for start in range(0, len(vectors), _BLOCK):
                yield vectors[start : start + _BLOCK]

    def vectors(self, rows: np.ndarray) -> np.ndarray:
        found = np.empty((len(rows), self._width), self._dtype)
        for number, mine, places in self._by_file(rows):
            found[mine] = self._part(number)[1][places]
        return found

    def some_texts(self, rows: np.ndarray) -> list[str]:
        found = np.empty(len(rows), object)
        for number, mine, places in self._by_file(rows):
            found[mine] = self._part(number)[0].take(pa.array(places)).to_pylist()
        return found.tolist()

    def _by_file(self, rows: np.ndarray) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """Yield each file that has some of the rows: which ones, and where these are in it."""
        files = np.searchsorted(self._ends, rows, side="right")
        for number in np.unique(files).tolist():
            mine = np.flatnonzero(files == number)
            yield number, mine, rows[mine] - (self._ends[number] - self._rows[number])

    def _part(self, number: int) -> tuple[pa.Array, np.ndarray]:
        if number not in self._open:
            self._open[number] = self._mapped(self._files[number], self._rows[number])
        return self._open[number]

    def _mapped(self, path: Path, rows: int) -> tuple[pa.Array, np.ndarray]:
        kind = pa.list_(pa.from_numpy_dtype(self._dtype), self._width)
        schema = pa.schema([("text", pa.large_string()), ("embedding", kind)])
        try:
            table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
        except (OSError, pa.ArrowException) as error:
            raise DataError(f"{path}: {error}; {AGAIN}") from error
        if (
            not table.schema.equals(schema)
            or (len(table), table["text"].num_chunks) != (rows, 1)
            or table["text"].null_count
        ):
            raise DataError(
                f"{path}: expected {rows:,} texts with {self._width} numbers of type "
                f"{self._dtype}, found {len(table):,} of {table.schema.types}; {AGAIN}"
            )
        texts, embeddings = (table[name].chunk(0) for name in schema.names)  # which stay on disk
        vectors = embeddings.flatten().to_numpy(zero_copy_only=True)
        return texts, vectors.reshape(rows, self._width)


def _moments(
    blocks: Iterator[Float[np.ndarray, "_ d"]], width: int
) -> Float[np.ndarray, "2 {width}"]:
    """Return the mean and the standard deviation of each number, in two sums of float64."""
    count, total, squares = 0, np.zeros(width), np.zeros(width)
    for block in blocks:
        exact = block.astype(np.float64)
        count += len(exact)
        total += exact.sum(axis=0)
        squares += np.square(exact).sum(axis=0)
    mean = total / count
    variance = np.maximum(squares / count - np.square(mean), 0)
    return np.stack([mean, np.sqrt(variance)]).astype(np.float32)
