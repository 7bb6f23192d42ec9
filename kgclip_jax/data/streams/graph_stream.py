"""What the streams of a knowledge graph have in common."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from kgclip_jax.knowledge.graph.knowledge_graph import KnowledgeGraph


@dataclass(frozen=True)
class GraphStream:
    """As much of `kgclip_jax.data.streams.stream.Stream` as does not depend on what the rows are.

    Attributes:
        name: of the entry in the config.
        graph: where the rows come from.
        units: equal parts that the rows of a step are made in.
        seed: of the run.
    """

    name: str
    graph: KnowledgeGraph
    units: int
    seed: int

    @property
    def rows(self) -> int:
        """Rows of a step; subclasses say how many."""
        raise NotImplementedError

    @property
    def unit(self) -> int:
        """Rows that are made together."""
        return self.rows // self.units

    @property
    def refusals(self) -> Mapping[str, str]:
        """Nothing: each block is read, or costs little."""
        return {}

    def constants(self) -> dict[str, Any]:
        """Return the number of relations, as the length of an empty array."""
        return {"relations": np.zeros((len(self.graph.contents.relations), 0), np.float32)}

    def fingerprint(self) -> str:
        """Return that of the graph."""
        return self.graph.contents.fingerprint

    def resolved(self) -> dict[str, Any]:
        """Return nothing: settings say it all."""
        return {}
