"""What blocks of a tower take of a TPU, compiled on any machine: memory, traffic, FLOPs.

    pip install libtpu
    python benchmarks/tpu_blocks.py [--depth=3] [--inputs=32] [--length=197] [--width=768]

The gradient of a tower's blocks, in bfloat16 on four chips of a v5e, each with its own inputs: in a
loop and written out, with nothing and with what is cheap computed again in the backward pass. All
figures are of one chip, and exact; in a loop the compiler counts traffic and FLOPs of its body
once. With big_vision's own encoder beside (its repository, and einops):

    git clone https://github.com/google-research/big_vision && pip install einops
    python benchmarks/tpu_blocks.py --big_vision=big_vision
"""

import argparse
import os
import sys
import types
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ["JAX_PLATFORMS"] = "cpu"

import environment
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from kgclip_jax.models.dual_encoder import Model
from kgclip_jax.models.initial_values import vision_init
from kgclip_jax.models.presets import preset
from kgclip_jax.models.rows import ROW_AXES
from kgclip_jax.models.spec import Transformer
from kgclip_jax.models.transformer import UNROLLED, Execution, run_blocks, stack_blocks
from kgclip_jax.planning.targets import find_target

FORMS = {
    "ours, loop, nothing again": Execution("bfloat16", remat="none", unroll=1),
    "ours, loop, cheap again": Execution("bfloat16", remat="cheap", unroll=1),
    "ours, written out, nothing again": Execution("bfloat16", remat="none", unroll=UNROLLED),
    "ours, written out, cheap again": Execution("bfloat16", remat="cheap", unroll=UNROLLED),
}


def our_blocks(shape: Transformer, execution: Execution) -> tuple[Any, Any]:
    """Return a function of (parameters, tokens), and the parameters' shapes."""
    model = preset("ViT-B-16")
    model = replace(model, vision=replace(model.vision, transformer=shape))
    init = vision_init("clip", model.vision).block
    graph = nnx.graphdef(nnx.eval_shape(lambda: stack_blocks(shape, init=init, rngs=nnx.Rngs(0))))

    def blocks(params: Any, tokens: jax.Array) -> jax.Array:
        return run_blocks(nnx.merge(graph, params), tokens, depth=shape.depth, execution=execution)

    return blocks, Model(model, execution).abstract()["vision"]["blocks"]


def big_vision_blocks(folder: Path, shape: Transformer, length: int) -> tuple[Any, Any]:
    """Return those of big_vision's encoder; its utilities, which want TensorFlow, are left out."""
    sys.path.insert(0, str(folder))
    sys.modules["big_vision.utils"] = types.ModuleType("utils")
    import big_vision

    big_vision.utils = sys.modules["big_vision.utils"]
    from big_vision.models import vit

    encoder = vit.Encoder(
        depth=shape.depth, mlp_dim=shape.mlp_width, num_heads=shape.heads, dtype_mm="bfloat16"
    )
    tokens = jnp.zeros((1, length, shape.width), jnp.bfloat16)
    params = jax.eval_shape(lambda: encoder.init(jax.random.key(0), tokens))["params"]
    return (lambda params, tokens: encoder.apply({"params": params}, tokens)[0]), params


def measure(blocks: Any, params: Any, flags: argparse.Namespace) -> str:
    """Compile the gradient of some blocks for four chips."""
    mesh = Mesh(np.array(find_target("v5e:2x2").devices).reshape(4, 1), ROW_AXES)
    whole, rows = (NamedSharding(mesh, PartitionSpec(*axes)) for axes in ((), (ROW_AXES,)))
    shape = (4 * flags.inputs, flags.length, flags.width)
    tokens = jax.ShapeDtypeStruct(shape, jnp.bfloat16, sharding=rows)
    params = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=whole), params
    )

    def loss(params: Any, tokens: jax.Array) -> jax.Array:
        return blocks(params, tokens).astype(jnp.float32).sum()

    compiled = jax.jit(jax.grad(loss, argnums=(0, 1))).lower(params, tokens).compile()
    memory, cost = compiled.memory_analysis(), compiled.cost_analysis()
    return (
        f"{memory.temp_size_in_bytes / 1e6:8.1f} MB temporary  "
        f"{cost['bytes accessed'] / 1e9:7.2f} GB accessed  {cost['flops'] / 1e12:.3f} TFLOP"
    )


def main() -> None:
    """Print a line for each form."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--depth", type=int, default=3)
    parser.add_argument("--inputs", type=int, default=32)
    parser.add_argument("--length", type=int, default=197)
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--big_vision", type=Path)
    flags = parser.parse_args()
    print(environment.describe(["jax", "libtpu", "flax"]))
    shape = Transformer(flags.width, flags.depth, flags.width // 64, 4 * flags.width)
    forms = {name: our_blocks(shape, execution) for name, execution in FORMS.items()}
    if flags.big_vision is not None:
        forms["big_vision"] = big_vision_blocks(flags.big_vision, shape, flags.length)
    for name, (blocks, params) in forms.items():
        print(f"{name:<34}{measure(blocks, params, flags)}", flush=True)


if __name__ == "__main__":
    main()
