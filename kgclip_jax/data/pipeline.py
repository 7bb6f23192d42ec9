"""The Grain pipeline: from streams to this host's rows of each step.

One Grain element is a part of a step: as many units of rows of every stream as divide the host's
rows evenly. Elements are a function of (step, part) alone, so that the number of workers, hosts and
restarts changes nothing, and several small elements take less shared memory than a step at a time.
"""

import math
import os
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, NamedTuple

import grain
from absl import flags

from kgclip_jax.batch import Batch
from kgclip_jax.data.blocks import arrays_of, concat_blocks
from kgclip_jax.data.streams.stream import Counts, Stream
from kgclip_jax.errors import DataError
from kgclip_jax.processes import follow_parent

BUFFERED = 2  # elements that wait in each worker
SHARED_MEMORY = "/dev/shm"

HostUnits = Mapping[str, Sequence[int]]  # of each stream, which units of rows this host loads


class HostBatch(NamedTuple):
    """This host's rows of a step, and what became of their records.

    Attributes:
        parts: one after another, the rows of the host's units in their order.
        counts: over these rows, but for those that another host counts.
    """

    parts: Sequence[Batch]
    counts: Counts


class _Part(NamedTuple):
    batch: Batch
    counts: Counts


@dataclass(frozen=True)
class _LoadPart:
    """Makes an element from its number."""

    streams: Mapping[str, Stream]
    units: HostUnits
    counted: HostUnits
    parts: int

    def __call__(self, number: int) -> _Part:
        step, part = divmod(number, self.parts)
        batch: dict[str, Any] = {}
        counts: Counts = Counter()
        for name, stream in self.streams.items():
            mine = self.units[name]
            share = len(mine) // self.parts
            blocks = []
            units = mine[part * share : (part + 1) * share]
            for is_counted, some in groupby(units, self.counted[name].__contains__):
                loaded, made = stream.load(step, [*some])
                blocks.append(loaded)
                if is_counted:
                    counts += made
            batch[name] = concat_blocks(blocks)
        return _Part(batch, counts)


def parts_of(units: HostUnits) -> int:
    """Return the number of parts of a step: the most that divide the units of every stream."""
    return math.gcd(*map(len, units.values()))


class HostBatches(Iterator[HostBatch]):
    """The endless batches of this host. They must be closed."""

    def __init__(self, elements: Any, parts: int) -> None:
        self._elements = elements
        self._parts = parts

    def __next__(self) -> HostBatch:
        parts = [next(self._elements) for _ in range(self._parts)]
        counts: Counts = Counter()
        for part in parts:
            counts += part.counts
        return HostBatch([part.batch for part in parts], counts)

    def close(self) -> None:
        """End the workers."""
        self._elements.close()


def host_batches(
    streams: Mapping[str, Stream],
    units: HostUnits | None = None,
    *,
    counted: HostUnits | None = None,
    start: int = 0,
    workers: int = 0,
) -> HostBatches:
    """Return the batches of a run from step `start` on.

    Args:
        streams: what a batch is made of.
        units: the units of rows that this host loads, in ascending order; by default all.
        counted: those whose records this host counts; by default all of its own.
        start: first step; resuming at step n gives the batches that would have come.
        workers: processes that make elements; 0 uses threads of this process.

    Raises:
        DataError: shared memory is too small for so many workers.
    """
    if units is None:
        units = {name: range(stream.rows // stream.unit) for name, stream in streams.items()}
    parts = parts_of(units)
    numbers = grain.MapDataset.range(start * parts, 2**62)
    elements = numbers.map(_LoadPart(streams, units, units if counted is None else counted, parts))
    if not workers:
        options = grain.ReadOptions(num_threads=2, prefetch_buffer_size=4)
        return HostBatches(iter(elements.to_iter_dataset(options)), parts)
    check_shared_memory(element_bytes(streams, units), parts, workers)
    # Grain reads its own command-line flags, which only absl's entry point has parsed.
    flags.FLAGS.mark_as_parsed()
    ahead = grain.ReadOptions(num_threads=1, prefetch_buffer_size=BUFFERED)
    processes = grain.multiprocessing.MultiprocessingOptions(
        num_workers=workers, per_worker_buffer_size=BUFFERED
    )
    prefetched = elements.to_iter_dataset(ahead).mp_prefetch(processes, _begin_worker)
    return HostBatches(iter(prefetched), parts)


def _begin_worker(worker: int, workers: int) -> None:
    del worker, workers
    follow_parent()


def element_bytes(streams: Mapping[str, Stream], units: HostUnits) -> int:
    """Return the size of the arrays of one element."""
    parts = parts_of(units)
    total = 0
    for name, stream in streams.items():
        whole = sum(array.nbytes for array in arrays_of(stream.abstract()))
        total += whole * len(units[name]) // (stream.rows // stream.unit) // parts
    return total


def check_shared_memory(element: int, parts: int, workers: int) -> None:
    """Raise DataError when the elements on their way from the workers do not fit.

    Those of a worker wait in a queue between the processes and in another one of this process, and
    one more before each of them. Steps stay there while they are used: one is held, and the next
    one is put together.

    `element` is the size of one in bytes; a step has `parts` of them.
    """
    if not os.path.isdir(SHARED_MEMORY):
        return
    steps, of_a_worker = 2 * parts * element, 2 * (BUFFERED + 1) * element
    needed, free = steps + workers * of_a_worker, shutil.disk_usage(SHARED_MEMORY).free
    if needed > free:
        fitting = max(0, free - steps) // of_a_worker
        raise DataError(
            f"{workers} workers hold {needed / 2**20:,.0f} MiB of batches in {SHARED_MEMORY}, "
            f"which has {free / 2**20:,.0f} MiB free: set config.data.workers to {fitting}, or "
            "give the container more (docker run --shm-size)"
        )


def summarise(reasons: Counter[str], examples: Mapping[str, str], most: int = 5) -> str:
    """Count bad records by reason, the commonest first, on one line, with an example each."""
    parts = [
        f"{count} x {reason}" + (f" ({examples[reason]})" if examples.get(reason) else "")
        for reason, count in reasons.most_common(most)
    ]
    left_out = len(reasons) - len(parts)
    return "; ".join(parts) + (f"; and {left_out} other reasons" if left_out else "")
