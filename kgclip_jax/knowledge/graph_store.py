"""A folder of scene graphs of the captions of a data set, or of its pictures, with random access.

    graphs.json                what is in it; written last
    graphs-00000-of-00012.bin  records, one after the other, see `kgclip_jax.knowledge.graph_record`
    graphs.npy                 where each key is: a row of hashes, sorted, and three of places (the
                               file; where the record begins and ends in it, in numbers of 32 bits)

`launch/prepare.py parse` writes such folders, and `graphs`. Files are mapped into memory, which all
processes of a machine share. The graph of a whole picture has no text.
"""

import hashlib
import mmap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import UInt64

from kgclip_jax.arrays import map_array
from kgclip_jax.errors import DataError
from kgclip_jax.files import atomic_file, write_json, writing
from kgclip_jax.knowledge.graph_record import AGAIN, GraphRecord, pack, plain
from kgclip_jax.knowledge.scene_graph import SceneGraph
from kgclip_jax.schema import check, read_last, to_dict

LAYOUT = 2  # of the files; one before had lines of JSON
CONTENTS = "graphs.json"
INDEX = "graphs.npy"


@dataclass(frozen=True)
class Contents:
    """What a folder of graphs holds.

    Attributes:
        settings: where the graphs come from: source, parser and so on, as plain values.
        parts: number of files.
        records: in them.
        captions: graphs in them.
        objects, attributes, relations: of all graphs.
        related: captions with a relation.
        skipped: number of records, captions, relations ... that were left out, by reason.
        of: what the graphs describe; one of a picture is counted as one caption.
        layout: of the files, as `complete` found them; folders of lines of JSON do not say it.
    """

    settings: dict
    parts: int
    records: int
    captions: int
    objects: int
    attributes: int
    relations: int
    related: int
    skipped: dict[str, int]
    of: Literal["captions", "pictures"] = "captions"
    layout: int = 1

    def __post_init__(self) -> None:
        check(self.parts >= 1, "parts must be positive")
        check(self.related <= self.captions, "related must not exceed captions")


def part_file(number: int, parts: int) -> str:
    """Return the name of a file of graphs."""
    return f"graphs-{number:05d}-of-{parts:05d}.bin"


def pack_picture(key: str, graph: SceneGraph) -> bytes:
    """Return the record of a picture as a whole."""
    return pack(key, _NO_TEXT, [graph])


def complete(folder: Path, contents: Contents) -> Contents:
    """Index the parts of a folder, and write down what it holds; after that, it can be opened.

    Returns:
        What is written down.

    Raises:
        DataError: a record is damaged, or a key comes twice.
        UserError: the disk refuses.
    """
    numbers = chain.from_iterable(_places(folder, contents.parts))
    places = np.fromiter(numbers, np.uint64).reshape(-1, 4).T
    index = places[:, np.argsort(places[0], kind="stable")]
    for i in np.flatnonzero(index[0, 1:] == index[0, :-1]):
        _refuse_twins(folder, contents.parts, *index[1:, i : i + 2].T.tolist())
    path = folder / INDEX
    with atomic_file(path) as temporary, writing(path), temporary.open("wb") as file:
        np.save(file, np.ascontiguousarray(index))
    contents = replace(contents, layout=LAYOUT)
    write_json(folder / CONTENTS, to_dict(contents))
    return contents


def read_contents(folder: Path) -> Contents:
    """Read what a folder holds.

    Raises:
        DataError: it is unfinished or no folder of graphs, it is laid out as before, or the file is
            malformed.
    """
    path = folder / CONTENTS
    finish = "let `python launch/prepare.py` finish (parse, or graphs)"
    contents = read_last(Contents, path, finish=finish, again=AGAIN)
    if contents.layout != LAYOUT:
        raise DataError(
            f"{path}: the files are in layout {contents.layout}, and {LAYOUT} is read; {AGAIN}, "
            "into a new folder"
        )
    return contents


class GraphStore:
    """The graphs of a folder. It pickles as the folder's path; what is read stays on disk.

    Attributes:
        folder: where they are.
        contents: what there is.
    """

    def __init__(self, folder: Path) -> None:
        """Open a folder.

        Raises:
            DataError: it is unfinished, or its index is missing or of another folder.
        """
        self.folder = folder
        self.contents = read_contents(folder)
        index = _read_index(folder / INDEX, self.contents.records)
        self._hashes, self._places = index[0], index[1:]
        self._parts: dict[int, tuple[Path, memoryview]] = {}
        self._last: GraphRecord | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return GraphStore, (self.folder,)

    def __len__(self) -> int:
        return self.contents.records

    def graphs(self, key: str, captions: Sequence[str]) -> GraphRecord:
        """Return the graphs of a record.

        The last one is remembered: one of its captions is asked for, then what all of them say.

        Args:
            key: of the record.
            captions: all of them.

        Raises:
            DataError: there is no such record, it is damaged, or its captions were others when its
                graphs were made.
        """
        last = self._last
        if last is None or last.key != key or last.captions != captions:
            last = self._find(key)
            last.describe(captions)
            self._last = last
        return last

    def picture(self, key: str) -> SceneGraph:
        """Return the graph of a picture. Raises DataError as `graphs` does."""
        return self.graphs(key, _NO_TEXT).graph(0)

    def content(self, key: str) -> bytes:
        """Return all that is stored of a record. Raises DataError as `graphs` does."""
        return self._find(key).content.tobytes()

    def _find(self, key: str) -> GraphRecord:
        # As a Python integer it would be no uint64, and NumPy would convert a copy of all hashes.
        wanted = np.uint64(_number(plain(key)))
        for i in range(int(self._hashes.searchsorted(wanted)), len(self._hashes)):
            if self._hashes[i] != wanted:
                break
            part, start, stop = self._places[:, i].tolist()
            path, numbers = self._part(part)
            record = GraphRecord(numbers[start:stop], path, start)
            if record.key == plain(key):
                return record
        raise DataError(f"{self.folder}: no record {key!r}; {AGAIN}")

    def _part(self, number: int) -> tuple[Path, memoryview]:
        if number not in self._parts:
            path = self.folder / part_file(number, self.contents.parts)
            self._parts[number] = path, _map(path)
        return self._parts[number]


_NO_TEXT = ("",)  # no caption is blank


def _places(folder: Path, parts: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield (hash, part, start, stop) of each record."""
    for part in range(parts):
        path = folder / part_file(part, parts)
        if path.stat().st_size:  # nothing is mapped of an empty one
            numbers, start = _map(path), 0
            while start < len(numbers):
                stop = start + max(numbers[start], 1)
                yield _number(GraphRecord(numbers[start:stop], path, start).key), part, start, stop
                start = stop


def _refuse_twins(folder: Path, parts: int, *places: Sequence[int]) -> None:
    """Raise DataError if two records, the keys of which have the same hash, have the same key."""
    keys = []
    for part, start, stop in places:
        path = folder / part_file(part, parts)
        keys.append(GraphRecord(_map(path)[start:stop], path, start).key)
    if keys[0] == keys[1]:
        raise DataError(f"{path}, record at {start}: another record has the key {keys[0]!r} too")


def _read_index(path: Path, records: int) -> UInt64[np.ndarray, "4 records"]:
    try:
        index = map_array(path)
    except DataError as error:
        raise DataError(f"{error}; {AGAIN}") from error
    if index.shape != (4, records) or index.dtype != np.uint64:
        raise DataError(f"{path}: does not index {records} records; {AGAIN}")
    return index.view(np.ndarray)


def _map(path: Path) -> memoryview:
    """Return the numbers of a file, which stay on disk until they are looked at."""
    try:
        with path.open("rb") as file:
            return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)).cast("I")
    except (OSError, ValueError, TypeError) as error:  # TypeError: no whole numbers
        raise DataError(f"{path}: {error}; {AGAIN}") from error


def _number(key: str) -> int:
    digest = hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little")
