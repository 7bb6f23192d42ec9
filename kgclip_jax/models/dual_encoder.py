"""The dual encoder: two towers and a temperature, as a Flax module and as pure functions.

Flax NNX builds and traces the module; everything outside this room holds its parameters as a plain
nested dict, which keeps dispatch cheap and checkpoints, shardings and conversions simple.
"""

import math
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int32, Shaped, UInt8

from kgclip_jax.models import spec
from kgclip_jax.models.knowledge import KnowledgeEncoder
from kgclip_jax.models.text import TextTower
from kgclip_jax.models.transformer import DEFAULT_EXECUTION, Execution
from kgclip_jax.models.vision import VisionTower
from kgclip_jax.types import Batch, Embeddings, PlainTexts, Triples

Params = dict[str, Any]


class DualEncoder(nnx.Module):
    """Radford et al. 2021 (CLIP); with a logit bias, Zhai et al. 2023 (SigLIP)."""

    def __init__(self, shape: spec.DualEncoder, execution: Execution, *, rngs: nnx.Rngs) -> None:
        self.vision = VisionTower(shape.vision, shape.embedding, execution, rngs=rngs)
        self.text = TextTower(shape.text, shape.embedding, execution, rngs=rngs)
        self.logit_scale = nnx.Param(jnp.array(math.log(shape.logit_scale), jnp.float32))
        if shape.logit_bias is not None:
            self.logit_bias = nnx.Param(jnp.array(shape.logit_bias, jnp.float32))
        if shape.knowledge is not None:
            self.knowledge = KnowledgeEncoder(
                shape.knowledge, shape.embedding, execution, rngs=rngs
            )
        self.shape = shape

    def __call__(self, batch: Batch) -> Embeddings:
        """Embed a batch, in one pass of each tower."""
        has_bias = self.shape.logit_bias is not None
        tokens = _side_by_side(batch)
        b, t, n = tokens.shape
        plain = normalise(self.text(tokens.reshape(b * t, n)).pooled)
        texts = self.with_graphs(plain, _rows(batch.triples)).reshape(b, t, -1)
        plain = plain.reshape(b, t, -1)
        negatives = batch.negatives
        return Embeddings(
            image=normalise(self.vision(jnp.asarray(batch.images)).pooled),
            text=texts[:, 0],
            logit_scale=jnp.exp(self.logit_scale[...]),
            logit_bias=self.logit_bias[...] if has_bias else jnp.zeros(()),
            negatives=None if negatives is None else texts[:, 1:],
            negative_mask=None if negatives is None else jnp.asarray(negatives.mask),
            plain=PlainTexts(plain[:, 0], None if negatives is None else plain[:, 1:]),
        )

    def with_graphs(
        self, plain: Float[Array, "texts d"], triples: Triples | None
    ) -> Float[Array, "texts d"]:
        """Add what the scene graphs say to unit text embeddings: t + weight k / ||k||.

        A text without triples stays as it is, and so do all where there is no knowledge encoder.
        The sum is not of unit length (as in Structure-CLIP's released code).

        Raises:
            ValueError: there is a knowledge encoder, and the texts come without triples.
        """
        if self.shape.knowledge is None:
            return plain
        if triples is None:
            raise ValueError("the knowledge encoder needs the triples of the texts")
        known = normalise(self.knowledge(triples, self.text.embedding[...]))
        some = jnp.any(jnp.asarray(triples.mask), axis=-1, keepdims=True)
        return plain + self.shape.knowledge.weight * jnp.where(some, known, 0)


def _side_by_side(batch: Batch) -> Int32[Array, "b t n"]:
    """Put each caption and its negatives side by side, so that rows stay on their device."""
    tokens = jnp.asarray(batch.tokens)[:, None]
    if batch.negatives is None:
        return tokens
    return jnp.concatenate([tokens, jnp.asarray(batch.negatives.tokens)], axis=1)


def _rows(triples: Triples | None) -> Triples | None:
    """The triples of (b, t) texts as those of b t texts."""
    if triples is None:
        return None
    tokens, mask = (jnp.asarray(array) for array in triples)
    return Triples(tokens.reshape(-1, *tokens.shape[2:]), mask.reshape(-1, mask.shape[-1]))


def _split(count: int, rows: Shaped[Array, "b ..."]) -> Shaped[Array, "count part ..."]:
    """Deal rows out like cards, so that each part has rows of every device."""
    return jnp.moveaxis(rows.reshape(-1, count, *rows.shape[1:]), 1, 0)


def _merged(parts: Shaped[Array, "count ..."]) -> Shaped[Array, "..."]:
    """Undo `_split`; what is no row is the same in all parts."""
    if parts.ndim == 1:
        return parts[0]
    return jnp.moveaxis(parts, 0, 1).reshape(-1, *parts.shape[2:])


def normalise(x: Float[Array, "b d"]) -> Float[Array, "b d"]:
    """Rows of unit length; a zero row stays zero and has a finite gradient."""
    return x * jax.lax.rsqrt(jnp.square(x).sum(-1, keepdims=True) + 1e-12)


@dataclass(frozen=True)
class Model:
    """Pure functions of a parameter dict, for one architecture and one way of computing it."""

    shape: spec.DualEncoder
    execution: Execution = DEFAULT_EXECUTION

    def _build(self, seed: int | Array = 0) -> DualEncoder:
        return DualEncoder(self.shape, self.execution, rngs=nnx.Rngs(params=seed))

    def initialise(self, seed: int) -> Params:
        """Fresh parameters; under `jax.jit` with output shardings they are created in place."""
        return nnx.to_pure_dict(nnx.state(self._build(seed), nnx.Param))

    def abstract(self) -> Params:
        """The parameters' shapes and dtypes, as `jax.ShapeDtypeStruct`."""
        return nnx.to_pure_dict(nnx.state(nnx.eval_shape(self._build), nnx.Param))

    def bind(self, params: Params) -> DualEncoder:
        """The module over these parameters, for use within a trace."""
        return nnx.merge(nnx.graphdef(nnx.eval_shape(self._build)), params)

    def embed(self, params: Params, batch: Batch) -> Embeddings:
        """Both towers over a batch, in the microbatches of `execution`.

        Raises:
            ValueError: the rows cannot be divided into so many.
        """
        count = self.execution.microbatches
        if count == 1:
            return self.bind(params)(batch)
        embed = jax.checkpoint(lambda part: self.bind(params)(part), prevent_cse=False)
        parts = jax.lax.map(embed, jax.tree.map(partial(_split, count), batch))
        return jax.tree.map(_merged, parts)

    def encode_image(
        self, params: Params, images: UInt8[Array, "b height width 3"]
    ) -> Float[Array, "b d"]:
        """Unit-length image embeddings."""
        return normalise(self.bind(params).vision(images).pooled)

    def encode_text(
        self, params: Params, tokens: Int32[Array, "b n"], triples: Triples | None = None
    ) -> Float[Array, "b d"]:
        """Text embeddings: of unit length, but for what a knowledge encoder adds."""
        towers = self.bind(params)
        return towers.with_graphs(normalise(towers.text(tokens).pooled), triples)

    def constrain(self, params: Params) -> Params:
        """Return the parameters, the logit scale within limits (Radford et al. 2021, 2.5)."""
        if self.shape.max_logit_scale is None:
            return params
        limit = math.log(self.shape.max_logit_scale)
        return params | {"logit_scale": jnp.clip(params["logit_scale"], 0, limit)}
