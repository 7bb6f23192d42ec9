"""The edges at each node of a graph, in one direction (compressed sparse rows)."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int, Int32, Int64, UInt64

_LOW = np.int64(0xFFFF_FFFF)


class Sample(NamedTuple):
    """Some edges at each of n nodes."""

    neighbours: Int32[np.ndarray, "n k"]
    relations: Int32[np.ndarray, "n k"]
    mask: Bool[np.ndarray, "n k"]  # False: the node has no more, and the edge means nothing


class Ragged(NamedTuple):
    """Lists of neighbours, one after the other."""

    owner: Int64[np.ndarray, " entries"]  # whose list, in ascending order
    neighbours: Int32[np.ndarray, " entries"]


@dataclass(frozen=True, eq=False)
class Adjacency:
    """Where the edges of each node lead, and by which relation.

    Attributes:
        offsets: those of node i are `edges[offsets[i]:offsets[i + 1]]`; one more than nodes.
        edges: the relation in the upper 32 bits, the neighbour in the lower ones: one look-up finds
            both. Those of a node are sorted and differ from each other.
    """

    offsets: Int64[np.ndarray, " ends"]
    edges: Int64[np.ndarray, " edges"]

    def degrees(self, nodes: Int[np.ndarray, " n"]) -> Int64[np.ndarray, " n"]:
        """Return how many edges each node has."""
        return self.offsets[nodes + 1] - self.offsets[nodes]

    def contains(
        self,
        nodes: Int[np.ndarray, " n"],
        relations: Int[np.ndarray, " n"],
        neighbours: Int[np.ndarray, " n"],
    ) -> Bool[np.ndarray, " n"]:
        """Tell which edges there are, in a time that grows with the logarithm of the degree."""
        wanted = packed(relations, neighbours)
        place = self._first_from(nodes, wanted)
        found = place < self.offsets[nodes + 1]
        found[found] = self.edges[place[found]] == wanted[found]
        return found

    def by_relation(self, nodes: Int[np.ndarray, " n"], relations: Int[np.ndarray, " n"]) -> Ragged:
        """Return the neighbours of each node by one relation."""
        start = self._first_from(nodes, packed(relations, np.zeros_like(relations)))
        stop = self._first_from(nodes, packed(relations + 1, np.zeros_like(relations)))
        owner = np.repeat(np.arange(len(nodes)), stop - start)
        first = np.cumsum(stop - start) - (stop - start)
        _, neighbours = unpacked(self.edges[np.arange(len(owner)) + (start - first)[owner]])
        return Ragged(owner, neighbours)

    def _first_from(
        self, nodes: Int[np.ndarray, " n"], edges: Int64[np.ndarray, " n"]
    ) -> Int64[np.ndarray, " n"]:
        """Return the place of the first edge of each node that is not before the given one."""
        low, high = self.offsets[nodes], self.offsets[nodes + 1]
        open_ones = np.flatnonzero(low < high)
        while open_ones.size:
            start, stop = low[open_ones], high[open_ones]
            middle = (start + stop) >> 1
            before = self.edges[middle] < edges[open_ones]
            start, stop = np.where(before, middle + 1, start), np.where(before, stop, middle)
            low[open_ones], high[open_ones] = start, stop
            open_ones = open_ones[start < stop]
        return low

    def sample(self, nodes: Int[np.ndarray, " n"], bits: UInt64[np.ndarray, "n _"]) -> Sample:
        """Draw up to k edges of each node, all different; each is as likely as any other.

        A node of at most k edges has them all. Of others, one is drawn in each of k equal parts of
        the edges, seen as a ring that is turned at random.

        Args:
            nodes: whose edges.
            bits: k + 1 uniform random numbers for each.
        """
        count = bits.shape[1] - 1
        degrees = self.degrees(nodes)[:, None]
        places = np.arange(count)
        mask = places < degrees
        if not self.edges.size:
            empty = np.zeros(mask.shape, np.int32)
            return Sample(empty, empty, mask)
        starts = np.arange(count + 1) * degrees // count
        drawn = below(bits[:, :count], np.diff(starts)) + starts[:, :-1]
        drawn += below(bits[:, count:], degrees)
        np.subtract(drawn, degrees, out=drawn, where=drawn >= degrees)
        drawn = np.where(degrees > count, drawn, places) + self.offsets[nodes][:, None]
        edges = self.edges[np.minimum(drawn, len(self.edges) - 1, out=drawn)]
        relations, neighbours = unpacked(edges)
        return Sample(neighbours, relations, mask)


def packed(
    relation: Int[np.ndarray, " edges"], neighbour: Int[np.ndarray, " edges"]
) -> Int64[np.ndarray, " edges"]:
    """Join relations and neighbours to one number each, in whose order they sort."""
    return relation.astype(np.int64) << 32 | neighbour.astype(np.int64)


def unpacked(
    edges: Int64[np.ndarray, "*shape"],
) -> tuple[Int32[np.ndarray, "*shape"], Int32[np.ndarray, "*shape"]]:
    """Return the relations and the neighbours of packed edges."""
    return (edges >> 32).astype(np.int32), (edges & _LOW).astype(np.int32)


def below(
    bits: UInt64[np.ndarray, "*shape"], limits: Int64[np.ndarray, "*limits"]
) -> Int64[np.ndarray, "*shape"]:
    """Turn random bits into whole numbers from 0 to limit - 1, or 0 where the limit is 0.

    Limits are at most 2**31; each number has its share of the draws to within 2**-31.
    """
    return ((bits >> np.uint64(33)) * limits.astype(np.uint64) >> np.uint64(31)).astype(np.int64)
