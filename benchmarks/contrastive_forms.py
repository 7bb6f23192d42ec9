"""Forms of the softmax contrastive loss: memory, what devices tell each other, time.

    python benchmarks/contrastive_forms.py

Loss and gradients on eight devices that share this machine's cores, of pairs with ids:

    naive    all logits at once, kept for the backward pass
    gather   chunks of captions that all devices gather
    ring     chunks that go round the devices

Memory and bytes are those of the program that is compiled for `--batch` pairs and not run: what XLA
sets aside on a device beside arguments and results, and what a device receives in all iterations of
its loops. Times are of `--timed` pairs, forms in turns: of the clock, and of all cores together,
which other work on the machine disturbs less. Put this repository on PYTHONPATH.
"""

import argparse
import os
import re
import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from typing import Any

import environment
import jax
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from kgclip_jax.objectives.contrastive import softmax_contrastive

DEVICES = 8

# What a device receives of a result, if nothing is sent twice: all but its own share, which comes
# back once more where sums are handed out to all.
RECEIVED = {
    "all-gather": (DEVICES - 1) / DEVICES,
    "all-reduce": 2 * (DEVICES - 1) / DEVICES,
    "reduce-scatter": DEVICES - 1,
    "collective-permute": 1.0,
}
COLLECTIVE = re.compile(rf"= (.*?) ({'|'.join(RECEIVED)})(?:-start)?\(")
ARRAY = re.compile(r"\b(?:[a-z]+)(\d+)\[([\d,]*)\]")
LOOP = re.compile(r" while\(.*body=%([\w.-]+).*\"known_trip_count\":\{\"n\":\"(\d+)\"")
CALLED = re.compile(r"(?:to_apply|calls)=%([\w.-]+)")


def received(program: str) -> dict[str, tuple[int, float]]:
    """Return {kind: (number, bytes that a device receives)} of a compiled program as it runs."""
    bodies: dict[str, list[str]] = {}
    entry = name = ""
    for line in program.splitlines():
        if line.endswith("{") and not line.startswith(" "):
            name = re.sub(r"^ENTRY ", "", line).lstrip("%").split(" ")[0]
            bodies[name] = []
            entry = name if line.startswith("ENTRY") else entry
        elif name:
            bodies[name].append(line)
    found: dict[str, tuple[int, float]] = defaultdict(lambda: (0, 0.0))

    def visit(name: str, times: int) -> None:
        for line in bodies[name]:
            if match := COLLECTIVE.search(line):
                shapes, kind = match.groups()
                sizes = (
                    int(bits) // 8 * int(np.prod([int(n) for n in shape.split(",") if n]))
                    for bits, shape in ARRAY.findall(shapes)
                )
                count, size = found[kind]
                found[kind] = count + times, size + times * RECEIVED[kind] * sum(sizes)
            elif match := LOOP.search(line):
                visit(match[1], times * int(match[2]))
            elif match := CALLED.search(line):
                visit(match[1], times)

    visit(entry, 1)
    return dict(found)


def make_forms(mesh: jax.sharding.Mesh, batch: int, chunk: int) -> dict[str, Callable[..., Any]]:
    """Return the forms by name, compiled for a batch."""
    chosen = {"naive": ("gather", batch), "gather": ("gather", chunk), "ring": ("ring", chunk)}
    forms = {}
    for name, (exchange, chunk_size) in chosen.items():
        settings = {"exchange": exchange, "chunk_size": chunk_size}

        def loss(image: Any, text: Any, scale: Any, ids: Any, settings: Any = settings) -> Any:
            return tuple(softmax_contrastive(image, text, scale, ids=ids, **settings))

        with jax.set_mesh(mesh):
            step = jax.jit(jax.value_and_grad(loss, argnums=(0, 1, 2), has_aux=True))
            forms[name] = step.lower(*abstract(mesh, batch)).compile()
    return forms


def abstract(mesh: jax.sharding.Mesh, batch: int) -> list[jax.ShapeDtypeStruct]:
    """Shapes of images, texts, scale and ids, on the mesh."""
    rows = NamedSharding(mesh, PartitionSpec("data"))
    everywhere = NamedSharding(mesh, PartitionSpec())
    vectors = jax.ShapeDtypeStruct((batch, 512), np.float32, sharding=rows)
    return [
        vectors,
        vectors,
        jax.ShapeDtypeStruct((), np.float32, sharding=everywhere),
        jax.ShapeDtypeStruct((batch, 2), np.int32, sharding=rows),
    ]


def arguments(mesh: jax.sharding.Mesh, batch: int) -> list[jax.Array]:
    """Random unit vectors, a scale of 100, and ids of which some recur."""
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(2, batch, 512)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=-1, keepdims=True)
    arrays = [*vectors, np.float32(100), rng.integers(-1, batch, (batch, 2)).astype(np.int32)]
    places = [leaf.sharding for leaf in abstract(mesh, batch)]
    return [jax.device_put(array, place) for array, place in zip(arrays, places, strict=True)]


def measure(forms: dict[str, Callable[..., Any]], inputs: list[jax.Array], rounds: int) -> None:
    """Print times of all forms, in turns."""
    clock, cores = defaultdict(list), defaultdict(list)
    for number in range(rounds + 1):
        for name, form in forms.items():
            began, busy = time.perf_counter(), time.process_time()
            jax.block_until_ready(form(*inputs))
            if number:  # the first round warms up
                clock[name].append(time.perf_counter() - began)
                cores[name].append(time.process_time() - busy)
    for name in forms:
        ratio = partial(_median_ratio, cores[name], cores["naive"])
        print(
            f"{name:<8}{statistics.median(clock[name]):>8.2f} s of the clock"
            f"{statistics.median(cores[name]):>8.2f} s of cores "
            f"({min(cores[name]):.2f} - {max(cores[name]):.2f}), {ratio():.2f} of naive"
        )


def _median_ratio(mine: list[float], others: list[float]) -> float:
    """Median over rounds, so that load which comes and goes matters less."""
    return statistics.median(a / b for a, b in zip(mine, others, strict=True))


def main() -> None:
    """Parse the flags, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--batch", type=int, default=32768, help="pairs of memory and bytes")
    parser.add_argument("--chunk", type=int, default=128, help="captions compared at a time")
    parser.add_argument("--timed", type=int, default=4096, help="pairs of the times")
    parser.add_argument("--rounds", type=int, default=5)
    flags = parser.parse_args()
    os.environ["NPROC"] = "32"  # threads, of which collectives need one a device
    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_num_cpu_devices", DEVICES)
    print(environment.describe(("jax", "jaxlib")))
    mesh = jax.make_mesh((DEVICES, 1, 1), ("data", "fsdp", "tensor"), (AxisType.Auto,) * 3)
    print(f"{flags.batch:,} pairs, of each device:")
    for name, form in make_forms(mesh, flags.batch, flags.chunk).items():
        memory = form.memory_analysis().temp_size_in_bytes
        told = ", ".join(
            f"{count:,} {kind} {size / 1e6:,.1f} MB"
            for kind, (count, size) in sorted(received(form.as_text()).items())
        )
        print(f"{name:<8}{memory / 1e6:>10,.1f} MB temporary, receives {told}")
    print(f"{flags.timed:,} pairs, median of {flags.rounds} rounds:")
    measure(make_forms(mesh, flags.timed, flags.chunk), arguments(mesh, flags.timed), flags.rounds)
    print(f"load {os.getloadavg()[0]:.1f} at the end")


if __name__ == "__main__":
    main()
