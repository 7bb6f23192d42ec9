"""The rows of neighbourhoods: sampled for a whole step in numbers, told and tokenised by rows."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int

from kgclip_jax.batch import EntityBlock, Texts
from kgclip_jax.data.blocks import abstract_array
from kgclip_jax.data.entity_views import EntityViews, cut_to
from kgclip_jax.data.order import Mixture
from kgclip_jax.data.streams.stream import Counts, Rows
from kgclip_jax.data.tokenization.tokenizer_config import Tokenizer
from kgclip_jax.knowledge.graph.knowledge_graph import KnowledgeGraph
from kgclip_jax.knowledge.graph.neighbourhood import NeighbourhoodSampler
from kgclip_jax.random import bits_of


@dataclass(frozen=True)
class NeighbourhoodStream:
    """The rows of `NeighbourhoodsConfig`; implements `kgclip_jax.data.streams.stream.Stream`.

    Attributes:
        name: of the entry in the config.
        views: of the entities of the graph.
        sampler: of neighbourhoods.
        mixture: the order of the triples whose tails become roots.
        roots: most roots of a step.
        units: equal parts that the rows of a step are made in.
        tokenizer: of all texts.
        entity_length: tokens of an entity's text.
        seed: of the run.
    """

    name: str
    views: EntityViews
    sampler: NeighbourhoodSampler
    mixture: Mixture
    roots: int
    units: int
    tokenizer: Tokenizer
    entity_length: int
    seed: int

    @property
    def graph(self) -> KnowledgeGraph:
        """Where the entities come from."""
        return self.views.graph

    @property
    def rows(self) -> int:
        """Entities of a step."""
        return self.sampler.most_entities

    @property
    def unit(self) -> int:
        """Entities that are made together."""
        return self.rows // self.units

    @property
    def refusals(self) -> Mapping[str, str]:
        """What to say when nobody reads the entities."""
        return {"entity": f"config.streams.{self.name} is read by none of the objectives"}

    @property
    def notes(self) -> Sequence[str]:
        """How much of a neighbourhood fits."""
        found = self._sample(0)
        met = found.present + found.left_out
        return [f"neighbourhoods: {found.roots} roots meet {met} entities, {found.present} fit"]

    def load(self, step: int, units: Sequence[int]) -> Rows:
        """Make some units of rows of a step."""
        found = self._sample(step)
        rows = (np.array(units)[:, None] * self.unit + np.arange(self.unit)).ravel()
        bits = bits_of(step * self.rows + rows, 3, self.seed, self.name, "views")
        texts = self.views.texts(found.entities[rows], bits[:, :2])
        tokens, longer = cut_to(self.tokenizer, texts, self.entity_length)
        counts: Counts = Counter(
            {("text", "fitting"): len(texts), ("text", "cut to its slot"): longer}
        )
        if 0 in units:
            counts["neighbourhood", "entities"] += found.present
            counts["neighbourhood", "entities that did not fit"] += found.left_out
        block = EntityBlock(
            entity=Texts((tokens,)),
            is_root=rows < found.roots,
            neighbours=found.neighbours[rows],
            relations=found.relations[rows],
            edge_mask=found.mask[rows],
            seeds=bits[:, 2:].view(np.uint32),
        )
        return Rows(block, +counts)

    def _sample(self, step: int) -> Any:
        rows = np.arange(self.mixture.rows)
        train = self.graph.splits["train"]
        tails = train.triples(self.mixture.draws(step, rows).record).tail
        return self.sampler(_first_different(tails, self.roots), self.seed, self.name, step)

    def constants(self) -> dict[str, Any]:
        """Return the number of relations, as the length of an empty array."""
        return {"relations": np.zeros((len(self.graph.contents.relations), 0), np.float32)}

    def abstract(self) -> EntityBlock:
        """Return the block of a whole step without its values."""
        edges = (self.rows, self.sampler.fanout)
        return EntityBlock(
            entity=Texts((abstract_array((self.rows, self.entity_length), np.int32),)),
            is_root=abstract_array((self.rows,), bool),
            neighbours=abstract_array(edges, np.int32),
            relations=abstract_array(edges, np.int32),
            edge_mask=abstract_array(edges, bool),
            seeds=abstract_array((self.rows, 2), np.uint32),
        )

    def fingerprint(self) -> str:
        """Return that of the graph."""
        return self.graph.contents.fingerprint

    def resolved(self) -> dict[str, Any]:
        """Return nothing: settings say it all."""
        return {}


def _first_different(ids: Int[np.ndarray, " n"], count: int) -> Int[np.ndarray, " most"]:
    """Return the first `count` that differ, or fewer if there are not as many."""
    _, first = np.unique(ids, return_index=True)
    return ids[np.sort(first)[:count]]
