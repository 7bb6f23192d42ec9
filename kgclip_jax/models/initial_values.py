"""What the parameters of a fresh model start from: the values of each family's own code.

"clip", as in OpenAI's code and open_clip: GPT-2's in the text tower, and PyTorch's defaults in the
vision tower, which neither initialises. "siglip", as in big_vision's `vit.py` and
`text_transformer.py`. "gpt2": GPT-2's values in both towers, as the small presets have them. Norms
start from ones and zeros everywhere.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.nn import initializers
from jax.nn.initializers import Initializer

from kgclip_jax.models.spec import InitialValues, Text, Transformer, Vision


class LinearInit(NamedTuple):
    """Initial values of an affine map.

    Attributes:
        kernel: of shape (inputs, outputs).
        bias: of shape (outputs,), from the number of inputs.
    """

    kernel: Initializer
    bias: Callable[[int], Initializer] = lambda inputs: initializers.zeros


class BlockInit(NamedTuple):
    """Initial values of a transformer block: of its attention, then of its feed-forward layers."""

    qkv: LinearInit
    out: LinearInit
    up: LinearInit
    down: LinearInit


class VisionInit(NamedTuple):
    """Initial values in which vision towers differ."""

    patch: LinearInit
    block: BlockInit


class TextInit(NamedTuple):
    """Initial values in which text towers differ; tables have the shape (entries, width)."""

    embedding: Initializer
    positions: Initializer
    block: BlockInit


def gaussian(std: float) -> LinearInit:
    """A normal distribution, and no bias."""
    return LinearInit(initializers.normal(std))


def _uniform_bias(inputs: int) -> Initializer:
    limit = inputs**-0.5
    return lambda key, shape, dtype=jnp.float32, out_sharding=None: jax.random.uniform(
        key, shape, dtype, -limit, limit
    )


_TORCH = LinearInit(initializers.variance_scaling(1 / 3, "fan_in", "uniform"), _uniform_bias)
_XAVIER = LinearInit(initializers.xavier_uniform())

# Xavier's values of square maps, also where several of them are one kernel here.
SQUARE_XAVIER = LinearInit(initializers.variance_scaling(1.0, "fan_in", "uniform"))


def gpt2_block(shape: Transformer) -> BlockInit:
    """Return GPT-2's values: what is added to the residual stream starts small."""
    residual = gaussian((2 * shape.depth * shape.width) ** -0.5)
    return BlockInit(
        qkv=gaussian(shape.width**-0.5),
        out=residual,
        up=gaussian((2 * shape.width) ** -0.5),
        down=residual,
    )


def _open_clip_text_block(shape: Transformer) -> BlockInit:
    """GPT-2's kernels beside the biases that `nn.Linear` draws."""
    block = gpt2_block(shape)
    return block._replace(
        up=block.up._replace(bias=_uniform_bias), down=block.down._replace(bias=_uniform_bias)
    )


def _torch_block() -> BlockInit:
    """`nn.MultiheadAttention` sets its output's bias to zero; `nn.Linear` draws one."""
    return BlockInit(qkv=_XAVIER, out=LinearInit(_TORCH.kernel), up=_TORCH, down=_TORCH)


def _big_vision_block() -> BlockInit:
    mlp = LinearInit(_XAVIER.kernel, lambda inputs: initializers.normal(1e-6))
    return BlockInit(qkv=SQUARE_XAVIER, out=SQUARE_XAVIER, up=mlp, down=mlp)


def vision_init(family: InitialValues, shape: Vision) -> VisionInit:
    """Return the initial values of a vision tower."""
    match family:
        case "clip":
            return VisionInit(_TORCH, _torch_block())
        case "siglip":
            return VisionInit(LinearInit(initializers.lecun_normal()), _big_vision_block())
        case "gpt2":
            patch = gaussian((3 * shape.patch_size**2) ** -0.5)
            return VisionInit(patch, gpt2_block(shape.transformer))


def text_init(family: InitialValues, shape: Text) -> TextInit:
    """Return the initial values of a text tower."""
    words, positions = initializers.normal(0.02), initializers.normal(0.01)
    match family:
        case "clip":
            return TextInit(words, positions, _open_clip_text_block(shape.transformer))
        case "siglip":
            table = initializers.normal(shape.transformer.width**-0.5)
            return TextInit(table, table, _big_vision_block())
        case "gpt2":
            return TextInit(words, positions, gpt2_block(shape.transformer))
