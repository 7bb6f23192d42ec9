"""Microseconds that a training step costs before any arithmetic: Python, the runtime, the kernels.

    taskset -c 0 python benchmarks/dispatch.py

Trains a dual encoder of 12 + 12 blocks with the real step and AdamW, at a width so small that
almost nothing is computed. The loop over blocks is not unrolled, as on accelerators. Prints the
median over groups of steps, and of the part of it that Python spends before the call returns.
Put this repository on PYTHONPATH.
"""

import argparse
import statistics
import time

import environment
import jax
import numpy as np

from kgclip_jax import config
from kgclip_jax.models import spec
from kgclip_jax.models.transformer import Execution
from kgclip_jax.objectives.contrastive import Contrastive
from kgclip_jax.training.setup import Setup, set_up
from kgclip_jax.types import Batch

WIDTH = 8


def make_setup(depth: int, unroll: int) -> Setup:
    """Build the parts of a run whose model is deep and does next to nothing."""
    transformer = spec.Transformer(WIDTH, depth, heads=1, mlp_width=WIDTH)
    model = spec.DualEncoder(
        vision=spec.Vision(transformer, image_size=2, patch_size=2),
        text=spec.Text(transformer, vocabulary=8, context_length=2, eos_id=1),
        embedding=WIDTH,
    )
    experiment = config.Experiment(
        model=model,
        data=config.Data(sources={}),
        objectives={"contrastive": Contrastive("softmax")},
        optimizer=config.Optimizer(learning_rate=1e-3),
        total_steps=1_000_000,
        batch_size=2,
        execution=Execution(unroll=unroll),
    )
    return set_up(experiment, jax.devices()[:1])


def measure(setup: Setup, groups: int, steps: int) -> tuple[float, float]:
    """Return median seconds per step: until its result is there, and until the call returns."""
    batch = setup.place(
        Batch(np.zeros((2, 2, 2, 3), np.uint8), np.array([[0, 1], [2, 1]], np.int32))
    )
    state, _ = setup.step(setup.initialise(), batch)
    whole, python = [], []
    for _ in range(groups):
        jax.block_until_ready(state)
        start, called = time.perf_counter(), 0.0
        for _ in range(steps):
            call = time.perf_counter()
            state, _ = setup.step(state, batch)
            called += time.perf_counter() - call
        jax.block_until_ready(state)
        whole.append((time.perf_counter() - start) / steps)
        python.append(called / steps)
    return statistics.median(whole), statistics.median(python)


def main() -> None:
    """Parse the flags, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--depth", type=int, default=12, help="blocks of each tower")
    parser.add_argument("--unroll", type=int, default=1, help="blocks per iteration of the loop")
    parser.add_argument("--groups", type=int, default=21)
    parser.add_argument("--steps", type=int, default=50, help="steps of a group")
    flags = parser.parse_args()
    print(environment.describe(("jax", "jaxlib", "flax", "optax")))
    setup = make_setup(flags.depth, flags.unroll)
    whole, python = measure(setup, flags.groups, flags.steps)
    leaves = len(jax.tree.leaves(setup.abstract))
    print(f"{2 * flags.depth} blocks, {leaves} arrays of state on {jax.devices()[0].device_kind}")
    print(f"{whole * 1e6:.0f} us per step, of which the call takes {python * 1e6:.0f} us")


if __name__ == "__main__":
    main()
