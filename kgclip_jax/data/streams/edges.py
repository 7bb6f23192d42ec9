"""Triples of a knowledge graph by number, with filtered negatives, for graphs without text."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from kgclip_jax.batch import EdgeBlock
from kgclip_jax.data.blocks import abstract_array
from kgclip_jax.data.order import Mixture
from kgclip_jax.data.streams.graph_stream import GraphStream
from kgclip_jax.data.streams.stream import Counts, Rows, StreamOpening
from kgclip_jax.data.streams.units import rows_in, units_of
from kgclip_jax.knowledge.graph.corruption import corrupted
from kgclip_jax.knowledge.graph.knowledge_graph import KnowledgeGraph
from kgclip_jax.random import bits_of
from kgclip_jax.ranges import NonNegativeInt, PositiveInt
from kgclip_jax.schema import LocalPath


@dataclass(frozen=True, kw_only=True)
class EdgesConfig:
    """Triples of the graph's training split, as a config names them.

    Attributes:
        kind: tells this stream apart from the others.
        graph: folder that `launch/prepare.py graph` writes, absolute or in `data.path`.
        rows: triples in a step, over all devices.
        negatives: wrong ends for each, none of which is true in any split.
    """

    kind: Literal["edges"] = "edges"
    graph: LocalPath
    rows: PositiveInt
    negatives: NonNegativeInt = 0

    def check(self, *, reads_graphs: bool) -> None:
        """Accept any model: nothing goes through its towers."""

    def open(self, name: str, opening: StreamOpening) -> "EdgeStream":
        """Open the graph. Raises DataError when it is missing or malformed."""
        graph = KnowledgeGraph(Path(opening.data.path) / self.graph)
        length = len(graph.splits["train"])
        mixture = Mixture([length], [1.0], ["triples"], self.rows, opening.seed, name)
        units = units_of([self.rows], opening.hosts)
        return EdgeStream(name, graph, units, opening.seed, mixture, self.negatives)


@dataclass(frozen=True)
class EdgeStream(GraphStream):
    """The rows of `EdgesConfig`; implements `kgclip_jax.data.streams.stream.Stream`.

    Attributes:
        mixture: the order of the triples.
        negatives: of each triple.
    """

    mixture: Mixture
    negatives: int

    @property
    def rows(self) -> int:
        """Triples of a step."""
        return self.mixture.rows

    @property
    def notes(self) -> Sequence[str]:
        """How large the graph is."""
        count = len(self.graph.splits["train"])
        return [f"edges: {count:,} triples between {len(self.graph):,} entities"]

    def load(self, step: int, units: Sequence[int]) -> Rows:
        """Make some units of rows of a step."""
        rows = rows_in(units, self.unit)
        triples = self.graph.splits["train"].triples(self.mixture.draws(step, rows).record)
        bits = bits_of(step * self.rows + rows, self.negatives, self.seed, self.name, "negatives")
        found = corrupted(self.graph, triples, bits)
        counts: Counts = Counter()
        counts["negatives", "found"] += int(np.count_nonzero(found.mask))
        counts["negatives", "none found"] += int(np.count_nonzero(~found.mask))
        ids = np.stack(triples, axis=1)
        return Rows(EdgeBlock(ids, found.entities, found.of_head, found.mask), +counts)

    def constants(self) -> dict[str, Any]:
        """Return the numbers of relations and of entities, as the lengths of empty arrays."""
        return {**super().constants(), "entities": np.zeros((len(self.graph), 0), np.float32)}

    def abstract(self) -> EdgeBlock:
        """Return the block of a whole step without its values."""
        wrong = (self.rows, self.negatives)
        return EdgeBlock(
            ids=abstract_array((self.rows, 3), np.int32),
            negatives=abstract_array(wrong, np.int32),
            of_head=abstract_array(wrong, bool),
            negative_mask=abstract_array(wrong, bool),
        )
