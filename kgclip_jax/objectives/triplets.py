"""Triples of a knowledge graph: find an entity, or the relation, from the rest (Knowledge-CLIP)."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int32

from kgclip_jax.batch import TripletBlock
from kgclip_jax.errors import ConfigError
from kgclip_jax.models import spec
from kgclip_jax.models.fusion import Fused
from kgclip_jax.models.rows import concat_rows
from kgclip_jax.objectives.contrastive import softmax_contrastive
from kgclip_jax.objectives.objective import Context, Losses, Objective
from kgclip_jax.objectives.weight_schedule import Weight
from kgclip_jax.ranges import NonNegativeFloat, PositiveInt
from kgclip_jax.schema import check


@dataclass(frozen=True)
class Triplets:
    """Entity-entity and entity-relation losses, over one fusion; reads blocks of triples.

        L = w_e L_E2E + w_r L_E2R

    L_E2E is `softmax_contrastive` between P(h, r, -) and P(-, -, t), or between P(-, r, t) and
    P(h, -, -), as each row says. Other rows that ask for the same, or have the same answer, are no
    negatives. L_E2R is the cross-entropy of the relation given P(h, -, t), over all relations.
    Source: Knowledge-CLIP (Pan et al., NeurIPS 2022), Section 3.3.

    Attributes:
        kind: its name in a config.
        weight: of the objective in the total.
        stream: of triples.
        heads: the fusion.
        entity_weight: w_e.
        relation_weight: w_r.
        chunk_size: rows compared at a time; None: by rows and devices.
    """

    kind: Literal["triplets"] = "triplets"
    weight: Weight = 1.0
    stream: str = "graph"
    heads: tuple[str, ...] = ("fusion",)
    entity_weight: NonNegativeFloat = 1.0
    relation_weight: NonNegativeFloat = 1.0
    chunk_size: PositiveInt | None = None

    def check(self, model: spec.DualEncoder, objectives: Mapping[str, Objective]) -> None:
        """Refuse weights that leave nothing to learn, and more than one head."""
        check(self.entity_weight + self.relation_weight > 0, "both weights are 0")
        check(len(self.heads) == 1, "heads: expected the name of one fusion")

    def collapsed(self, rows: int) -> dict[str, float]:
        """What L_E2E is where all entities are equal."""
        return {"e2e": math.log(rows)}

    def embed(
        self, heads: Mapping[str, Any], rows: Any, taught: Mapping[str, Any], context: Context
    ) -> dict[str, Array]:
        """Return queries, answers and their ids, and the loss of each row's relation.

        Raises:
            ConfigError: the fusion tells another number of relations apart than the graph has.
        """
        ((name, fusion),) = heads.items()
        check_relations(name, fusion.settings.relations, self.stream, context)
        blocks = [_read(fusion, block) for block in rows.values()]
        return {key: concat_rows([block[key] for block in blocks]) for key in blocks[0]}

    def loss(self, heads: Mapping[str, Any], vectors: Any, context: Context) -> Losses:
        """The weighted sum, both parts, and how often each finds what is asked for."""
        (fusion,) = heads.values()
        found = softmax_contrastive(
            vectors["query"],
            vectors["answer"],
            fusion.scale,
            ids=vectors["ids"],
            chunk_size=self.chunk_size,
        )
        relation_loss = jnp.mean(vectors["relation_loss"])
        metrics = {
            "e2e": found.loss,
            "e2r": relation_loss,
            "entity_accuracy": found.metrics["image_to_text_accuracy"],
            "relation_accuracy": jnp.mean(vectors["relation_found"]),
            "equal_pairs": found.metrics["equal_pairs"],
            "scale": fusion.scale,
        }
        loss = self.entity_weight * found.loss + self.relation_weight * relation_loss
        return Losses(loss, metrics)


def check_relations(head: str, told_apart: int, stream: str, context: Context) -> None:
    """Raise ConfigError when a head tells another number of relations apart than the graph has."""
    relations = len(context.constants["relations"])
    if told_apart != relations:
        raise ConfigError(
            f"config.heads.{head}.relations must be {relations}: those of the graph of "
            f"config.streams.{stream}"
        )


def _read(fusion: Callable[..., list[Fused]], block: TripletBlock) -> dict[str, Array]:
    """The row-wise part of both losses."""
    query, answer, rest = fusion(
        block.head, block.relation, block.tail, _present(block.asks_head), block.seeds
    )
    head, relation, tail = jnp.moveaxis(block.ids, 1, 0)
    return {
        "query": query.pooled,
        "answer": answer.pooled,
        "ids": _ids(head, relation, tail, block.asks_head),
        "relation_loss": _cross_entropy(rest, relation),
        "relation_found": (jnp.argmax(rest.relation, axis=1) == relation).astype(jnp.float32),
    }


def _present(asks_head: Bool[Array, " b"]) -> list[Bool[Array, "b 3"]]:
    """Return what is there for the query, for its answer, and for the relation to be told."""
    yes = jnp.ones_like(asks_head)
    query = jnp.stack([~asks_head, yes, asks_head], axis=1)
    return [query, ~query, jnp.stack([yes, ~yes, yes], axis=1)]


def _ids(
    head: Int32[Array, " b"],
    relation: Int32[Array, " b"],
    tail: Int32[Array, " b"],
    asks_head: Bool[Array, " b"],
) -> Int32[Array, "b 2"]:
    """Return an id of each query and of each answer."""
    known, answer = jnp.where(asks_head, tail, head), jnp.where(asks_head, head, tail)
    # Odd factors mix all bits; two queries of a batch meet by accident once in 2**31 pairs.
    mixed = known * jnp.int32(-1640531527) + (2 * relation + asks_head) * jnp.int32(97)
    mixed = mixed ^ (mixed >> 15)
    return jnp.stack([mixed & jnp.int32(0x7FFF_FFFF), answer], axis=1)


def _cross_entropy(rest: Fused, relation: Int32[Array, " b"]) -> Array:
    log_probabilities = jax.nn.log_softmax(rest.relation)
    return -jnp.take_along_axis(log_probabilities, relation[:, None], axis=1)[:, 0]
