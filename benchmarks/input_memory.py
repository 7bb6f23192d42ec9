"""What parts of a step cost or save: shared memory, time to the first batch, rows per second.

    python benchmarks/input_memory.py --rows=2048 --units 64 256 2048 --workers=2

A step of 2,048 pictures of 224 x 224 is 300 MB of arrays. The workers hand it over in elements of
one unit of rows each; the last unit is the whole step. The pictures are noise, which costs nothing
("noise": what moving arrays costs), or decoded and cropped for each row ("JPEG").

"waiting" is what /dev/shm holds while a batch is in use and all buffers are full, as when the
device is the slower one, and "peak" the most over the whole turn; nothing else may use it
meanwhile. "first" includes the start of the workers. Every figure is the median over rounds, in
which all contenders take turns. Put this repository on PYTHONPATH.
"""

import argparse
import itertools
import os
import shutil
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import NamedTuple

import environment
from made_up import MadeUpSource, jpeg

from kgclip_jax.data.pipeline import SHARED_MEMORY, element_bytes, host_batches
from kgclip_jax.data.preprocessing import Preprocessing
from kgclip_jax.data.stored_pictures import Data
from kgclip_jax.data.streams.caption_stream import CaptionStream
from kgclip_jax.data.streams.captions_config import CaptionsConfig
from kgclip_jax.data.streams.stream import StreamOpening
from kgclip_jax.data.text_slots import one_slot
from kgclip_jax.data.tokenization.clip_tokenizer import ClipTokenizer

CAPTIONS = tuple(f"a photo of {number} dogs" for number in range(10_000))
CONTEXT = 32


class Measurement(NamedTuple):
    """Of one start of the workers."""

    waiting: int  # bytes
    peak: int  # bytes
    first: float  # seconds
    speed: float  # rows per second


def open_stream(flags: argparse.Namespace, unit: int, encoded: bytes | None) -> CaptionStream:
    """Open a stream that makes `unit` rows together."""
    settings = CaptionsConfig(
        sources={"made_up": MadeUpSource(CAPTIONS, encoded)},
        rows=flags.rows,
        text_slots=one_slot(unit, CONTEXT),
    )
    reading = Preprocessing(flags.size, ClipTokenizer(CONTEXT))
    return settings.open("captions", StreamOpening(Data(), reading))


class SharedMemory:
    """Bytes in use above those at the start, looked at every 2 ms."""

    def __init__(self) -> None:
        self._before = shutil.disk_usage(SHARED_MEMORY).used
        self.peak = 0

    def used(self) -> int:
        """Return what is in use now."""
        return shutil.disk_usage(SHARED_MEMORY).used - self._before

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Keep the peak up to date."""
        done = threading.Event()

        def watch() -> None:
            while not done.wait(0.002):
                self.peak = max(self.peak, self.used())

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            yield
        finally:
            done.set()
            watcher.join()


def measure(stream: CaptionStream, flags: argparse.Namespace) -> Measurement:
    """Start the workers, take batches as they come, then hold one until buffers are full."""
    memory = SharedMemory()
    with memory.watched():
        began = time.perf_counter()
        with closing(host_batches({stream.name: stream}, workers=flags.workers)) as batches:
            batch = next(batches)
            first = time.perf_counter() - began
            for _ in range(flags.untimed):
                batch = next(batches)
            began = time.perf_counter()
            for _ in range(flags.steps):
                batch = next(batches)
            speed = flags.steps * stream.rows / (time.perf_counter() - began)
            before, waiting = -1, memory.used()
            while waiting > before:
                time.sleep(flags.pause)
                before, waiting = waiting, memory.used()
            del batch
    return Measurement(waiting, memory.peak, first, speed)


def main() -> None:
    """Print a line for each kind of picture and size of an element."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=2048, help="of a step")
    parser.add_argument("--units", type=int, nargs="+", default=[64, 256, 2048])
    parser.add_argument(
        "--pictures", nargs="+", choices=("noise", "JPEG"), default=("noise", "JPEG")
    )
    parser.add_argument("--size", type=int, default=224, help="side of the pictures in pixels")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--untimed", type=int, default=2, help="steps before the clock starts")
    parser.add_argument("--steps", type=int, default=6, help="steps by the clock")
    parser.add_argument("--pause", type=float, default=4.0, help="longer than an element takes")
    flags = parser.parse_args()
    print(environment.describe(["numpy", "grain"]))
    encoded = {"noise": None, "JPEG": jpeg()}
    streams = {
        (name, unit): open_stream(flags, unit, encoded[name])
        for name, unit in itertools.product(flags.pictures, flags.units)
    }
    found: dict[tuple[str, int], list[Measurement]] = {key: [] for key in streams}
    for _ in range(flags.rounds):
        for key, stream in streams.items():
            found[key].append(measure(stream, flags))
    print("pictures  rows  element MB  waiting MB  peak MB  first s  rows/s (range)")
    for (name, unit), measured in found.items():
        stream = streams[name, unit]
        units = {stream.name: range(stream.rows // stream.unit)}
        element = element_bytes({stream.name: stream}, units)
        waiting, peaks, firsts, speeds = zip(*measured, strict=True)
        print(
            f"{name:8s} {unit:5d} {element / 1e6:11.1f} {statistics.median(waiting) / 1e6:11.0f}"
            f" {statistics.median(peaks) / 1e6:8.0f} {statistics.median(firsts):8.2f}"
            f" {statistics.median(speeds):7.0f} ({min(speeds):.0f} - {max(speeds):.0f})"
        )
    print(f"load {os.getloadavg()[0]:.1f} at the end")


if __name__ == "__main__":
    main()
