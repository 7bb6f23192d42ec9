"""The image tower: a vision transformer (Dosovitskiy et al. 2021) as CLIP and SigLIP use it."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.nn.initializers import xavier_uniform
from jaxtyping import Array, Float, UInt8

from kgclip_jax.models import spec
from kgclip_jax.models.attention import attention
from kgclip_jax.models.initial_values import SQUARE_XAVIER, BlockInit, VisionInit, gaussian
from kgclip_jax.models.layers import LayerNorm, Linear, Mlp, Projection
from kgclip_jax.models.transformer import Execution, run_blocks, stack_blocks


class TowerOutput(NamedTuple):
    """What a tower makes of its input.

    Attributes:
        pooled: one projected vector an input, not normalised, float32.
        tokens: the un-pooled tokens after the last norm, for fusion with other encoders.
    """

    pooled: Float[Array, "b d"]
    tokens: Float[Array, "b n width"]


def sincos2d(grid: int, width: int) -> Float[np.ndarray, "n width"]:
    """Fixed two-dimensional positions of a grid of patches, row by row (Chen et al. 2021, MoCo v3).

    A quarter of the features each: sine and cosine of the column, sine and cosine of the row, at
    `width / 4` frequencies from 1 down to 1/10000.
    """
    frequencies = 10_000.0 ** -np.linspace(0, 1, width // 4)
    rows, columns = np.divmod(np.arange(grid * grid), grid)
    angles = [np.outer(columns, frequencies), np.outer(rows, frequencies)]
    waves = [wave(angle) for angle in angles for wave in (np.sin, np.cos)]
    return np.concatenate(waves, axis=1).astype(np.float32)


class AttentionPooling(nnx.Module):
    """One learned query attends to all tokens, then a feed-forward layer (SigLIP's "MAP" head)."""

    def __init__(self, shape: spec.Transformer, *, init: BlockInit, rngs: nnx.Rngs) -> None:
        width = shape.width
        self.probe = nnx.Param(xavier_uniform()(rngs.params(), (1, width))[0])
        self.query = Linear(width, width, init=SQUARE_XAVIER, rngs=rngs)
        self.key_value = Linear(width, 2 * width, init=SQUARE_XAVIER, rngs=rngs)
        self.out = Linear(width, width, init=SQUARE_XAVIER, rngs=rngs)
        self.norm = LayerNorm(width, eps=shape.norm_eps)
        self.mlp = Mlp(
            width,
            shape.mlp_width,
            activation=shape.activation,
            init=init,
            rngs=rngs,
        )
        self.heads = shape.heads

    def __call__(self, x: Float[Array, "b n d"]) -> Float[Array, "b d"]:
        """Pool the tokens of each image into one vector."""
        b, n, width = x.shape
        features = width // self.heads
        query = self.query(self.probe[...].astype(x.dtype)[None])
        query = jnp.broadcast_to(
            query.reshape(1, 1, self.heads, features), (b, 1, self.heads, features)
        )
        kv = self.key_value(x.reshape(b * n, width)).reshape(b, n, self.heads, 2, features)
        y = attention(query, kv[..., 0, :], kv[..., 1, :], None)
        y = self.out(y.reshape(b, width))
        return y + self.mlp(self.norm(y))


class VisionTower(nnx.Module):
    """Patches, blocks, pooling, projection."""

    def __init__(
        self,
        shape: spec.Vision,
        embedding: int,
        execution: Execution,
        *,
        init: VisionInit,
        rngs: nnx.Rngs,
    ) -> None:
        width, std = shape.transformer.width, shape.transformer.width**-0.5
        patch_features = 3 * shape.patch_size**2
        self.patch = Linear(
            patch_features, width, init=init.patch, bias=shape.patch_bias, rngs=rngs
        )
        if shape.class_token:
            self.class_token = nnx.Param(std * jax.random.normal(rngs.params(), (width,)))
        if shape.positions == "learned":
            table = jax.random.normal(rngs.params(), (shape.length, width))
            self.positions = nnx.Param(std * table)
        eps = shape.transformer.norm_eps
        self.norm_pre = LayerNorm(width, eps=eps) if shape.norm_pre else None
        self.blocks = stack_blocks(shape.transformer, init=init.block, rngs=rngs)
        self.norm_post = LayerNorm(width, eps=eps)
        if shape.pooling == "map":
            self.pool = AttentionPooling(shape.transformer, init=init.block, rngs=rngs)
        if shape.projection:
            self.projection = Projection(
                width, embedding, init=gaussian(std), bias=False, rngs=rngs
            )
        self.shape = shape
        self.execution = execution

    def __call__(self, images: UInt8[Array, "b height width 3"]) -> TowerOutput:
        """Embed images, given as bytes; they are normalised here.

        Raises:
            ValueError: they are of another size than the tower's, or no bytes.
        """
        size = self.shape.image_size
        if (images.dtype, images.shape[1:]) != (jnp.uint8, (size, size, 3)):
            raise ValueError(
                f"the tower takes images of uint8 (b, {size}, {size}, 3), not of {images.dtype} "
                f"{images.shape}; data.images.evaluation_transform resizes a picture"
            )
        tokens = run_blocks(
            self.blocks,
            self._embed(images),
            depth=self.shape.transformer.depth,
            execution=self.execution,
        )
        normed = self.norm_post(tokens)
        if self.shape.pool_before_norm:
            pooled = self.norm_post(self._pool(tokens))
        else:
            pooled = self._pool(normed)
        if self.shape.projection:
            pooled = self.projection(pooled)
        return TowerOutput(pooled.astype(jnp.float32), normed)

    def _embed(self, images: Array) -> Array:
        x = (images.astype(jnp.float32) / 255 - jnp.array(self.shape.mean)) / jnp.array(
            self.shape.std
        )
        b, grid, patch = images.shape[0], self.shape.grid, self.shape.patch_size
        x = x[:, : grid * patch, : grid * patch].astype(self.execution.dtype)
        x = x.reshape(b, grid, patch, grid, patch, 3).swapaxes(2, 3)
        x = self.patch(x.reshape(b * grid * grid, -1)).reshape(b, grid * grid, -1)
        if self.shape.class_token:
            token = self.class_token[...].astype(x.dtype)
            x = jnp.concatenate([jnp.broadcast_to(token, (b, 1, token.size)), x], axis=1)
        x = x + self._position_table().astype(x.dtype)
        return x if self.norm_pre is None else self.norm_pre(x)

    def _position_table(self) -> Array:
        if self.shape.positions == "learned":
            return self.positions[...]
        table = sincos2d(self.shape.grid, self.shape.transformer.width)
        return jnp.asarray(np.pad(table, ((int(self.shape.class_token), 0), (0, 0))))

    def _pool(self, tokens: Array) -> Array:
        match self.shape.pooling:
            case "class":
                return tokens[:, 0]
            case "mean":
                return tokens[:, int(self.shape.class_token) :].mean(axis=1)
            case "map":
                return self.pool(tokens)
