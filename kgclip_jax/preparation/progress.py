"""The progress bar of a preparation, or plain lines where there is no terminal."""

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

SECONDS_BETWEEN_LINES = 10.0


class RecordsProgress:
    """Shows records, records/s and the time left, while entered.

    Args:
        console: where to show them.
        done: records of parts that an earlier launch finished.
        total: all records; None where nobody has counted them.
        unit: how the records are called, in the plural: "pictures".
    """

    def __init__(self, console: Console, done: int, total: int | None, unit: str) -> None:
        self._console = console
        self._unit = unit
        self._total = total
        self._start = self._done = done
        self._began = self._last_line = time.perf_counter()
        self._progress = Progress(
            TextColumn("[bold]prepare"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(compact=True),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("prepare", total=total, completed=done, rate="")

    def __enter__(self) -> "RecordsProgress":
        if self._done:
            self._console.print(f"continuing after {self._done} of {self._total} {self._unit}")
        self._progress.start()
        return self

    def __exit__(
        self, kind: type | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def advance(self, records: int) -> None:
        """Count records that have gone by."""
        now = time.perf_counter()
        if self._done == self._start:
            self._began = now  # the time that workers take to start is not theirs
        self._done += records
        rate = f"{(self._done - self._start) / (now - self._began or 1):,.0f} {self._unit}/s"
        self._progress.update(self._task, completed=self._done, rate=rate)
        if not self._console.is_terminal and now - self._last_line > SECONDS_BETWEEN_LINES:
            total = "" if self._total is None else f" of {self._total}"
            self._console.print(f"{self._done}{total} {self._unit}  {rate}")
            self._last_line = now
