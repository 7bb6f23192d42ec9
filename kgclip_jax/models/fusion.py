"""A transformer over the un-pooled tokens of a triple's ends and its pooled relation.

Knowledge-CLIP (Pan et al., NeurIPS 2022), Section 3.2. Any element of a triple may be absent: it is
then to be found, or is no part of what is read out. The paper leaves the read-out open: here it is
the average over the tokens of what is present, mapped to the space of the embeddings, or what that
adds to the embeddings of the entities present.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float, UInt32

from kgclip_jax.batch import Features
from kgclip_jax.errors import ConfigError
from kgclip_jax.models import spec
from kgclip_jax.models.dual_encoder import normalise
from kgclip_jax.models.initial_values import gaussian, gpt2_block
from kgclip_jax.models.layers import LayerNorm, Linear, Projection, gelu_erf
from kgclip_jax.models.link_model import LinkRows
from kgclip_jax.models.rows import concat_rows, split_rows
from kgclip_jax.models.transformer import (
    UNROLLED,
    Execution,
    drop_path,
    run_blocks,
    stack_blocks,
)
from kgclip_jax.ranges import PositiveInt, Range

TAIL = 2  # its slot, after those of head and relation

_MAX_SCALE = 100.0


class Fused(NamedTuple):
    """What is read out of triples.

    Attributes:
        pooled: of what is present, of unit length.
        relation: logits of all relations, float32, read at the relation's place.
    """

    pooled: Float[Array, "b d"]
    relation: Float[Array, "b relations"]


class Fusion(nnx.Module):
    """Projections -> slot and modality embeddings -> transformer -> read-outs."""

    def __init__(self, settings: "FusionHead", model: spec.DualEncoder, *, rngs: nnx.Rngs) -> None:
        shape = settings.transformer
        width = shape.width

        def table(rows: int) -> nnx.Param:
            return nnx.Param(0.02 * jax.random.normal(rngs.params(), (rows, width)))

        def linear(inputs: int) -> Linear:
            return Linear(inputs, width, init=gaussian(inputs**-0.5), rngs=rngs)

        def projection(outputs: int, std: float) -> Projection:
            return Projection(width, outputs, init=gaussian(std), rngs=rngs)

        self.image = linear(model.vision.transformer.width)
        self.text = linear(model.text.transformer.width)
        self.relation = linear(model.embedding)
        self.slots = table(3)
        self.modalities = table(2)
        self.blocks = stack_blocks(shape, init=gpt2_block(shape), rngs=rngs)
        self.norm = LayerNorm(width, eps=shape.norm_eps)
        self.projection = projection(model.embedding, 0.0 if settings.residual else width**-0.5)
        self.hidden = linear(width)
        self.classes = projection(settings.relations, width**-0.5)
        self.log_scale = nnx.Param(jnp.log(jnp.asarray(1 / settings.temperature, jnp.float32)))
        self.settings = settings

    @property
    def scale(self) -> Float[Array, ""]:
        """The factor of cosines: learned, and at most 100.

        Where the limit holds, the gradient passes all the same: it leads back below.
        """
        scale = jnp.exp(self.log_scale[...])
        return scale + jax.lax.stop_gradient(jnp.minimum(scale, _MAX_SCALE) - scale)

    def __call__(
        self,
        head: Features,
        relation: Features,
        tail: Features,
        present: Sequence[Bool[Array, "b 3"]],
        seeds: UInt32[Array, "b 2"] | None = None,
    ) -> list[Fused]:
        """Read the same triples with different elements present, all in one pass.

        Args:
            head: un-pooled tokens of texts, or of images, all of which are visible.
            relation: pooled.
            tail: as `head`.
            present: which of head, relation and tail are there, once for each reading. What is
                absent has no influence on the result, whatever it holds.
            seeds: of each row for drop path; None: nothing is left out.
        """
        heads, tails = self._tokens(head), self._tokens(tail)
        relations = self.relation(relation.pooled).astype(heads.tokens.dtype)[:, None]
        elements = [heads, _Element(relations, jnp.ones(relations.shape[:2], bool)), tails]
        readings = [self._read(elements, there) for there in present]
        tokens, keys, read = (concat_rows(parts) for parts in zip(*readings, strict=True))
        seeds = None if seeds is None else concat_rows([seeds] * len(present))
        y = self._transform(tokens, keys, seeds)
        rows = [len(there) for there in present]
        pooled = split_rows(self._pool(y, read, self._embeddings(head, tail, present)), rows)
        logits = split_rows(self._classify(y[:, heads.tokens.shape[1]]), rows)
        return [Fused(*both) for both in zip(pooled, logits, strict=True)]

    def entity(
        self, tail: Features, seeds: UInt32[Array, "b 2"] | None = None
    ) -> Float[Array, "b d"]:
        """Read entities alone, as tails without head and relation, which take up no tokens here."""
        element = self._tokens(tail)
        tokens = element.tokens + self.slots[...][TAIL].astype(element.tokens.dtype)
        y = self._transform(tokens, element.visible, seeds)
        return self._pool(y, element.visible, tail.pooled if self.settings.residual else None)

    def query_vectors(self, rows: LinkRows) -> Float[Array, "b d"]:
        """Return P(h, r, -), or P(-, r, t) where the head is asked for; see `LinkModel`."""
        return self._read_links(rows, relation=True)

    def entity_vectors(self, rows: LinkRows) -> Float[Array, "b d"]:
        """Return P(-, -, t), or P(h, -, -) where the head is asked for; see `LinkModel`."""
        answers = rows._replace(asks_head=~rows.asks_head)
        return self._read_links(answers, relation=False)

    def scores_of_all(
        self, query: Float[Array, "b d"], candidates: Float[Array, "entities d"]
    ) -> Float[Array, "b entities"]:
        """Return cosines."""
        return query @ candidates.T

    def relation_logits(self, head: Features, tail: Features) -> Float[Array, "b relations"]:
        """Return the logits at the relation's place of P(h, -, t)."""
        present = jnp.broadcast_to(jnp.array([True, False, True]), (len(head.tokens), 3))
        (fused,) = self(head, self._no_relation(head), tail, [present])
        return fused.relation

    def _read_links(self, rows: LinkRows, *, relation: bool) -> Float[Array, "b d"]:
        """Read one end of each triple: the tail where the head is asked for.

        What stands at the other end is absent, and as long as the end that is there.
        """
        if rows.view is None:
            raise ConfigError("a fusion reads entities as texts or images, not by their number")
        asks_head = rows.asks_head
        related = jnp.full(asks_head.shape, relation)
        present = jnp.stack([~asks_head, related, asks_head], axis=1)
        phrase = rows.phrase if relation else self._no_relation(rows.view)
        (fused,) = self(rows.view, phrase, rows.view, [present])
        return fused.pooled

    def _no_relation(self, entity: Features) -> Features:
        nothing = jnp.zeros((len(entity.pooled), entity.pooled.shape[-1]), jnp.float32)
        return Features(nothing, None, None, nothing)

    def _tokens(self, entity: Features) -> "_Element":
        """Map the tokens of a tower to the width of this one."""
        b, n, d = entity.tokens.shape
        tower, modality, visible = self.text, 1, entity.visible
        if visible is None:
            tower, modality, visible = self.image, 0, jnp.ones((b, n), bool)
        mapped = tower(entity.tokens.reshape(b * n, d)).reshape(b, n, -1)
        return _Element(mapped + self.modalities[...][modality].astype(mapped.dtype), visible)

    def _read(
        self, elements: Sequence["_Element"], present: Bool[Array, "b 3"]
    ) -> tuple[Float[Array, "b n w"], Bool[Array, "b n"], Bool[Array, "b n"]]:
        """Return tokens, which of them are attended to, and which are read out."""
        parts = []
        for slot, element in enumerate(elements):
            there = present[:, slot, None]
            place = self.slots[...][slot].astype(element.tokens.dtype)
            tokens = jnp.where(there[..., None], element.tokens, 0) + place
            read = there & element.visible
            keys = read | (~there & (self.settings.masking == "zeros"))
            parts.append((tokens, keys, read))
        tokens, keys, read = (jnp.concatenate(part, axis=1) for part in zip(*parts, strict=True))
        return tokens, keys, read

    def _transform(
        self,
        tokens: Float[Array, "b n w"],
        keys: Bool[Array, "b n"],
        seeds: UInt32[Array, "b 2"] | None,
    ) -> Float[Array, "b n w"]:
        depth, rate = self.settings.transformer.depth, self.settings.drop_path
        return run_blocks(
            self.blocks,
            tokens,
            depth=depth,
            visible=keys[:, None, :] & jnp.ones((1, tokens.shape[1], 1), bool),
            kept=None if seeds is None or not rate else drop_path(seeds, rate, depth),
            execution=Execution(
                "bfloat16" if tokens.dtype == jnp.bfloat16 else "float32",
                remat="none",
                unroll=UNROLLED,
            ),
        )

    def _embeddings(
        self, head: Features, tail: Features, present: Sequence[Bool[Array, "b 3"]]
    ) -> Float[Array, "rows d"] | None:
        """Return the sum of the embeddings of the ends that are there, if it is read."""
        if not self.settings.residual:
            return None

        def of_ends(there: Bool[Array, "b 3"]) -> Float[Array, "b d"]:
            ends = jnp.stack([head.pooled, tail.pooled], axis=1)
            return jnp.sum(ends, axis=1, where=there[:, ::TAIL, None])  # but for the relation

        return concat_rows([of_ends(there) for there in present])

    def _pool(
        self,
        y: Float[Array, "b n w"],
        read: Bool[Array, "b n"],
        embeddings: Float[Array, "b d"] | None,
    ) -> Float[Array, "b d"]:
        there = read[..., None]
        total = jnp.sum(y.astype(jnp.float32), axis=1, where=there)
        mean = total / jnp.maximum(jnp.sum(there, axis=1), 1)
        found = self.projection(self.norm(mean))
        return normalise(found if embeddings is None else embeddings + found)

    def _classify(self, y: Float[Array, "b w"]) -> Float[Array, "b relations"]:
        return self.classes(gelu_erf(self.hidden(self.norm(y))))


class _Element(NamedTuple):
    """Head, relation or tail at the width of the fusion."""

    tokens: Float[Array, "b n w"]
    visible: Bool[Array, "b n"]


@dataclass(frozen=True, kw_only=True)
class FusionHead:
    """The fusion transformer as a run configures it.

    Attributes:
        kind: its name in a config.
        transformer: its blocks (the paper: 4 of width 1,024).
        relations: number of relations to tell apart: those of the graph.
        drop_path: how often a layer is left out for a row, in training.
        masking: what is absent is "zeros" that take part in attention, as in the paper, or with
            "key_mask" is not seen at all.
        temperature: where the learned one of all losses on this head starts.
        residual: what is read out is added to the embeddings of the entities present, and starts
            from zero: the model begins with what its embeddings know, and the losses teach these.
            Not in the paper.
    """

    kind: Literal["fusion"] = "fusion"
    transformer: spec.Transformer
    relations: PositiveInt
    drop_path: Annotated[float, Range(0, 1, open_high=True)] = 0.1
    masking: Literal["zeros", "key_mask"] = "zeros"
    temperature: Annotated[float, Range(0.01, 10)] = 0.07
    residual: bool = False

    def build(self, model: spec.DualEncoder, *, rngs: nnx.Rngs) -> Fusion:
        """Make the module beside a model of this shape."""
        return Fusion(self, model, rngs=rngs)
