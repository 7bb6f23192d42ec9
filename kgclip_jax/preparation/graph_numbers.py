"""Triples in words become triples in numbers, some blocks at a time.

Memory holds the words that differ, and at times as many again.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Int32, Shaped

from kgclip_jax.errors import DataError
from kgclip_jax.files import writing
from kgclip_jax.knowledge.graph.knowledge_graph import SPLITS
from kgclip_jax.knowledge.graph.split_folder import EdgeList

_GROUP = 2**20  # words that are looked up together, or as many as there are
_ROWS = 2**20  # triples that are looked at together, or as many as there are words
_TRIPLE = np.dtype(
    [
        ("head", np.int32),
        ("relation", np.int32),
        ("tail", np.int32),
        ("weight", np.float32),
        ("source", np.int16),
        ("split", np.int8),  # of SPLITS
    ]
)

Triples = Shaped[np.ndarray, " triples"]  # of the type _TRIPLE


class Vocabulary:
    """Words that are numbered as they come first.

    Attributes:
        words: those that there are, by their numbers.
    """

    def __init__(self, words: Iterable[str] | pa.Array = ()) -> None:
        self.words = pa.array(words, pa.large_string())

    def numbers(self, columns: Sequence[pa.ChunkedArray]) -> list[Int32[np.ndarray, " rows"]]:
        """Return the number of each word of some columns; new ones get the next.

        A chunk of a column is a dictionary and its indices: only what differs in it is hashed.
        """
        chunks = [chunk for column in columns for chunk in column.chunks]
        listed = [self.words, *(chunk.dictionary for chunk in chunks)]
        coded = pa.concat_arrays(listed).dictionary_encode()
        codes = np.split(coded.indices.to_numpy(), np.cumsum([len(words) for words in listed])[:-1])
        self.words = coded.dictionary
        found = iter(codes[1:])
        return [
            np.concatenate(
                [np.zeros(0, np.int32)]
                + [next(found)[chunk.indices.to_numpy()] for chunk in column.chunks]
            )
            for column in columns
        ]


class Numbered(NamedTuple):
    """Triples in numbers.

    Attributes:
        rows: head, relation, tail, weight, source and split of each, on disk.
        entities: the words of heads and tails.
        relations: their words.
        sources: their words.
    """

    rows: Triples
    entities: pa.Array
    relations: pa.Array
    sources: pa.Array


class Parted(NamedTuple):
    """The triples of each split, on disk, and how many of unknown entities there were."""

    edges: Mapping[str, EdgeList]
    lost: int
    example: tuple[int, int, int] | None  # head, relation and tail of one


def number_triples(blocks: Iterable[pa.Table], entities: pa.Array, folder: Path) -> Numbered:
    """Number the words of all blocks.

    Args:
        blocks: by `TRIPLE_SCHEMA`.
        entities: keys that are known before, each once.
        folder: where the numbers are kept.

    Raises:
        DataError: a triple is of another split than there are.
        UserError: the disk refuses.
    """
    ends, relations, sources = Vocabulary(entities), Vocabulary(), Vocabulary()
    splits = pa.array(SPLITS, pa.large_string())
    path = folder / "numbers"
    with writing(path), path.open("wb") as file:
        for group in _groups(blocks, ends):
            table = pa.concat_tables(group)
            rows = np.empty(len(table), _TRIPLE)
            rows["head"], rows["tail"] = ends.numbers([table["head"], table["tail"]])
            rows["weight"] = table["weight"].to_numpy()
            for vocabulary, name in ((relations, "relation"), (sources, "source")):
                (rows[name],) = vocabulary.numbers([table[name]])
            words = table["split"].cast(splits.type)
            rows["split"] = pc.index_in(words, splits).fill_null(-1).to_numpy()
            if (rows["split"] < 0).any():
                other = words.filter(pc.invert(pc.is_in(words, splits)))[0]
                raise DataError(f"{folder.parent}: a triple of the split {str(other)!r}")
            file.write(rows.data)
    return Numbered(_mapped(path), ends.words, relations.words, sources.words)


def part_triples(rows: Triples, known: int, folder: Path) -> Parted:
    """Part triples by their splits, without those of entities from the number `known` on.

    Raises:
        UserError: the disk refuses.
    """
    lost, example = 0, None
    paths = {split: folder / f"numbers.{split}" for split in SPLITS}
    with writing(folder), ExitStack() as stack:
        files = [stack.enter_context(path.open("wb")) for path in paths.values()]
        for start in range(0, len(rows), _ROWS):
            part = rows[start : start + _ROWS]
            kept = np.maximum(part["head"], part["tail"]) < known
            if example is None and not kept.all():
                first = part[np.argmin(kept)]
                example = int(first["head"]), int(first["relation"]), int(first["tail"])
            lost += len(part) - int(np.count_nonzero(kept))
            for number, file in enumerate(files):
                file.write(part[kept & (part["split"] == number)].data)
    parted = {split: _mapped(path) for split, path in paths.items()}
    names = EdgeList._fields
    edges = {split: EdgeList(*(found[name] for name in names)) for split, found in parted.items()}
    return Parted(edges, lost, example)


def _groups(blocks: Iterable[pa.Table], ends: Vocabulary) -> Iterator[list[pa.Table]]:
    """Yield blocks together, so that words that are known already are not hashed too often."""
    group: list[pa.Table] = []
    words = rows = 0
    for block in blocks:
        group.append(block)
        rows += len(block)
        chunks = [chunk for name in ("head", "tail") for chunk in block[name].chunks]
        words += sum(len(chunk.dictionary) for chunk in chunks)
        if words >= max(_GROUP, len(ends.words)) or rows >= max(_ROWS, len(ends.words)):
            yield group
            group, words, rows = [], 0, 0
    if group:
        yield group


def _mapped(path: Path) -> Triples:
    if not path.stat().st_size:
        return np.zeros(0, _TRIPLE)
    return np.memmap(path, _TRIPLE, "r")
