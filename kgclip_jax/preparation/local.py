"""Parts of a preparation made by a pool of processes on this machine."""

import multiprocessing
import os
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.sharedctypes import Synchronized
from multiprocessing.synchronize import Event
from typing import Any

from kgclip_jax.errors import UserError
from kgclip_jax.preparation.parts import P, PartWriter, R
from kgclip_jax.processes import follow_parent

SECONDS_BETWEEN_COUNTS = 0.2


class _StopRequested(Exception):
    """The main process does not want the rest of the part."""


@dataclass(frozen=True)
class _Job:
    """What a worker needs.

    Attributes:
        writer: of any part.
        processed: number of records that all workers have been through.
        started: number of workers that have begun.
        stop: set when they shall give up.
    """

    writer: PartWriter[Any, Any]
    processed: "Synchronized[int]"
    started: "Synchronized[int]"
    stop: Event

    def write(self, number: int) -> Any:
        return self.writer.write(number, self._after_record)

    def _after_record(self) -> None:
        if self.stop.is_set():
            raise _StopRequested
        with self.processed.get_lock():
            self.processed.value += 1


_job: _Job  # of this process, when it is a worker
_number = 0  # of this process among the workers


def write_locally(
    writer: PartWriter[P, R],
    numbers: Sequence[int],
    advance: Callable[[int], None],
    *,
    workers: int,
) -> Generator[R, None, None]:
    """Make parts in parallel; yield their reports as they are finished.

    When the iterator is closed before its end, or by an exception, the workers end within a record
    or so and leave no unfinished part. When this process is killed they end too.

    `advance` is called several times a second, with the number of records processed since.

    Raises:
        UserError: the disk refuses, or a worker was killed.
    """
    context = multiprocessing.get_context("spawn")  # forked threads may hold locks for ever
    processed, started, stop = context.Value("q", 0), context.Value("q", 0), context.Event()
    job = _Job(writer, processed, started, stop)
    pool = ProcessPoolExecutor(workers, context, initializer=_start, initargs=(job,))
    try:
        seen = 0
        with _one_thread():
            running = {pool.submit(_write, number) for number in numbers}
        while running:
            finished, running = wait(running, SECONDS_BETWEEN_COUNTS, FIRST_COMPLETED)
            now = processed.value
            advance(now - seen)
            seen = now
            for future in finished:
                yield future.result()
    except BrokenProcessPool as error:
        raise UserError(
            "a worker was killed, perhaps because memory ran out; the same command goes on where "
            "this one stopped, and takes less memory with fewer --workers"
        ) from error
    finally:
        stop.set()
        pool.shutdown(cancel_futures=True)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let processes that are started meanwhile multiply matrices in one thread: each has a core."""
    before = {name: os.environ.get(name) for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")}
    os.environ.update(dict.fromkeys(before, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


def worker_number() -> int:
    """Return which one of the workers this process is, counted from 0."""
    return _number


def _start(job: _Job) -> None:
    global _job, _number
    follow_parent()
    _job = job
    with job.started.get_lock():
        _number = job.started.value
        job.started.value += 1


def _write(number: int) -> Any:
    return _job.write(number)
