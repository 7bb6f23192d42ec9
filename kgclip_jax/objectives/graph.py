"""Entities and what their neighbours in a knowledge graph make of them (Knowledge-CLIP)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from kgclip_jax.models import spec
from kgclip_jax.models.dual_encoder import normalise
from kgclip_jax.objectives.objective import Context, Losses, Objective
from kgclip_jax.objectives.pairs import Candidates, Queries, candidates_of, compare, queries_of
from kgclip_jax.objectives.seen_logits import Choice, Logits
from kgclip_jax.objectives.triplets import check_relations
from kgclip_jax.objectives.walk import fold
from kgclip_jax.objectives.weight_schedule import Weight
from kgclip_jax.ranges import PositiveInt
from kgclip_jax.schema import check


def _block(
    scale: Float[Array, ""], queries: Queries, chunk: Candidates, seen: tuple[Choice, tuple[()]]
) -> tuple[Choice, tuple[()]]:
    entities, nothing = seen
    block = Logits.of(compare(queries, chunk, scale))
    return entities.update(block.of_captions, 1), nothing


def graph_entity(
    entity: Float[Array, "m d"],
    spread: Float[Array, "m d"],
    present: Bool[Array, " m"],
    scale: Float[Array, ""],
    *,
    chunk_size: int | None = None,
) -> Losses:
    """Pick out what the neighbours say of an entity, among what they say of all entities present.

        loss = mean over present i of [ log( sum over present j of e^(s x_i.g_j) ) - s x_i.g_i ]

    Source: L_G2E of Knowledge-CLIP (Pan et al., NeurIPS 2022), Section 3.3.

    Args:
        entity: x, vectors of different entities, of unit length.
        spread: g, what a graph network makes of each, of unit length.
        present: False: neither compared nor counted.
        scale: s, inverse temperature.
        chunk_size: entities compared at a time; None: `walk.plan_walk` decides.

    Returns:
        The loss, 0 where none is present, and the metrics `accuracy` and `entities`, their number.
    """
    candidates = candidates_of(spread)
    there = candidates.facts.at[..., 0].multiply(present[:, None].astype(jnp.int32))
    choice, _ = fold(
        _block,
        scale,
        queries_of(entity),
        candidates._replace(facts=there),
        (Choice.start(len(entity)), ()),
        chunk_size=chunk_size,
    )
    count = jnp.maximum(jnp.sum(present), 1)
    loss = jnp.sum(choice.losses, where=present) / count
    accuracy = jnp.sum(choice.standing.found, where=present) / count
    return Losses(loss, {"accuracy": accuracy, "entities": jnp.sum(present, dtype=jnp.float32)})


@dataclass(frozen=True)
class Graph:
    """The graph-entity loss as a run configures it; reads an `EntityBlock`.

    Roots without an edge that fitted into the block are left out.

    Attributes:
        kind: its name in a config.
        weight: of the objective in the total.
        stream: of neighbourhoods.
        heads: a fusion, which reads entities, and a graph network.
        chunk_size: entities compared at a time; None: by rows and devices.
    """

    kind: Literal["graph"] = "graph"
    weight: Weight = 1.0
    stream: str = "neighbourhoods"
    heads: tuple[str, ...] = ("fusion", "gnn")
    chunk_size: PositiveInt | None = None

    def check(self, model: spec.DualEncoder, objectives: Mapping[str, Objective]) -> None:
        """Refuse another number of heads."""
        check(len(self.heads) == 2, "heads: expected the names of a fusion and a graph network")

    def embed(
        self, heads: Mapping[str, Any], rows: Any, taught: Mapping[str, Any], context: Context
    ) -> dict[str, Array]:
        """Return the vectors of entities as tails alone, and their edges."""
        fusion, network = heads[self.heads[0]], heads[self.heads[1]]
        check_relations(self.heads[1], network.settings.relations, self.stream, context)
        return {
            "entity": fusion.entity(rows.entity, rows.seeds),
            "is_root": rows.is_root,
            "neighbours": rows.neighbours,
            "relations": rows.relations,
            "edge_mask": rows.edge_mask,
        }

    def loss(self, heads: Mapping[str, Any], vectors: Any, context: Context) -> Losses:
        """Spread the vectors, and compare them with what they were."""
        fusion, network = heads[self.heads[0]], heads[self.heads[1]]
        entity, mask = vectors["entity"], vectors["edge_mask"]
        spread = network(entity, vectors["neighbours"], vectors["relations"], mask)
        present = vectors["is_root"] & jnp.any(mask, axis=1)
        found = graph_entity(
            entity, normalise(spread), present, fusion.scale, chunk_size=self.chunk_size
        )
        metrics = {"g2e": found.loss, **found.metrics}
        return Losses(found.loss, metrics)
