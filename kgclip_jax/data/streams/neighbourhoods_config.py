"""Entities of a knowledge graph with edges between them, as a config names them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from kgclip_jax.data.entity_views import EntityViews
from kgclip_jax.data.order import Mixture
from kgclip_jax.data.streams.neighbourhood_stream import NeighbourhoodStream
from kgclip_jax.data.streams.stream import StreamOpening
from kgclip_jax.data.streams.units import units_of
from kgclip_jax.errors import ConfigError
from kgclip_jax.knowledge.graph.graph_folder import entity_views
from kgclip_jax.knowledge.graph.knowledge_graph import KnowledgeGraph
from kgclip_jax.knowledge.graph.neighbourhood import NeighbourhoodSampler
from kgclip_jax.ranges import PositiveInt, Share
from kgclip_jax.schema import LocalPath, check

_DRAWS_OF_A_ROOT = 4  # tails of triples are drawn until there are enough different ones


@dataclass(frozen=True, kw_only=True)
class NeighbourhoodsConfig:
    """Roots, and entities that training triples lead to them from (Knowledge-CLIP, Section 3.3).

    Attributes:
        kind: tells this stream apart from the others.
        graph: folder that `launch/prepare.py graph` writes, absolute or in `data.path`.
        rows: entities in a step, over all devices: each goes through the text tower once. Where a
            step meets more, some of those farthest from the roots are left out, and counted.
        roots: entities that the loss is about; tails of triples.
        fanout: most edges at each entity.
        hops: how far from the roots edges are followed: the layers of the graph network.
        entity_length: tokens that texts of entities are cut to; a model whose texts may not be cut
            takes its context length.
        gloss_share: how often an entity with a name and glosses is told by a gloss.
    """

    kind: Literal["neighbourhoods"] = "neighbourhoods"
    graph: LocalPath
    rows: PositiveInt
    roots: PositiveInt
    fanout: PositiveInt = 8
    hops: PositiveInt = 2
    entity_length: PositiveInt = 32
    gloss_share: Share = 0.5

    def __post_init__(self) -> None:
        check(self.roots < self.rows, "rows must be more than roots: neighbours take some too")

    def check(self, *, reads_graphs: bool) -> None:
        """Accept any model: of entities, a knowledge encoder reads nothing."""

    def open(self, name: str, opening: StreamOpening) -> NeighbourhoodStream:
        """Open the graph.

        Raises:
            DataError: the graph is missing or malformed.
            ConfigError: the graph has entities without name and gloss.
        """
        graph = KnowledgeGraph(Path(opening.data.path) / self.graph)
        train = graph.splits["train"]
        met = np.diff(train.outgoing.offsets) + np.diff(train.incoming.offsets) > 0
        if np.any(met & ~entity_views(graph.entities)["text"]):
            raise ConfigError(
                f"config.streams.{name}.graph: {graph.folder} has entities with neither a name nor "
                "a gloss"
            )
        draws = self.roots * _DRAWS_OF_A_ROOT
        return NeighbourhoodStream(
            name=name,
            graph=graph,
            views=EntityViews(graph, Path(), self.gloss_share),
            sampler=NeighbourhoodSampler(train.incoming, self.fanout, self.hops, self.rows),
            mixture=Mixture([len(train)], [1.0], ["triples"], draws, opening.seed, name),
            roots=self.roots,
            units=units_of([self.rows], opening.hosts),
            tokenizer=opening.preprocessing.tokenizer,
            entity_length=opening.preprocessing.text_length(self.entity_length),
            seed=opening.seed,
        )
