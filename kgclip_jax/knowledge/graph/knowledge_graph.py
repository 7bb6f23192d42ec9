"""A knowledge graph: entities, relations and triples, in memory-mapped columns of a folder.

    graph.json         what is in it; written last
    entities.arrow     a row for each entity, in the Arrow IPC format
    SPLIT/*.npy        the triples of train, valid and test, for random access from either end

`graph_folder.write_graph` makes such folders. Opening one reads no column, however large; processes
that have it open share the pages of memory.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float32, Int, Int16, Int32

from kgclip_jax.arrays import map_array
from kgclip_jax.errors import DataError
from kgclip_jax.knowledge.graph.adjacency import Adjacency, unpacked
from kgclip_jax.schema import check, read_last

CONTENTS = "graph.json"
ENTITIES = "entities.arrow"
SPLITS = ("train", "valid", "test")
VIEWS = ("image", "text")
VIEW_PAIRS = tuple(f"{head}_{tail}" for head in VIEWS for tail in VIEWS)

BOX = pa.list_(pa.int32(), 4)  # left, top, width and height in pixels
ENTITY_SCHEMA = pa.schema(
    [
        pa.field("key", pa.large_string(), nullable=False),  # in its source: "/c/en/dog"
        pa.field("name", pa.large_string(), nullable=False),  # "dog"; "" when it has none
        pa.field("glosses", pa.large_list(pa.large_string()), nullable=False),
        pa.field("images", pa.large_list(pa.large_string()), nullable=False),  # files
        pa.field("box", BOX),  # the part of its images that shows it; null: the whole
        pa.field("kind", pa.dictionary(pa.int32(), pa.string()), nullable=False),
    ]
)


@dataclass(frozen=True)
class GraphContents:
    """What a folder holds.

    Attributes:
        entities: their number.
        relations: names, as in the source.
        phrases: the words of each relation, as a text encoder reads them.
        triples: number of those of each split.
        sources: where triples come from.
        pictures: folder that the images of entities lie in.
        left_out: number of entities, triples ... that could not be used, by reason.
        fingerprint: hash of all that the graph holds.
        settings: what it was made of, as plain values.
    """

    entities: int
    relations: tuple[str, ...]
    phrases: tuple[str, ...]
    triples: dict[str, int]
    sources: tuple[str, ...]
    pictures: str
    left_out: dict[str, int]
    fingerprint: str
    settings: dict

    def __post_init__(self) -> None:
        check(self.entities >= 1, "entities must be positive")
        check(len(self.relations) == len(self.phrases), "each relation has one phrase")
        check(tuple(self.triples) == SPLITS, f"triples must be of {', '.join(SPLITS)}")


class TripleIds(NamedTuple):
    """Some triples, by the numbers of entities and relations."""

    head: Int32[np.ndarray, " n"]
    relation: Int32[np.ndarray, " n"]
    tail: Int32[np.ndarray, " n"]


@dataclass(frozen=True, eq=False)
class Split:
    """The triples of training, validation or test, sorted by (head, relation, tail).

    Attributes:
        heads: of each triple; its relation and tail are the edge of the same row of `outgoing`.
        weights: of each triple, for what the graph is given to: streams draw all alike.
        sources: likewise, an index of `GraphContents.sources`.
        outgoing: edges from heads to tails.
        incoming: the same edges from tails to heads.
        rows_of: rows whose head and tail can be seen so, by VIEW_PAIRS: "image_text". A triple that
            joins an entity with itself is none between equal views, where it says nothing.
    """

    heads: Int32[np.ndarray, " triples"]
    weights: Float32[np.ndarray, " triples"]
    sources: Int16[np.ndarray, " triples"]
    outgoing: Adjacency
    incoming: Adjacency
    rows_of: Mapping[str, Int32[np.ndarray, " _"]]

    def __len__(self) -> int:
        return len(self.heads)

    def triples(self, rows: Int[np.ndarray, " n"]) -> TripleIds:
        """Return the triples of some rows."""
        relations, tails = unpacked(self.outgoing.edges[rows])
        return TripleIds(self.heads[rows], relations, tails)


class KnowledgeGraph:
    """The graph of a folder. It pickles as the folder's path.

    Attributes:
        folder: where it is.
        contents: what there is.
        splits: the triples of "train", "valid" and "test".
    """

    def __init__(self, folder: Path) -> None:
        """Open a folder.

        Raises:
            DataError: it is unfinished or no folder of a knowledge graph, or a file of it is
                missing or not as long as `graph.json` says.
        """
        self.folder = folder
        self.contents = read_graph_contents(folder)
        self.splits: Mapping[str, Split] = {
            name: read_split(folder / name, self.contents.entities, count)
            for name, count in self.contents.triples.items()
        }

    def __reduce__(self) -> tuple[Any, ...]:
        return KnowledgeGraph, (self.folder,)

    def __repr__(self) -> str:
        return f"KnowledgeGraph({str(self.folder)!r}, {self.contents.fingerprint})"

    def __len__(self) -> int:
        return self.contents.entities

    @cached_property
    def entities(self) -> pa.Table:
        """A row for each entity, see ENTITY_SCHEMA; it stays on disk."""
        path = self.folder / ENTITIES
        try:
            table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
        except (OSError, pa.ArrowInvalid) as error:
            raise DataError(f"{path}: {error}; {AGAIN}") from error
        if not table.schema.equals(ENTITY_SCHEMA) or len(table) != len(self):
            raise DataError(f"{path}: does not hold the columns of {len(self)} entities; {AGAIN}")
        return table

    def names(self, entities: Int[np.ndarray, " n"]) -> list[str]:
        """Return the names of some entities."""
        return self.entities["name"].take(pa.array(entities)).to_pylist()

    def labels(self, entities: Int[np.ndarray, " n"]) -> list[str]:
        """Return the name of each, or else its first gloss, or else its key."""
        rows = self.entities.select(["name", "glosses", "key"]).take(pa.array(entities)).to_pylist()
        return [row["name"] or next(iter(row["glosses"]), "") or row["key"] for row in rows]

    def contains(
        self,
        head: Int[np.ndarray, " n"],
        relation: Int[np.ndarray, " n"],
        tail: Int[np.ndarray, " n"],
    ) -> Bool[np.ndarray, " n"]:
        """Tell which triples are true: those of any split."""
        found = np.zeros(len(head), bool)
        for split in self.splits.values():
            if len(split):
                found |= split.outgoing.contains(head, relation, tail)
        return found


AGAIN = "make the graph again: python launch/prepare.py graph"


def read_graph_contents(folder: Path) -> GraphContents:
    """Read what a folder holds.

    Raises:
        DataError: it is unfinished or no folder of a knowledge graph, or the file is malformed.
    """
    return read_last(
        GraphContents,
        folder / CONTENTS,
        finish="let `python launch/prepare.py graph` finish",
        again=AGAIN,
    )


def read_split(folder: Path, entities: int, triples: int) -> Split:
    """Map the columns of a split. Raises DataError when one is missing or of another length."""

    def column(name: str, dtype: type, length: int | None) -> np.ndarray:
        return _column(folder / f"{name}.npy", dtype, length)

    def adjacency(name: str) -> Adjacency:
        return Adjacency(
            column(f"{name}.offsets", np.int64, entities + 1),
            column(f"{name}.edges", np.int64, triples),
        )

    return Split(
        heads=column("heads", np.int32, triples),
        weights=column("weights", np.float32, triples),
        sources=column("sources", np.int16, triples),
        outgoing=adjacency("outgoing"),
        incoming=adjacency("incoming"),
        rows_of={pair: column(f"rows.{pair}", np.int32, None) for pair in VIEW_PAIRS},
    )


def _column(path: Path, dtype: type, length: int | None) -> np.ndarray:
    try:
        column = map_array(path)
    except DataError as error:
        raise DataError(f"{error}; {AGAIN}") from error
    if column.shape != (len(column) if length is None else length,) or column.dtype != dtype:
        raise DataError(f"{path}: expected {length} numbers of type {dtype.__name__}; {AGAIN}")
    return column.view(np.ndarray)
