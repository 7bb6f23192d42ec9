"""A folder of scene graphs of the captions of a data set, or of its pictures, with random access.

    graphs.json                  what is in it; written last
    graphs-00000-of-00012.jsonl  a line for each record:
        {"key": "1.jpg", "graphs": [{"caption": "9b1c...", "objects": ..., "relations": ...}, ...]}
    graphs.npy                   where each key is: a row of hashes, sorted, and three of places

`launch/prepare.py parse` writes such folders, and `graphs`. A caption is stored as a hash, by which
a graph knows the text that its spans point into. The graph of a whole picture has no text.
"""

import hashlib
import json
import mmap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import UInt64

from kgclip_jax.arrays import map_array
from kgclip_jax.errors import DataError
from kgclip_jax.files import (
    atomic_file,
    parse_json,
    write_json,
    writing,
)
from kgclip_jax.knowledge.graph_json import graph_from_json, graph_to_json
from kgclip_jax.knowledge.scene_graph import SceneGraph, spans_of
from kgclip_jax.schema import check, read_last, to_dict

CONTENTS = "graphs.json"
INDEX = "graphs.npy"

_REMEMBERED_RECORDS = 16  # one of its captions is asked for, and then all of them


@dataclass(frozen=True)
class Contents:
    """What a folder of graphs holds.

    Attributes:
        settings: where the graphs come from: source, parser and so on, as plain values.
        parts: number of files.
        records: lines in them.
        captions: graphs in them.
        objects, attributes, relations: of all graphs.
        related: captions with a relation.
        skipped: number of records, captions, relations ... that were left out, by reason.
        of: what the graphs describe; one of a picture is counted as one caption.
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

    def __post_init__(self) -> None:
        check(self.parts >= 1, "parts must be positive")
        check(self.related <= self.captions, "related must not exceed captions")


def part_file(number: int, parts: int) -> str:
    """Return the name of a file of graphs."""
    return f"graphs-{number:05d}-of-{parts:05d}.jsonl"


def pack(key: str, captions: Sequence[str], graphs: Sequence[SceneGraph]) -> str:
    """Return the line of a record, with its end."""
    entries = [
        {"caption": _hash(caption).hex(), **graph_to_json(graph)}
        for caption, graph in zip(captions, graphs, strict=True)
    ]
    return json.dumps({"key": key, "graphs": entries}, separators=(",", ":")) + "\n"


def pack_picture(key: str, graph: SceneGraph) -> str:
    """Return the line of a picture as a whole, with its end."""
    return pack(key, [_NO_TEXT], [graph])


def complete(folder: Path, contents: Contents) -> None:
    """Index the parts of a folder, and write down what it holds; after that, it can be opened.

    Raises:
        DataError: a line is malformed, or a key comes twice.
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
    write_json(folder / CONTENTS, to_dict(contents))


def read_contents(folder: Path) -> Contents:
    """Read what a folder holds.

    Raises:
        DataError: it is unfinished or no folder of graphs, or the file is malformed.
    """
    return read_last(
        Contents,
        folder / CONTENTS,
        finish="let `python launch/prepare.py` finish (parse, or graphs)",
        again=_AGAIN,
    )


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
        self._index = _read_index(folder / INDEX, self.contents.records)
        self._parts: dict[int, mmap.mmap] = {}
        self._record = lru_cache(_REMEMBERED_RECORDS)(self._find)

    def __reduce__(self) -> tuple[Any, ...]:
        return GraphStore, (self.folder,)

    def __len__(self) -> int:
        return self.contents.records

    def graph(self, key: str, number: int, caption: str) -> SceneGraph:
        """Return the graph of a caption.

        Args:
            key: of the record.
            number: of the caption, among those of the record.
            caption: its text.

        Raises:
            DataError: there is no such record or caption, the caption was another one when its
                graph was made, a span ends beyond it, or its line is malformed.
        """
        where = f"{self.folder}: caption {number} of record {key!r}"
        graphs = self._record(key).graphs
        if not 0 <= number < len(graphs):
            raise DataError(f"{where}: there are graphs of {len(graphs)} only; {_AGAIN}")
        found = graphs[number]
        decoded = found if isinstance(found, _Decoded) else _decode(found, where)
        if decoded.caption != _hash(caption).hex():
            raise DataError(f"{where}: its graph is not of the text {caption!r}; {_AGAIN}")
        if decoded is not found:  # the first time that it is asked for
            if any(span.stop > len(caption) for span in spans_of(decoded.graph)):
                raise DataError(f"{where}: a span ends beyond the text {caption!r}; {_AGAIN}")
            graphs[number] = decoded
        return decoded.graph

    def graphs(self, key: str, captions: Sequence[str]) -> list[SceneGraph]:
        """Return the graphs of all captions of a record. Raises DataError as `graph` does."""
        return [self.graph(key, number, caption) for number, caption in enumerate(captions)]

    def picture(self, key: str) -> SceneGraph:
        """Return the graph of a picture. Raises DataError as `graph` does."""
        return self.graph(key, 0, _NO_TEXT)

    def line(self, key: str) -> bytes:
        """Return what is stored of a record, as it stands. Raises DataError as `graph` does."""
        return self._record(key).content

    def _find(self, key: str) -> "_Line":
        # As a Python integer it would be no uint64, and NumPy would convert a copy of all hashes.
        wanted = np.uint64(_number(key))
        hashes, *places = self._index
        for i in range(int(np.searchsorted(hashes, wanted)), len(hashes)):
            if hashes[i] != wanted:
                break
            line = self._line(*(int(place[i]) for place in places))
            if line.key == key:
                return line
        raise DataError(f"{self.folder}: no record {key!r}; {_AGAIN}")

    def _line(self, part: int, start: int, stop: int) -> "_Line":
        path = self.folder / part_file(part, self.contents.parts)
        if part not in self._parts:
            self._parts[part] = _map(path)
        return _read_line(self._parts[part][start:stop], f"{path}, byte {start}")


class _Line(NamedTuple):
    """A record as it is stored, and what it says."""

    content: bytes
    key: str
    graphs: list[Any]


class _Decoded(NamedTuple):
    """A graph, and the hash of its caption."""

    caption: str
    graph: SceneGraph


_NO_TEXT = ""  # no caption is blank
_AGAIN = "make the graphs again: python launch/prepare.py parse, or graphs"


def _decode(value: Any, where: str) -> _Decoded:
    if not isinstance(value, dict) or not isinstance(value.get("caption"), str):
        raise DataError(f"{where}: expected an object with the hash of a caption")
    return _Decoded(value["caption"], graph_from_json(value, where))


def _places(folder: Path, parts: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield (hash, part, start, stop) of each record."""
    for part in range(parts):
        path = folder / part_file(part, parts)
        start = 0
        with path.open("rb") as file:
            for line in file:
                key = _read_line(line, f"{path}, byte {start}").key
                yield _number(key), part, start, start + len(line)
                start += len(line)


def _refuse_twins(folder: Path, parts: int, *places: Sequence[int]) -> None:
    """Raise DataError if two lines, the keys of which have the same hash, have the same key."""
    keys = []
    for part, start, stop in places:
        path = folder / part_file(part, parts)
        keys.append(_read_line(_map(path)[start:stop], f"{path}, byte {start}").key)
    if keys[0] == keys[1]:
        raise DataError(f"{path}, byte {start}: another record has the key {keys[0]!r} too")


def _read_line(line: bytes, where: str) -> _Line:
    try:
        content = parse_json(line, where)
    except DataError as error:
        raise DataError(f"{error}; {_AGAIN}") from error
    match content:
        case {"key": str(key), "graphs": list(graphs)}:
            return _Line(line, key, graphs)
    raise DataError(f"{where}: a line must have a key and graphs; {_AGAIN}")


def _read_index(path: Path, records: int) -> UInt64[np.ndarray, "4 records"]:
    try:
        index = map_array(path)
    except DataError as error:
        raise DataError(f"{error}; {_AGAIN}") from error
    if index.shape != (4, records) or index.dtype != np.uint64:
        raise DataError(f"{path}: does not index {records} records; {_AGAIN}")
    return index


def _map(path: Path) -> mmap.mmap:
    try:
        with path.open("rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: {error}; {_AGAIN}") from error


def _number(key: str) -> int:
    return int.from_bytes(_hash(key), "little")


def _hash(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
