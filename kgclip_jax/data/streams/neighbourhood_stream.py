"""The rows of neighbourhoods: sampled for a whole step in numbers, told and tokenised by rows."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Int

from kgclip_jax.batch import EntityBlock, Texts
from kgclip_jax.data.blocks import abstract_array
from kgclip_jax.data.entity_views import EntityViews, cut_to
from kgclip_jax.data.order import Mixture
from kgclip_jax.data.streams.graph_stream import GraphStream
from kgclip_jax.data.streams.stream import Counts, Rows
from kgclip_jax.data.streams.units import rows_in
from kgclip_jax.data.tokenization.tokenizer_config import Tokenizer
from kgclip_jax.knowledge.graph.neighbourhood import Neighbourhood, NeighbourhoodSampler
from kgclip_jax.random import bits_of


@dataclass(frozen=True)
class NeighbourhoodStream(GraphStream):
    """The rows of `NeighbourhoodsConfig`; implements `kgclip_jax.data.streams.stream.Stream`.

    Attributes:
        views: of the entities of the graph.
        sampler: of neighbourhoods.
        mixture: the order of the triples whose tails become roots.
        roots: most roots of a step.
        tokenizer: of all texts.
        entity_length: tokens of an entity's text.
    """

    views: EntityViews
    sampler: NeighbourhoodSampler
    mixture: Mixture
    roots: int
    tokenizer: Tokenizer
    entity_length: int
    # That of the step asked for last, whose further units follow; a pickled stream has none.
    _last: dict[int, Neighbourhood] = field(default_factory=dict, init=False, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_last": {}}

    @property
    def rows(self) -> int:
        """Entities of a step."""
        return self.sampler.most_entities

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
        rows = rows_in(units, self.unit)
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

    def _sample(self, step: int) -> Neighbourhood:
        """Return the neighbourhood of a step."""
        found = self._last.get(step)
        if found is None:
            draws = self.mixture.draws(step, np.arange(self.mixture.rows))
            tails = self.graph.splits["train"].triples(draws.record).tail
            roots = _first_different(tails, self.roots)
            found = self.sampler(roots, self.seed, self.name, step)
            self._last.clear()
            self._last[step] = found
        return found

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


def _first_different(ids: Int[np.ndarray, " n"], count: int) -> Int[np.ndarray, " most"]:
    """Return the first `count` that differ, or fewer if there are not as many."""
    _, first = np.unique(ids, return_index=True)
    return ids[np.sort(first)[:count]]
