"""Microseconds that a training step costs before any arithmetic: Python, the runtime, the kernels.

    taskset -c 0 python benchmarks/dispatch.py

Trains a dual encoder of 12 + 12 blocks with the real step and AdamW, at a width so small that
almost nothing is computed. The loop over blocks is not unrolled, as on accelerators. Prints the
median over groups of steps, and the processor time of the calling thread: what Python and the
runtime need before the device can start. On a CPU the rest is the tiny kernels themselves. Then the
same for all that looks at a run beside its steps (logs, watches), at a log every ten steps.
Put this repository on PYTHONPATH.
"""

import argparse
import os
import statistics
import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import environment
import jax
import numpy as np
from rich.console import Console
from steps import Steps, different_pairs

from kgclip_jax import config
from kgclip_jax.batch import Pairs
from kgclip_jax.data.streams.captions_config import CaptionsConfig
from kgclip_jax.data.tokenization.clip_tokenizer import ClipTokenizer
from kgclip_jax.models import spec
from kgclip_jax.models.transformer import Execution
from kgclip_jax.objectives.contrastive import Contrastive
from kgclip_jax.observers import Observers
from kgclip_jax.optimizer_config import Group, Optimizer
from kgclip_jax.store.workdir import Workdir
from kgclip_jax.training.goodput import Goodput
from kgclip_jax.training.hooks import Event

WIDTH = 8


def make_experiment(depth: int, unroll: int) -> config.Experiment:
    """Describe the training of a model that is deep and does next to nothing."""
    transformer = spec.Transformer(WIDTH, depth, heads=1, mlp_width=WIDTH)
    model = spec.DualEncoder(
        vision=spec.Vision(transformer, image_size=2, patch_size=2),
        text=spec.Text(transformer, context_length=3),
        embedding=WIDTH,
    )
    return config.Experiment(
        model=model,
        streams={"captions": CaptionsConfig(sources={}, rows=2)},
        objectives={"contrastive": Contrastive()},
        # The one large array; training it would be arithmetic.
        optimizer=Optimizer(learning_rate=1e-3, groups=(Group("text/embedding", frozen=True),)),
        total_steps=1_000_000,
        execution=Execution(unroll=unroll),
    )


def make_pairs() -> Pairs:
    """Make a batch for it."""
    tokens = ClipTokenizer(context_length=3)(["one", "two"])
    return different_pairs(np.zeros((2, 2, 2, 3), np.uint8), tokens)


def measure(made: Steps, pairs: Pairs, groups: int, steps: int) -> tuple[float, float]:
    """Return median seconds per step: of the clock, and of work in the thread that calls it."""
    batch = made.place(pairs)
    made.step(batch)
    wall, thread = [], []
    for _ in range(groups):
        made.wait()
        start, busy = time.perf_counter(), time.thread_time()
        for _ in range(steps):
            made.step(batch)
        made.wait()
        wall.append((time.perf_counter() - start) / steps)
        thread.append((time.thread_time() - busy) / steps)
    return statistics.median(wall), statistics.median(thread)


def measure_observers(
    experiment: config.Experiment, made: Steps, pairs: Pairs, groups: int, steps: int
) -> float:
    """Return median seconds per step that observers take of the thread that calls them."""
    batch, spent = made.place(pairs), []
    with TemporaryDirectory() as folder, open(os.devnull, "w") as nothing:
        goodput = Goodput()
        observers = Observers(experiment, Workdir(Path(folder)), Console(file=nothing), goodput, 0)
        hooks = observers.hooks(made.setup, made.streams, made.placement, groups * steps)
        for group in range(groups):
            busy = 0.0
            for step in range(group * steps, (group + 1) * steps):
                event = Event(step + 1, made.state, made.step(batch), 0.0, Counter())
                start = time.thread_time()
                for hook in hooks:
                    hook.after_step(event)
                busy += time.thread_time() - start
            spent.append(busy / steps)
        for hook in hooks:
            hook.close()
        observers.close()
    return statistics.median(spent)


def main() -> None:
    """Parse the flags, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--depth", type=int, default=12, help="blocks of each tower")
    parser.add_argument("--unroll", type=int, default=1, help="blocks per iteration of the loop")
    parser.add_argument("--groups", type=int, default=21)
    parser.add_argument("--steps", type=int, default=100, help="steps of a group")
    flags = parser.parse_args()
    print(environment.describe(("jax", "jaxlib", "flax", "optax")))
    experiment, pairs = make_experiment(flags.depth, flags.unroll), make_pairs()
    made = Steps(experiment, pairs)
    wall, thread = measure(made, pairs, flags.groups, flags.steps)
    leaves = len(jax.tree.leaves(made.setup.abstract))
    print(f"{2 * flags.depth} blocks, {leaves} arrays of state on {jax.devices()[0].device_kind}")
    print(f"{wall * 1e6:.0f} us per step; the calling thread works {thread * 1e6:.0f} us")
    observers = measure_observers(experiment, made, pairs, flags.groups, flags.steps)
    print(f"{observers * 1e6:.0f} us of the calling thread per step for all that looks at a run")


if __name__ == "__main__":
    main()
