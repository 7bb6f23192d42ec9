"""Floating-point operations and parameter counts of a dual encoder, by formula.

Convention of open_clip's `docs/model_profile.csv`: a multiply-add is two operations, and only
matrix products count (dense layers, attention scores and sums).
"""

import math

import jax

from kgclip_jax.models import spec
from kgclip_jax.models.dual_encoder import Params

# Dense bfloat16 peak of one device, in FLOP/s, from the vendors' data sheets. Keys are prefixes of
# `jax.Device.device_kind`, the longer ones first.
PEAK_FLOPS = {
    "NVIDIA H200": 989e12,
    "NVIDIA H100": 989e12,
    "NVIDIA A100": 312e12,
    "TPU v6": 918e12,
    "TPU v5p": 459e12,
    "TPU v5 lite": 197e12,
    "TPU v5e": 197e12,
    "TPU v5": 459e12,
    "TPU v4": 275e12,
}


def peak_flops(device: jax.Device) -> float | None:
    """Peak of one device in FLOP/s, or None where no data sheet gives one (CPUs)."""
    matches = (peak for kind, peak in PEAK_FLOPS.items() if device.device_kind.startswith(kind))
    return next(matches, None)


def transformer_flops(shape: spec.Transformer, length: int) -> int:
    """Forward pass of the blocks over one sequence of `length` tokens."""
    dense = 2 * length * (4 * shape.width**2 + 2 * shape.width * shape.mlp_width)
    scores_and_sums = 2 * 2 * length**2 * shape.width
    return shape.depth * (dense + scores_and_sums)


def image_flops(shape: spec.DualEncoder) -> int:
    """Forward pass of the image tower over one image."""
    vision, width = shape.vision, shape.vision.transformer.width
    flops = transformer_flops(vision.transformer, vision.length)
    flops += 2 * vision.grid**2 * 3 * vision.patch_size**2 * width
    if vision.pooling == "map":
        projections = 2 * width**2 * (2 * vision.length + 2)
        feed_forward = 4 * width * vision.transformer.mlp_width
        flops += projections + 4 * vision.length * width + feed_forward
    if vision.projection:
        flops += 2 * width * shape.embedding
    return flops


def text_flops(shape: spec.DualEncoder, length: int | None = None) -> int:
    """Forward pass of the text tower over one text cut to `length` tokens (default: not cut)."""
    transformer = shape.text.transformer
    flops = transformer_flops(transformer, length or shape.text.context_length)
    return flops + 2 * transformer.width * shape.embedding


def knowledge_flops(shape: spec.DualEncoder) -> int:
    """Forward pass of the knowledge encoder over the triples of one text; 0 without an encoder."""
    knowledge = shape.knowledge
    if knowledge is None:
        return 0
    blocks = transformer_flops(knowledge.transformer, knowledge.triples)
    return blocks + 2 * knowledge.transformer.width * shape.embedding


def step_flops(shape: spec.DualEncoder, pairs: int, text_length: int, negatives: int = 0) -> int:
    """Forward and backward pass of a training step without recomputation: MFU's numerator.

    `negatives` is the number of negative texts of a pair.
    """
    texts = pairs * (1 + negatives)
    towers = pairs * image_flops(shape)
    towers += texts * (text_flops(shape, text_length) + knowledge_flops(shape))
    similarities = 2 * pairs * texts * shape.embedding
    return 3 * (towers + similarities)


def parameter_count(params: Params) -> int:
    """Number of scalars in a parameter dict, abstract or not."""
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params))
