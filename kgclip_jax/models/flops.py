"""Floating-point operations and parameter counts of a dual encoder, by formula.

Convention of open_clip's `docs/model_profile.csv`: a multiply-add is two operations, and only
matrix products count (dense layers, attention scores and sums).
"""

import logging
import math
from collections.abc import Container, Sequence
from typing import Any, NamedTuple

import jax
from jax.extend.core import Jaxpr, JaxprEqn, jaxprs_in_params

from kgclip_jax.batch import Batch, Images
from kgclip_jax.models import spec
from kgclip_jax.models.dual_encoder import Params
from kgclip_jax.models.encode import inputs_by_path

_logger = logging.getLogger(__name__)

# Dense peak of one device in bfloat16 (float16 on V100 and T4, which have none), in FLOP/s, by
# `jax.Device.device_kind`. From Google's pages on each TPU, and NVIDIA's data sheets: half of what
# they give "with sparsity" (L4 242, H100 PCIe 1,513, H100 and H200 NVL 1,671, SXM and GH200 1,979,
# HGX B200 4,500, GB200 NVL72 5,000 TFLOPS a GPU). So have it Lightning's `throughput.py`, which
# names the sheets (V100, T4, A100, H100), and NeMo Automodel's table (T4, L40S, H200, B200, GB200).
# A device is one core of the two on TPU v2, v3 and 7x, else a chip.
PEAK_FLOPS = {
    "Tesla V100-PCIE-16GB": 112e12,
    "Tesla V100-PCIE-32GB": 112e12,
    "Tesla V100-SXM2-16GB": 125e12,
    "Tesla V100-SXM2-32GB": 125e12,
    "Tesla T4": 65e12,
    "NVIDIA A100-PCIE-40GB": 312e12,
    "NVIDIA A100 80GB PCIe": 312e12,
    "NVIDIA A100-SXM4-40GB": 312e12,
    "NVIDIA A100-SXM4-80GB": 312e12,
    "NVIDIA L4": 121e12,
    "NVIDIA L40S": 362e12,
    "NVIDIA H100 PCIe": 756e12,
    "NVIDIA H100 NVL": 835e12,
    "NVIDIA H100 80GB HBM3": 989e12,
    "NVIDIA H200 NVL": 835e12,
    "NVIDIA H200": 989e12,
    "NVIDIA GH200 480GB": 989e12,
    "NVIDIA GH200 144G HBM3e": 989e12,
    "NVIDIA B200": 2250e12,
    "NVIDIA GB200": 2500e12,
    "TPU v2": 23e12,
    "TPU v3": 61.5e12,
    "TPU v4": 275e12,
    "TPU v5 lite": 197e12,
    "TPU v5e": 197e12,
    "TPU v5": 459e12,
    "TPU v5p": 459e12,
    "TPU v6 lite": 918e12,
    "TPU v6e": 918e12,
    "TPU7x": 1153.5e12,
}


def peak_flops(device: jax.Device) -> float | None:
    """Peak of one device in FLOP/s; None for CPUs and, with a warning, for unknown devices."""
    kind = device.device_kind
    if kind not in PEAK_FLOPS and device.platform != "cpu":
        _logger.warning("the peak of %r is not known, so there is no MFU", kind)
    return PEAK_FLOPS.get(kind)


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


def matrix_flops(jaxpr: Jaxpr) -> int:
    """Count the matrix products of a traced function, those of nested ones and loops too."""
    return sum(_equation_flops(equation) for equation in jaxpr.eqns)


def _equation_flops(equation: JaxprEqn) -> int:
    left: Any
    out: Any
    if equation.primitive.name == "dot_general":
        left, out = equation.invars[0].aval, equation.outvars[0].aval
        (contracted, _), _ = equation.params["dimension_numbers"]
        return 2 * math.prod(out.shape) * math.prod(left.shape[axis] for axis in contracted)
    inner = list(map(matrix_flops, jaxprs_in_params(equation.params)))
    match equation.primitive.name:
        case "scan":
            return equation.params["length"] * sum(inner)
        case "cond":  # one of its branches is computed
            return max(inner)
        case _:
            return sum(inner)


class Work(NamedTuple):
    """What models do in a step.

    Attributes:
        flops: forward and backward pass without recomputation: MFU's numerator. What objectives do
            with embeddings behind their heads adds a few in a thousand, and is not counted.
        text_tokens: that the text tower sees, padding included.
    """

    flops: int
    text_tokens: int


def step_work(
    shape: spec.DualEncoder,
    batch: Batch,
    read: Container[str],
    *,
    heads: int = 0,
    teachers: Sequence[tuple[spec.DualEncoder, Container[str]]] = (),
) -> Work:
    """Count the work of a training step.

    Args:
        shape: of the model.
        batch: blocks of a whole step, which may be abstract.
        read: paths of the inputs that go through its towers.
        heads: FLOPs of a forward pass of the heads over the step.
        teachers: of frozen models, the shape and what goes through them; forward alone.
    """
    forward, text_tokens = _forward_work(shape, batch, read)
    taught = sum(_forward_work(teacher, batch, paths)[0] for teacher, paths in teachers)
    return Work(3 * (forward + heads) + taught, text_tokens)


def _forward_work(shape: spec.DualEncoder, batch: Batch, read: Container[str]) -> tuple[int, int]:
    """Return the FLOPs of a forward pass, and how many tokens of texts there are."""
    forward = text_tokens = 0
    for path, node in inputs_by_path(batch).items():
        if path not in read:
            continue
        if isinstance(node, Images):
            forward += math.prod(node.pixels.shape[:-3]) * image_flops(shape)
            continue
        for tokens in node.tokens:
            texts, length = math.prod(tokens.shape[:-1]), tokens.shape[-1]
            forward += texts * text_flops(shape, length)
            forward += texts * knowledge_flops(shape) * (node.triples is not None)
            text_tokens += texts * length
    return forward, text_tokens


def parameter_count(params: Params) -> int:
    """Number of scalars in a parameter dict, abstract or not."""
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params))
