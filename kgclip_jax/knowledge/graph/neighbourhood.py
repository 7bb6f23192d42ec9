"""What lies around some entities: a part of the graph, with a fixed number of edges at each."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Int, Int32

from kgclip_jax.knowledge.graph.adjacency import Adjacency, Sample
from kgclip_jax.random import bits_of


class Neighbourhood(NamedTuple):
    """Different entities and sampled edges between them; m and k are fixed.

    A network of as many layers as there are hops gives the roots what it would give them on trees
    of edges, one root each, but goes through each entity once.

    Attributes:
        entities: the roots, then what the first hop reaches, and so on.
        roots: number of roots.
        present: number of entities; the rows after them mean nothing.
        neighbours: rows of the entities that edges lead to.
        relations: of the same edges.
        mask: False: there is no edge. Entities of the last hop have none.
        left_out: number of entities that were met and did not fit, with the edges that lead there.
    """

    entities: Int32[np.ndarray, " m"]
    roots: int
    present: int
    neighbours: Int32[np.ndarray, "m k"]
    relations: Int32[np.ndarray, "m k"]
    mask: Bool[np.ndarray, "m k"]
    left_out: int


@dataclass(frozen=True, eq=False)
class NeighbourhoodSampler:
    """Samples the edges around some entities, breadth first.

    Attributes:
        adjacency: the edges to follow.
        fanout: k, most edges at each entity.
        hops: how far from the roots edges are followed.
        most_entities: m. When more are met, a random choice of those of the last hops is left out.
    """

    adjacency: Adjacency
    fanout: int
    hops: int
    most_entities: int
    _free: list["_RowTable"] = field(default_factory=list, init=False, repr=False)

    def __call__(self, roots: Int[np.ndarray, " n"], *parts: str | int) -> Neighbourhood:
        """Return a neighbourhood, which is a function of its roots and the parts alone.

        Args:
            roots: the entities in the midst; doubles count once.
            *parts: what the choice depends on: seed, stream, step.

        Raises:
            ValueError: not even the roots fit.
        """
        # A table is as long as the graph: it is emptied and used again, by one thread at a time.
        table = self._free.pop() if self._free else _RowTable(len(self.adjacency.offsets) - 1)
        try:
            return self._sampled(roots, table, parts)
        finally:
            table.clear()
            self._free.append(table)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.adjacency, self.fanout, self.hops, self.most_entities)

    def _sampled(
        self, roots: Int[np.ndarray, " n"], table: "_RowTable", parts: tuple[str | int, ...]
    ) -> Neighbourhood:
        frontier = table.missing(roots)
        count = len(frontier)
        if count > self.most_entities:
            raise ValueError(f"{count} roots do not fit into {self.most_entities} entities")
        table.append(frontier)
        samples: list[Sample] = []
        left_out = [frontier[:0]]
        for _ in range(self.hops):
            bits = bits_of(frontier, self.fanout + 1, *parts)
            samples.append(self.adjacency.sample(frontier, bits))
            frontier = table.missing(samples[-1].neighbours[samples[-1].mask])
            if (spare := self.most_entities - len(table)) < len(frontier):
                order = np.argsort(bits_of(frontier, 1, *parts, "fitting")[:, 0])
                left_out.append(frontier[order[spare:]])
                frontier = frontier[order[:spare]]
            table.append(frontier)
        # Who did not fit at one hop may be met at the next one too.
        return self._padded(samples, table, count, len(np.unique(np.concatenate(left_out))))

    def _padded(
        self, samples: list[Sample], table: "_RowTable", roots: int, left_out: int
    ) -> Neighbourhood:
        met, relations, mask = (np.concatenate(column) for column in zip(*samples, strict=True))
        rows = table.rows(met)
        mask &= rows >= 0
        entities = np.zeros(self.most_entities, np.int32)
        entities[: len(table)] = table.entities()
        neighbours = np.zeros((self.most_entities, self.fanout), np.int32)
        all_relations, all_masks = np.zeros_like(neighbours), np.zeros_like(neighbours, bool)
        inner = slice(len(met))
        np.multiply(rows, mask, out=neighbours[inner])
        np.multiply(relations, mask, out=all_relations[inner])
        all_masks[inner] = mask
        return Neighbourhood(
            entities, roots, len(table), neighbours, all_relations, all_masks, left_out
        )


class _RowTable:
    """The row of each entity in a neighbourhood: a look-up where sorting would take its time."""

    def __init__(self, nodes: int) -> None:
        self._rows = np.full(nodes, -1, np.int32)
        self._entered: list[Int[np.ndarray, " _"]] = []
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def missing(self, entities: Int[np.ndarray, " n"]) -> Int[np.ndarray, " _"]:
        """Return those that have no row, each once."""
        new = entities[self._rows[entities] < 0]
        numbers = np.arange(len(new), dtype=np.int32)
        self._rows[new] = numbers  # of equal ones, one number stays
        distinct = new[self._rows[new] == numbers]
        self._rows[distinct] = -1
        return distinct

    def append(self, entities: Int[np.ndarray, " n"]) -> None:
        """Give the next rows to entities that have none."""
        self._rows[entities] = np.arange(self._length, self._length + len(entities))
        self._entered.append(entities)
        self._length += len(entities)

    def rows(self, entities: Int[np.ndarray, "*shape"]) -> Int32[np.ndarray, "*shape"]:
        """Return the row of each, -1 for those that have none."""
        return self._rows[entities]

    def entities(self) -> Int[np.ndarray, " n"]:
        """Return the entities in the order of their rows."""
        return np.concatenate(self._entered)

    def clear(self) -> None:
        """Take all rows away."""
        for entities in self._entered:
            self._rows[entities] = -1
        self._entered.clear()
        self._length = 0
