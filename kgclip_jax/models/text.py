"""The text tower: a transformer over token ids, causal (CLIP) or bidirectional (SigLIP)."""

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float, Int, Int32

from kgclip_jax.models import spec
from kgclip_jax.models.attention import causal
from kgclip_jax.models.initial_values import TextInit, gaussian
from kgclip_jax.models.layers import LayerNorm, Projection
from kgclip_jax.models.rows import constrain_table
from kgclip_jax.models.transformer import Execution, run_blocks, stack_blocks
from kgclip_jax.models.vision import TowerOutput


class TextTower(nnx.Module):
    """Embedding, blocks, pooling, projection.

    A causal tower accepts texts cut to any length that still holds every end-of-text token, with
    the same result, because no token sees what follows it.
    """

    def __init__(
        self,
        shape: spec.Text,
        embedding: int,
        execution: Execution,
        *,
        init: TextInit,
        rngs: nnx.Rngs,
    ) -> None:
        width = shape.transformer.width
        self.embedding = nnx.Param(init.embedding(rngs.params(), (shape.vocabulary, width)))
        self.positions = nnx.Param(init.positions(rngs.params(), (shape.context_length, width)))
        self.blocks = stack_blocks(shape.transformer, init=init.block, rngs=rngs)
        self.norm_post = LayerNorm(width, eps=shape.transformer.norm_eps)
        self.projection = Projection(
            width, embedding, init=gaussian(width**-0.5), bias=shape.projection_bias, rngs=rngs
        )
        self.shape = shape
        self.execution = execution

    def __call__(self, tokens: Int32[Array, "b n"]) -> TowerOutput:
        """Embed texts. Raises ValueError for lengths that the tower does not take."""
        n = tokens.shape[1]
        if n > self.shape.context_length or (
            not self.shape.causal and n != self.shape.context_length
        ):
            kind = "causal" if self.shape.causal else "bidirectional"
            raise ValueError(
                f"texts of {n} tokens do not fit a {kind} tower of context length "
                f"{self.shape.context_length}"
            )
        x = constrain_table(self.embedding[...])[tokens].astype(self.execution.dtype)
        x = x + self.positions[...][:n].astype(self.execution.dtype)
        y = run_blocks(
            self.blocks,
            x,
            depth=self.shape.transformer.depth,
            visible=causal(n) if self.shape.causal else None,
            execution=self.execution,
        )
        y = self.norm_post(y)
        return TowerOutput(self.projection(self._pool(y, tokens)), y)

    def _pool(self, x: Float[Array, "b n d"], tokens: Int32[Array, "b n"]) -> Float[Array, "b d"]:
        return jnp.take_along_axis(x, self._end(tokens)[..., None, None], axis=1)[:, 0]

    def _end(self, tokens: Int32[Array, "*r n"]) -> Int[Array, "*r"]:
        """The position that a text is read at."""
        if self.shape.pooling == "last":
            return jnp.full(tokens.shape[:-1], tokens.shape[-1] - 1)
        is_end = tokens if self.shape.pooling == "argmax" else tokens == self.shape.eos_id
        return jnp.argmax(is_end, axis=-1)

    def visible(self, tokens: Int32[Array, "*r n"]) -> Bool[Array, "*r n"]:
        """Which un-pooled tokens mean something: those up to where a text is read."""
        return jnp.arange(tokens.shape[-1]) <= self._end(tokens)[..., None]
