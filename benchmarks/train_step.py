"""Pairs per second of whole training steps, against open_clip.

    OMP_NUM_THREADS=1 taskset -c 0 python benchmarks/train_step.py \
        --captions=../shared/data/flickr8k/captions.txt

Forward pass, backward pass and AdamW (torch's fused one) of the same architecture on the same
captions, on the same device: float32 on CPUs, bfloat16 on GPUs (autocast in torch). Two conditions:

    equal shapes       both towers see all 77 positions of the padded captions
    caption lengths    open_clip pads to 77 as it always does; ours sorts the captions of a batch
                       into text slots, chosen for all captions of the file

Pictures are noise: open_clip gets them normalised, ours as bytes, as their loaders deliver them.

The contenders live in processes of their own and take turns. Figures are medians over the rounds,
a ratio is the median of the ratios within a round. Model FLOPs are those of the tokens that a
contender processes; the peak is the data sheet's, or on CPUs that of a large product measured by
XLA. The last column is CPU time by wall time and core: below 1 on a CPU, something else ran there.

Pin it to one core. On several, other load makes torch's threads wait for each other, and flatters
ours. Mind the processor too: torch's matrix products (MKL) use AVX-512 on Intel alone, XLA's on
any that has it, so on a recent AMD a good part of the ratio is MKL's. What it needs: see
`open_clip_reference.py`, and put this repository on PYTHONPATH.
"""

import argparse
import csv
import dataclasses
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any, NamedTuple, Protocol

import environment
import numpy as np
import open_clip_reference

from kgclip_jax.data.text_slots import TextSlots, choose_slots
from kgclip_jax.data.tokenization.clip_tokenizer import ClipTokenizer
from kgclip_jax.models import spec
from kgclip_jax.models.presets import preset
from kgclip_jax.optimizer_config import Optimizer
from kgclip_jax.random import generator

EQUAL, CUT = "equal shapes", "caption lengths"
CONTENDERS = ("open_clip", "kgclip_jax")


Slots = tuple[np.ndarray, ...]


class Task(NamedTuple):
    """What is trained on."""

    shape: spec.DualEncoder
    device: str
    images: np.ndarray  # uint8
    batches: dict[str, list[Slots]]  # token ids of each turn, by condition


class Contender(Protocol):
    """One implementation of the training step."""

    def place(self, tokens: Slots) -> Any:
        """Put the task's pictures and these texts onto the device."""

    def step(self, batch: Any) -> None:
        """Start a training step."""

    def wait(self) -> None:
        """Return when all started steps are done."""


class KgclipJax:
    """This package, by the same compiled step that `launch/train.py` runs."""

    def __init__(self, task: Task) -> None:
        os.environ["JAX_PLATFORMS"] = {"cpu": "cpu", "gpu": "cuda"}[task.device]
        os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"  # torch needs room beside us

        from steps import Steps, different_pairs

        from kgclip_jax import config
        from kgclip_jax.data.streams.captions_config import CaptionsConfig
        from kgclip_jax.objectives.contrastive import Contrastive

        experiment = config.Experiment(
            model=task.shape,
            streams={"captions": CaptionsConfig(sources={}, rows=len(task.images))},
            objectives={"contrastive": Contrastive()},
            optimizer=Optimizer(learning_rate=1e-4, weight_decay=0.2, clip_norm=None),
            total_steps=10_000,
        )
        self.pairs = partial(different_pairs, task.images)
        first = next(iter(task.batches.values()))[0]
        self.steps = Steps(experiment, self.pairs(*first))

    def place(self, tokens: Slots) -> Any:
        """Pictures stay bytes; the step normalises them."""
        return self.steps.place(self.pairs(*tokens))

    def step(self, batch: Any) -> None:
        """Dispatch."""
        self.steps.step(batch)

    def wait(self) -> None:
        """Block on the whole state."""
        self.steps.wait()


class OpenClip:
    """open_clip's model, loss and optimizer settings, stepped as its training loop does."""

    def __init__(self, task: Task) -> None:
        import torch

        torch.set_num_threads(len(os.sched_getaffinity(0)))
        self.device = {"cpu": "cpu", "gpu": "cuda"}[task.device]
        self.vision = task.shape.vision
        self.model = open_clip_reference.build(task.shape).to(self.device).train()
        from open_clip.loss import ClipLoss

        self.loss = ClipLoss()
        self.log_limit = float(np.log(100))
        decayed = [p for p in self.model.parameters() if p.ndim >= 2]
        others = [p for p in self.model.parameters() if p.ndim < 2]
        groups = [{"params": decayed, "weight_decay": 0.2}, {"params": others, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=1e-4, betas=(0.9, 0.98), eps=1e-6, fused=True)
        self.pixels = self._normalised(task.images)

    def _normalised(self, images: np.ndarray) -> Any:
        """Normalise ahead of the step, as open_clip's loader does."""
        import torch

        mean, std = (torch.tensor(v).view(3, 1, 1) for v in (self.vision.mean, self.vision.std))
        pixels = torch.empty(len(images), 3, *images.shape[1:3], device=self.device)
        for row, image in zip(pixels, images, strict=True):
            row.copy_((torch.from_numpy(image).permute(2, 0, 1) / 255 - mean) / std)
        return pixels

    def place(self, tokens: Slots) -> Any:
        """The pictures are there already."""
        import torch

        (padded,) = tokens
        return self.pixels, torch.from_numpy(padded).to(self.device, torch.int64)

    def step(self, batch: Any) -> None:
        """Follow `open_clip_train.train.train_one_epoch`."""
        import torch

        self.optimizer.zero_grad()
        with torch.autocast(self.device, torch.bfloat16, enabled=self.device == "cuda"):
            loss = self.loss(*self.model(*batch))
        loss.backward()
        self.optimizer.step()
        with torch.no_grad():
            self.model.logit_scale.clamp_(0, self.log_limit)

    def wait(self) -> None:
        """Synchronise with a GPU; on a CPU nothing is pending."""
        import torch

        if self.device == "cuda":
            torch.cuda.synchronize()


def serve(connection: Connection, make: Callable[[Task], Contender], task: Task) -> None:
    """Build a contender and warm it up, then run turns as asked; None ends it."""
    contender = make(task)
    batches = {
        condition: [contender.place(tokens) for tokens in turns]
        for condition, turns in task.batches.items()
    }
    for condition in task.batches:
        for batch in batches[condition][:2]:
            contender.step(batch)
    contender.wait()
    connection.send(measured_peak(task.device) if isinstance(contender, KgclipJax) else None)
    while (request := connection.recv()) is not None:
        condition, turn, steps = request
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(steps):
            contender.step(batches[condition][turn])
        contender.wait()
        connection.send((time.perf_counter() - wall, time.process_time() - cpu))


def measured_peak(device: str) -> float:
    """FLOP/s of the device: its data sheet's, or of the best of some large products by XLA."""
    import jax
    import jax.numpy as jnp

    from kgclip_jax.models.flops import peak_flops

    if (known := peak_flops(jax.devices()[0])) is not None:
        return known
    n, dtype = 2048, jnp.float32 if device == "cpu" else jnp.bfloat16
    square = jnp.ones((n, n), dtype)
    product = jax.jit(jnp.matmul)
    seconds = []
    for _ in range(11):
        start = time.perf_counter()
        product(square, square).block_until_ready()
        seconds.append(time.perf_counter() - start)
    return 2 * n**3 / min(seconds)


class Measurements(NamedTuple):
    """Seconds of each round of one contender under one condition, and what was computed."""

    wall: list[float]
    cpu: list[float]
    flops: list[int]


def measure(
    tasks: dict[str, Task], rounds: int, steps: int
) -> tuple[float, dict[tuple[str, str], Measurements]]:
    """Let the contenders take turns; returns the peak, and measurements by (condition, name)."""
    from kgclip_jax.batch import Images, Texts
    from kgclip_jax.models.flops import step_work

    context = get_context("spawn")
    connections, peak = {}, 0.0
    for name, make in zip(CONTENDERS, (OpenClip, KgclipJax), strict=True):
        connections[name], other = context.Pipe()
        context.Process(target=serve, args=(other, make, tasks[name]), daemon=True).start()
        began = time.perf_counter()
        peak = connections[name].recv() or peak
        print(f"{name}: compiled and warm after {time.perf_counter() - began:.0f} s", flush=True)
    results: dict[tuple[str, str], Measurements] = {}
    for turn in range(rounds):
        for condition in tasks[CONTENDERS[0]].batches:
            for name in CONTENDERS if turn % 2 else CONTENDERS[::-1]:
                task, connection = tasks[name], connections[name]
                connection.send((condition, turn, steps))
                wall, cpu = connection.recv()
                result = results.setdefault((condition, name), Measurements([], [], []))
                result.wall.append(wall / steps)
                result.cpu.append(cpu / steps)
                tokens = task.batches[condition][turn]
                batch = {"image": Images(task.images), "text": Texts(tokens)}
                result.flops.append(step_work(task.shape, batch, {"image", "text"}).flops)
    for connection in connections.values():
        connection.send(None)
    return peak, results


def make_tasks(flags: argparse.Namespace) -> tuple[dict[str, Task], TextSlots]:
    """Draw pictures and captions; returns a task for each contender, and the slots of ours."""
    shape = preset(flags.model)
    if flags.depth is not None:
        shape = dataclasses.replace(
            shape, vision=_cut(shape.vision, flags.depth), text=_cut(shape.text, flags.depth)
        )
    rng = generator(0, "benchmark")
    side = shape.vision.image_size
    images = rng.integers(0, 256, (flags.batch_size, side, side, 3), np.uint8)
    captions, tokenizer = read_captions(flags.captions), ClipTokenizer(shape.text.context_length)
    slots = choose_slots(
        tokenizer.lengths(tokenizer(captions)),
        unit=flags.batch_size,
        multiple=8 if flags.batch_size % 8 == 0 and flags.batch_size >= 64 else 1,
        longest=shape.text.context_length,
    )
    padded: list[Slots] = []
    cut: list[Slots] = []
    for _ in range(flags.rounds):
        chosen = rng.choice(len(captions), flags.batch_size, replace=False)
        tokens = tokenizer([captions[index] for index in chosen])
        padded.append((tokens,))
        cut.append(_in_slots(tokens, tokenizer.lengths(tokens), slots))
    theirs = Task(shape, flags.device, images, {EQUAL: padded, CUT: padded})
    ours = theirs._replace(batches={EQUAL: padded, CUT: cut})
    return {"open_clip": theirs, "kgclip_jax": ours}, slots


def _in_slots(tokens: np.ndarray, lengths: np.ndarray, slots: TextSlots) -> Slots:
    """Sort texts into slots. A text too long for its own loses its end, which costs no time."""
    rows = np.split(tokens[slots.order(lengths)], np.cumsum(slots.rows)[:-1])
    return tuple(part[:, :length] for part, length in zip(rows, slots.lengths, strict=True))


def _cut(tower: Any, depth: int) -> Any:
    return dataclasses.replace(
        tower, transformer=dataclasses.replace(tower.transformer, depth=depth)
    )


def read_captions(path: str) -> list[str]:
    """Read the captions of a Flickr8k captions file (CSV: image,caption)."""
    with open(path, encoding="utf-8", newline="") as file:
        return [row["caption"] for row in csv.DictReader(file)]


def print_table(
    peak: float, results: dict[tuple[str, str], Measurements], pairs: int, cores: int
) -> None:
    """Print medians, the range over the rounds, and speed against open_clip."""
    print(f"peak {peak / 1e9:.0f} GFLOP/s\n")
    print("condition        contender   s/step          range  pairs/s   MFU  speed-up  CPU/wall")
    for (condition, name), result in sorted(results.items(), key=lambda item: item[0][0] == CUT):
        theirs = results[condition, "open_clip"]
        wall = statistics.median(result.wall)
        mfu = statistics.median(f / w for f, w in zip(result.flops, result.wall, strict=True))
        ratio = statistics.median(a / b for a, b in zip(theirs.wall, result.wall, strict=True))
        print(
            f"{condition:16s} {name:10s} {wall:7.3f} {min(result.wall):7.3f}-{max(result.wall):.3f}"
            f" {pairs / wall:8.2f} {mfu / peak:5.0%} {ratio:9.2f}"
            f" {sum(result.cpu) / sum(result.wall) / cores:9.2f}"
        )


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the flags, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--captions", required=True, help="CSV with the columns image and caption")
    parser.add_argument("--model", default="ViT-B-32", help="a preset of OpenAI's layout")
    parser.add_argument("--depth", type=int, default=None, help="blocks of each tower, to cut it")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=7, help="each with captions of its own")
    parser.add_argument("--steps", type=int, default=1, help="steps of a turn")
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu")
    flags = parser.parse_args(arguments)
    packages = ("jax", "jaxlib", "torch", "open_clip_torch")
    print(" ".join(sys.argv), environment.describe(packages), sep="\n")
    tasks, slots = make_tasks(flags)
    print(f"caption lengths: slots of {slots.rows} texts of {slots.lengths} tokens")
    peak, results = measure(tasks, flags.rounds, flags.steps)
    print_table(peak, results, flags.batch_size, len(os.sched_getaffinity(0)))
    print(f"load {os.getloadavg()[0]:.1f} at the end")


if __name__ == "__main__":
    main()
