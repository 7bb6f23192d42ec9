"""The transformer block that both towers share, stacked along a leading layer axis."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from kgclip_jax.models import spec
from kgclip_jax.models.attention import SelfAttention
from kgclip_jax.models.layers import LayerNorm, Mlp


@dataclass(frozen=True)
class Execution:
    """How a tower is computed; never changes what is computed beyond rounding.

    Attributes:
        dtype: of activations and of parameters while in use (parameters rest in float32).
        remat: what the backward pass recomputes: "none", "dots" (all but matrix products), "full".
        unroll: blocks per iteration of the loop over blocks; the depth or more unrolls it whole.
    """

    dtype: Literal["float32", "bfloat16"] = "float32"
    remat: Literal["none", "dots", "full"] = "none"
    unroll: int = 1


class Block(nnx.Module):
    """Pre-norm attention and feed-forward layers, each added to the residual stream."""

    def __init__(self, shape: spec.Transformer, *, rngs: nnx.Rngs) -> None:
        residual_std = (2 * shape.depth * shape.width) ** -0.5
        self.norm1 = LayerNorm(shape.width, eps=shape.norm_eps)
        self.attention = SelfAttention(shape.width, shape.heads, out_std=residual_std, rngs=rngs)
        self.norm2 = LayerNorm(shape.width, eps=shape.norm_eps)
        self.mlp = Mlp(
            shape.width,
            shape.mlp_width,
            activation=shape.activation,
            down_std=residual_std,
            rngs=rngs,
        )

    def __call__(self, x: Float[Array, "b n d"], *, causal: bool) -> Float[Array, "b n d"]:
        x = x + self.attention(self.norm1(x), causal=causal).reshape(x.shape)
        rows = self.norm2(x).reshape(-1, x.shape[-1])
        return x + self.mlp(rows).reshape(x.shape)


def _rematerialised(body: Callable, policy: str) -> Callable:
    match policy:
        case "none":
            return body
        case "dots":
            keep = jax.checkpoint_policies.dots_with_no_batch_dims_saveable
            return jax.checkpoint(body, policy=keep)
        case "full":
            return jax.checkpoint(body)
        case _:
            raise ValueError(f"unknown remat policy {policy!r}; use none, dots or full")


def stack_blocks(shape: spec.Transformer, *, rngs: nnx.Rngs) -> Block:
    """Return `depth` blocks as one, each of its parameters stacked along a leading layer axis.

    One leaf a kind of parameter, whatever the depth, keeps the dispatch of a step below a
    millisecond.
    """

    @nnx.split_rngs(splits=shape.depth)
    @nnx.vmap
    def stacked(rngs: nnx.Rngs) -> Block:
        return Block(shape, rngs=rngs)

    return stacked(rngs)


def run_blocks(
    blocks: Block,
    x: Float[Array, "b n d"],
    *,
    depth: int,
    causal: bool,
    execution: Execution,
) -> Float[Array, "b n d"]:
    """Send `x` through the stacked blocks, one after the other, in the execution's dtype."""
    graph, parameters = nnx.split(blocks)

    def body(x: Array, layer: Any) -> tuple[Array, None]:
        return nnx.merge(graph, layer)(x, causal=causal), None

    x = x.astype(jnp.dtype(execution.dtype))
    body = _rematerialised(body, execution.remat)
    return jax.lax.scan(body, x, parameters, unroll=min(execution.unroll, depth))[0]


def execution_for(platform: str) -> Execution:
    """The way of computing that suits a JAX platform ("cpu", "gpu", "tpu").

    CPUs have no fast bfloat16 and run unrolled blocks faster; accelerators compile a loop sooner
    and lose nothing by it.
    """
    if platform == "cpu":
        return Execution(dtype="float32", unroll=1_000)
    return Execution(dtype="bfloat16")
