"""Writing the triples of a split: sorted, without doubles, indexed from both ends.

Memory holds some millions of triples at a time, and some numbers for each entity.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float32, Int, Int16, Int32, Int64

from kgclip_jax.errors import DataError
from kgclip_jax.files import abandoned_paths, writing
from kgclip_jax.knowledge.graph.adjacency import packed, unpacked
from kgclip_jax.knowledge.graph.growing_columns import growing_columns
from kgclip_jax.knowledge.graph.key_ranges import Records, in_key_ranges
from kgclip_jax.knowledge.graph.knowledge_graph import VIEW_PAIRS

COLUMNS = (
    *("heads", "weights", "sources"),
    *(f"{side}.{part}" for side in ("outgoing", "incoming") for part in ("offsets", "edges")),
    *(f"rows.{pair}" for pair in VIEW_PAIRS),
)
Views = Mapping[str, Bool[np.ndarray, " entities"]]

_ROWS = 2**20  # triples that are looked at together
_TRIPLE = np.dtype([("key", np.int64), ("weight", np.float32), ("source", np.int16)])
_EDGE = np.dtype([("key", np.int64)])


class EdgeList(NamedTuple):
    """Triples in any order, by the numbers of entities and relations."""

    head: Int32[np.ndarray, " n"]
    relation: Int32[np.ndarray, " n"]
    tail: Int32[np.ndarray, " n"]
    weight: Float32[np.ndarray, " n"]
    source: Int16[np.ndarray, " n"]

    @classmethod
    def of(
        cls,
        head: Int[np.ndarray, " n"],
        relation: Int[np.ndarray, " n"],
        tail: Int[np.ndarray, " n"],
        weight: Float[np.ndarray, " n"],
        source: Int[np.ndarray, " n"],
    ) -> "EdgeList":
        """Return the list of columns of any width."""
        return cls(
            head.astype(np.int32),
            relation.astype(np.int32),
            tail.astype(np.int32),
            weight.astype(np.float32),
            source.astype(np.int16),
        )


class EdgeKeys(NamedTuple):
    """Edges as one number each, in whose order they sort by node, relation and neighbour.

    Attributes:
        entities: number of nodes.
        relations: their number.
    """

    entities: int
    relations: int

    def check(self) -> None:
        """Raise DataError when there are more edges than numbers."""
        if self.entities >= 2**31 or self.entities * self.relations * self.entities >= 2**63:
            raise DataError(
                f"{self.entities:,} entities and {self.relations:,} relations are too many to be "
                "indexed: keep the most frequent relations, or the largest part of the graph"
            )

    def of(
        self,
        node: Int[np.ndarray, " n"],
        relation: Int[np.ndarray, " n"],
        neighbour: Int[np.ndarray, " n"],
    ) -> Int64[np.ndarray, " n"]:
        """Return the number of each edge."""
        return (node.astype(np.int64) * self.relations + relation) * self.entities + neighbour

    def parted(
        self, keys: Int64[np.ndarray, " n"]
    ) -> tuple[Int64[np.ndarray, " n"], Int64[np.ndarray, " n"], Int64[np.ndarray, " n"]]:
        """Return the nodes, relations and neighbours of numbers."""
        ends, neighbours = np.divmod(keys, self.entities)
        return *np.divmod(ends, self.relations), neighbours


def write_split(folder: Path, edges: EdgeList, keys: EdgeKeys, views: Views) -> int:
    """Write the columns of a split, see `knowledge_graph.Split`; return how many triples it has.

    Of equal triples the heaviest stays, of those the first.

    Args:
        folder: of the columns; it is made.
        edges: may be memory-mapped.
        keys: of the graph.
        views: which entities can be seen as an image, and which as a text.

    Raises:
        DataError: there are 2**31 triples or more, whose rows 32 bits cannot count.
        UserError: the disk refuses.
    """
    if len(edges.head) >= 2**31:
        raise DataError(f"{folder}: {len(edges.head):,} triples are more than 2**31 - 1")
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for path in abandoned_paths(folder):
            path.unlink(missing_ok=True)
    _write_outgoing(folder, edges, keys)
    heads = np.load(folder / "heads.npy", mmap_mode="r")
    outgoing = np.load(folder / "outgoing.edges.npy", mmap_mode="r")
    _write_incoming(folder, heads, outgoing, keys)
    _write_rows_of(folder, heads, outgoing, views)
    return len(heads)


def _write_outgoing(folder: Path, edges: EdgeList, keys: EdgeKeys) -> None:
    def listed() -> Iterator[Records]:
        for start in range(0, len(edges.head), _ROWS):
            part = EdgeList(*(column[start : start + _ROWS] for column in edges))
            records = np.empty(len(part.head), _TRIPLE)
            records["key"] = keys.of(part.head, part.relation, part.tail)
            records["weight"], records["source"] = part.weight, part.source
            yield records

    columns = {"heads": np.int32, "weights": np.float32, "sources": np.int16}
    degrees = np.zeros(keys.entities, np.int64)
    with growing_columns(folder, columns | {"outgoing.edges": np.int64}) as append:
        for records in in_key_ranges(listed, len(edges.head), folder):
            order = np.lexsort((-records["weight"], records["key"]))
            is_new = np.diff(records["key"][order], prepend=-1) != 0
            records = records[order[is_new]]
            head, relation, tail = keys.parted(records["key"])
            degrees += np.bincount(head, minlength=keys.entities)
            append({"heads": head, "outgoing.edges": packed(relation, tail)})
            append({"weights": records["weight"], "sources": records["source"]})
    _write_offsets(folder, "outgoing", degrees)


def _write_incoming(
    folder: Path,
    heads: Int32[np.ndarray, " triples"],
    outgoing: Int64[np.ndarray, " triples"],
    keys: EdgeKeys,
) -> None:
    def listed() -> Iterator[Records]:
        for start in range(0, len(heads), _ROWS):
            relation, tail = unpacked(outgoing[start : start + _ROWS])
            yield keys.of(tail, relation, heads[start : start + _ROWS]).view(_EDGE)

    degrees = np.zeros(keys.entities, np.int64)
    with growing_columns(folder, {"incoming.edges": np.int64}) as append:
        for records in in_key_ranges(listed, len(heads), folder):
            tail, relation, head = keys.parted(np.sort(records["key"]))
            degrees += np.bincount(tail, minlength=keys.entities)
            append({"incoming.edges": packed(relation, head)})
    _write_offsets(folder, "incoming", degrees)


def _write_offsets(folder: Path, side: str, degrees: Int64[np.ndarray, " entities"]) -> None:
    with growing_columns(folder, {f"{side}.offsets": np.int64}) as append:
        append({f"{side}.offsets": np.concatenate([[0], np.cumsum(degrees)])})


def _write_rows_of(
    folder: Path,
    heads: Int32[np.ndarray, " triples"],
    outgoing: Int64[np.ndarray, " triples"],
    views: Views,
) -> None:
    """Find the triples of each pair; of an entity with itself, only between image and text."""
    with growing_columns(folder, {f"rows.{pair}": np.int32 for pair in VIEW_PAIRS}) as append:
        for start in range(0, len(heads), _ROWS):
            head = heads[start : start + _ROWS]
            _, tail = unpacked(outgoing[start : start + _ROWS])
            for pair in VIEW_PAIRS:
                one, other = pair.split("_")
                both = views[one][head] & views[other][tail]
                both = both & (head != tail) if one == other else both
                append({f"rows.{pair}": np.flatnonzero(both) + start})
