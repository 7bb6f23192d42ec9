"""Numbers of a run: loss, speed and memory, read without making a step wait; records counted."""

import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax

from kgclip_jax.data.pipeline import summarise
from kgclip_jax.data.streams.stream import BAD_RECORD, Counts
from kgclip_jax.errors import DataError, DivergedError
from kgclip_jax.models.flops import Work, peak_flops
from kgclip_jax.training.hooks import Event
from kgclip_jax.training.hosts import sum_over_hosts
from kgclip_jax.training.loss import Metrics
from kgclip_jax.training.memory import peak_memory
from kgclip_jax.writers.writer import Numbers, Writer


class Throughput:
    """Speed between two readings.

    Args:
        rows: of a step, over all streams.
        work: of the towers in a step.
        devices: that share the work.
    """

    def __init__(self, rows: int, work: Work, devices: list[jax.Device]) -> None:
        self._rows = rows
        self._work = work
        peak = peak_flops(devices[0])
        self._peak = None if peak is None else peak * len(devices)
        self._restart()

    def _restart(self) -> None:
        self._began = time.perf_counter()
        self._steps = 0
        self._input_seconds = 0.0

    def count(self, event: Event) -> None:
        """Take a step into account."""
        self._steps += 1
        self._input_seconds += event.input_seconds

    def read(self) -> Numbers:
        """Return the speed since the last reading, and begin anew.

        `pairs_per_second` (rows of all streams), `text_tokens_per_second`, `input_wait` (share of
        the time spent waiting for batches), `model_tflops` (10^12 FLOP/s that towers, heads and
        teachers need, recomputation not counted) and, where the peak of the device is known,
        `mfu`, their share of
        it; neither where nothing goes through a tower. Nothing when no step was counted.
        """
        if not self._steps:
            self._restart()
            return {}
        seconds = time.perf_counter() - self._began
        flops = self._steps * self._work.flops / seconds
        numbers = {
            "pairs_per_second": self._steps * self._rows / seconds,
            "text_tokens_per_second": self._steps * self._work.text_tokens / seconds,
            "input_wait": self._input_seconds / seconds,
        }
        if flops:
            numbers["model_tflops"] = flops / 1e12
            if self._peak is not None:
                numbers["mfu"] = flops / self._peak
        self._restart()
        return numbers


class LogMetrics:
    """Writes metrics every `every` steps, one step late, so that no step waits for them.

    Args:
        writers: where they go; closing them is left to whoever opened them.
        throughput: measures speed; its clock starts after the first step, which compiles.
        every: steps between readings.
        saved: tells the steps of the checkpoints that there are.
    """

    def __init__(
        self,
        writers: list[Writer],
        throughput: Throughput,
        every: int,
        saved: Callable[[], Sequence[int]],
    ) -> None:
        self._saved = saved
        self._writers = writers
        self._throughput = throughput
        self._every = every
        self._compiled = False
        self._pending: tuple[int, Metrics, Numbers] | None = None

    def after_step(self, event: Event) -> None:
        """Count the step; write what is pending; read when it is time."""
        self._write_pending()
        if not self._compiled:
            jax.block_until_ready(event.metrics)
            self._throughput.read()
            self._compiled = True
        else:
            self._throughput.count(event)
        if event.step % self._every == 0:
            numbers = self._throughput.read() | peak_memory()
            self._pending = (event.step, event.metrics, numbers)

    def close(self) -> None:
        """Write what is pending."""
        self._write_pending()

    def _write_pending(self) -> None:
        if self._pending is None:
            return
        step, metrics, measured = self._pending
        self._pending = None
        numbers = {name: float(value) for name, value in jax.device_get(metrics).items()}
        if not math.isfinite(numbers["loss"]):
            raise DivergedError(step, self._saved())
        for writer in self._writers:
            writer.write(step, numbers | measured)


class RecordCounts:
    """Counts what became of records on all hosts, and stops the run when too many are bad.

    Hosts add up, and judge alike, every `every` steps and whenever all of it is asked for; each of
    them has to ask at the same steps.

    Args:
        counts: of earlier sessions of the run, as `to_json` gave them, perhaps read from JSON.
        rows: of a step, over all streams and hosts.
        limit: largest share of bad records.
        every: steps between judgements.
    """

    MINIMUM = 100  # one bad record among the first few says nothing about the share

    def __init__(
        self, counts: Iterable[Sequence[Any]], rows: int, limit: float, every: int = 1
    ) -> None:
        self._before: Counts = Counter({(kind, reason): n for kind, reason, n in counts})
        self._here: Counts = Counter()
        self._rows = rows
        self._limit = limit
        self._every = every
        self.examples: dict[str, str] = {}

    def after_step(self, event: Event) -> None:
        """Count; raise DataError when the share of bad records is above the limit."""
        for (kind, outcome, *example), count in event.counts.items():
            self._here[kind, outcome] += count
            if example:
                self.examples.setdefault(outcome, example[0])
        if event.step % self._every == 0:
            self._judge(event.step)

    def _judge(self, step: int) -> None:
        reasons = self.of(BAD_RECORD)
        total, drawn = reasons.total(), step * self._rows
        if total > max(self.MINIMUM, self._limit * drawn):
            raise DataError(
                f"{total} of {drawn} records could not be used, more than config.data.bad_share "
                f"({self._limit:.0%}): {summarise(reasons, self.examples)}"
            )

    @property
    def counts(self) -> Counts:
        """What became of the records of all hosts, in all sessions."""
        return self._before + sum_over_hosts(self._here)

    def of(self, kind: str) -> Counter[str]:
        """Return the reasons of one kind."""
        return Counter({reason: n for (of, reason), n in self.counts.items() if of == kind})

    def summary(self) -> list[str]:
        """Say what became of the records, line by line."""
        lines, bad = [], self.of(BAD_RECORD)
        if bad:
            lines.append(f"replaced {bad.total()} bad records: {summarise(bad, self.examples)}")
        others = Counter({key: n for key, n in self.counts.items() if key[0] != BAD_RECORD})
        return lines + [f"{kind}: {n:,} x {outcome}" for (kind, outcome), n in others.most_common()]

    def to_json(self) -> list[tuple[str, str, int]]:
        """Return what another session of the run begins with."""
        return [(kind, reason, n) for (kind, reason), n in sorted(self.counts.items())]

    def close(self) -> None:
        """Nothing is open."""
