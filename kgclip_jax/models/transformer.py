"""The transformer block that both towers share, stacked along a leading layer axis."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import jax
import jax.numpy as jnp
from flax import nnx
from jax.ad_checkpoint import checkpoint_name
from jaxtyping import Array, Float, UInt32

from kgclip_jax.models import spec
from kgclip_jax.models.attention import QKV, SelfAttention, Visible
from kgclip_jax.models.initial_values import BlockInit
from kgclip_jax.models.layers import UP, LayerNorm, Mlp
from kgclip_jax.models.rows import constrain_rows
from kgclip_jax.ranges import NonNegativeInt, PositiveInt


@dataclass(frozen=True)
class Execution:
    """How a tower is computed; never changes what is computed beyond rounding.

    Attributes:
        dtype: of activations and of parameters while in use (parameters rest in float32); "auto" is
            bfloat16 on accelerators and float32 on CPUs, which have no fast bfloat16.
        remat: what the backward pass computes again: "none"; "cheap", norms, activations and
            attention from what dense layers made; "dots", all but matrix products; "full". "auto"
            is cheap on TPUs, where memory traffic is the cost of a step, and none elsewhere.
        unroll: blocks per iteration of the loop over blocks, the depth or more for no loop; 0 is no
            loop on CPUs, which run that faster, and a loop of single blocks on accelerators, which
            compile that sooner and lose nothing by it.
        microbatches: parts of a training batch that go through the towers one after another, and
            again in the backward pass (Gao et al. 2021, GradCache): the activations of one part at
            a time, for one more forward pass. Objectives see the embeddings of the whole batch;
            what bounds their memory is their own `chunk_size`.
    """

    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    remat: Literal["auto", "none", "cheap", "dots", "full"] = "auto"
    unroll: NonNegativeInt = 0
    microbatches: PositiveInt = 1

    def on(self, platform: str) -> "Execution":
        """Settle what is automatic for a JAX platform ("cpu", "gpu", "tpu")."""
        cpu = platform == "cpu"
        dtype = self.dtype if self.dtype != "auto" else "float32" if cpu else "bfloat16"
        remat = self.remat if self.remat != "auto" else "cheap" if platform == "tpu" else "none"
        unroll = self.unroll or (UNROLLED if cpu else 1)
        return replace(self, dtype=dtype, remat=remat, unroll=unroll)


# What `remat` "cheap" keeps of a block, beside its input.
STREAM = "stream between its two layers"
DENSE_OUTPUTS = (STREAM, QKV, UP)

UNROLLED = 1_000  # more blocks than any tower has
DEFAULT_EXECUTION = Execution("float32", remat="none", unroll=1)


Kept = Float[Array, "b 2"] | None  # of what attention and feed-forward layers add; None for all


class Block(nnx.Module):
    """Pre-norm attention and feed-forward layers, each added to the residual stream."""

    def __init__(self, shape: spec.Transformer, *, init: BlockInit, rngs: nnx.Rngs) -> None:
        self.norm1 = LayerNorm(shape.width, eps=shape.norm_eps)
        self.attention = SelfAttention(shape.width, shape.heads, init=init, rngs=rngs)
        self.norm2 = LayerNorm(shape.width, eps=shape.norm_eps)
        self.mlp = Mlp(
            shape.width,
            shape.mlp_width,
            activation=shape.activation,
            init=init,
            rngs=rngs,
        )

    def __call__(
        self, x: Float[Array, "b n d"], visible: Visible, kept: Kept = None
    ) -> Float[Array, "b n d"]:
        """Add both layers' contributions to the stream."""
        attended = self.attention(self.norm1(x), visible).reshape(x.shape)
        x = checkpoint_name(x + _times(attended, kept, 0), STREAM)
        rows = self.norm2(x).reshape(-1, x.shape[-1])
        return x + _times(self.mlp(rows).reshape(x.shape), kept, 1)


def drop_path(seeds: UInt32[Array, "b 2"], rate: float, depth: int) -> Float[Array, "{depth} b 2"]:
    """Return what is kept of each layer of each block: nothing, or 1 / (1 - rate) of it.

    Whole layers are left out for some rows (Huang et al. 2016, stochastic depth). Seeds come with
    the rows, so that neither microbatches nor devices change what is left out.
    """
    keys = jax.vmap(jax.random.wrap_key_data)(seeds)
    kept = jax.vmap(lambda key: jax.random.bernoulli(key, 1 - rate, (depth, 2)))(keys)
    return jnp.moveaxis(kept, 0, 1) / (1 - rate)


class PostNormBlock(Block):
    """The same layers, with a norm after each sum (Vaswani et al. 2017; BERT)."""

    def __call__(
        self, x: Float[Array, "b n d"], visible: Visible, kept: Kept = None
    ) -> Float[Array, "b n d"]:
        """Add a layer's contribution and norm, twice."""
        x = self.norm1(x + _times(self.attention(x, visible).reshape(x.shape), kept, 0))
        rows = x.reshape(-1, x.shape[-1])
        return self.norm2(x + _times(self.mlp(rows).reshape(x.shape), kept, 1))


def _times(update: Float[Array, "b n d"], kept: Kept, layer: int) -> Float[Array, "b n d"]:
    return update if kept is None else update * kept[:, layer, None, None].astype(update.dtype)


def _rematerialised(body: Callable, policy: str) -> Callable:
    match policy:
        case "none":
            return body
        case "cheap":
            keep = jax.checkpoint_policies.save_only_these_names(*DENSE_OUTPUTS)
            return jax.checkpoint(body, policy=keep, prevent_cse=False)
        case "dots":
            keep = jax.checkpoint_policies.dots_with_no_batch_dims_saveable
            return jax.checkpoint(body, policy=keep)
        case "full":
            return jax.checkpoint(body)
        case _:
            raise ValueError(f"unknown remat policy {policy!r}; use none, cheap, dots or full")


def stack_blocks(
    shape: spec.Transformer, *, init: BlockInit, kind: type[Block] = Block, rngs: nnx.Rngs
) -> Block:
    """Return `depth` blocks as one, each of its parameters stacked along a leading layer axis.

    One leaf a kind of parameter, whatever the depth, keeps the dispatch of a step below a
    millisecond.
    """

    @nnx.split_rngs(splits=shape.depth)
    @nnx.vmap
    def stacked(rngs: nnx.Rngs) -> Block:
        return kind(shape, init=init, rngs=rngs)

    return stacked(rngs)


def run_blocks(
    blocks: Block,
    x: Float[Array, "b n d"],
    *,
    depth: int,
    visible: Visible = None,
    kept: Float[Array, "{depth} b 2"] | None = None,
    execution: Execution,
) -> Float[Array, "b n d"]:
    """Send `x` through the stacked blocks, one after the other, in the execution's dtype.

    Args:
        blocks: stacked.
        x: tokens.
        depth: number of blocks.
        visible: which tokens each token sees; None is all.
        kept: of each layer, see `drop_path`; None is all.
        execution: how it is computed.
    """
    graph, parameters = nnx.split(blocks)

    def body(x: Array, layer: tuple[Any, Any]) -> tuple[Array, None]:
        block, kept_of_it = layer
        return nnx.merge(graph, block)(x, visible, kept_of_it), None

    x = constrain_rows(x.astype(jnp.dtype(execution.dtype)))
    body = _rematerialised(body, execution.remat)
    return jax.lax.scan(body, x, (parameters, kept), unroll=min(execution.unroll, depth))[0]
