"""Microseconds that a training step costs before any arithmetic: Python, the runtime, the kernels.

    taskset -c 0 python benchmarks/dispatch.py

Trains a dual encoder of 12 + 12 blocks with the real step and AdamW, at a width so small that
almost nothing is computed. The loop over blocks is not unrolled, as on accelerators. Prints the
median over groups of steps, and the processor time of the calling thread: what Python and the
runtime need before the device can start. On a CPU the rest is the tiny kernels themselves.
Put this repository on PYTHONPATH.
"""

import argparse
import statistics
import time

import environment
import jax
import numpy as np

from kgclip_jax import config
from kgclip_jax.data.stored_pictures import Data
from kgclip_jax.data.tokenization.clip_tokenizer import ClipTokenizer
from kgclip_jax.models import spec
from kgclip_jax.models.transformer import Execution
from kgclip_jax.objectives.contrastive import Contrastive
from kgclip_jax.training.optimizer_config import Group, Optimizer
from kgclip_jax.training.setup import Setup, set_up
from kgclip_jax.types import Batch

WIDTH = 8


def make_setup(depth: int, unroll: int) -> Setup:
    """Build the parts of a run whose model is deep and does next to nothing."""
    transformer = spec.Transformer(WIDTH, depth, heads=1, mlp_width=WIDTH)
    model = spec.DualEncoder(
        vision=spec.Vision(transformer, image_size=2, patch_size=2),
        text=spec.Text(transformer, context_length=3),
        embedding=WIDTH,
    )
    experiment = config.Experiment(
        model=model,
        data=Data(sources={}),
        objectives=config.Objectives(Contrastive("softmax")),
        # The one large array; training it would be arithmetic.
        optimizer=Optimizer(learning_rate=1e-3, groups=(Group("text/embedding", frozen=True),)),
        total_steps=1_000_000,
        batch_size=2,
        execution=Execution(unroll=unroll),
    )
    return set_up(experiment, jax.devices()[:1])


def measure(setup: Setup, groups: int, steps: int) -> tuple[float, float]:
    """Return median seconds per step: of the clock, and of work in the thread that calls it."""
    tokens = ClipTokenizer(context_length=3)(["one", "two"])
    batch = setup.place(Batch(np.zeros((2, 2, 2, 3), np.uint8), tokens))
    state, _ = setup.step(setup.initialise(), batch)
    wall, thread = [], []
    for _ in range(groups):
        jax.block_until_ready(state)
        start, busy = time.perf_counter(), time.thread_time()
        for _ in range(steps):
            state, _ = setup.step(state, batch)
        jax.block_until_ready(state)
        wall.append((time.perf_counter() - start) / steps)
        thread.append((time.thread_time() - busy) / steps)
    return statistics.median(wall), statistics.median(thread)


def main() -> None:
    """Parse the flags, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--depth", type=int, default=12, help="blocks of each tower")
    parser.add_argument("--unroll", type=int, default=1, help="blocks per iteration of the loop")
    parser.add_argument("--groups", type=int, default=21)
    parser.add_argument("--steps", type=int, default=100, help="steps of a group")
    flags = parser.parse_args()
    print(environment.describe(("jax", "jaxlib", "flax", "optax")))
    setup = make_setup(flags.depth, flags.unroll)
    wall, thread = measure(setup, flags.groups, flags.steps)
    leaves = len(jax.tree.leaves(setup.abstract))
    print(f"{2 * flags.depth} blocks, {leaves} arrays of state on {jax.devices()[0].device_kind}")
    print(f"{wall * 1e6:.0f} us per step; the calling thread works {thread * 1e6:.0f} us")


if __name__ == "__main__":
    main()
