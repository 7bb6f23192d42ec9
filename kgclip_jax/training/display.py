"""The live progress bar of a run, or plain lines where there is no terminal."""

import time

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from kgclip_jax.training.hooks import Event
from kgclip_jax.writers.writer import Numbers

SECONDS_BETWEEN_LINES = 10.0


class Display:
    """Shows steps, loss, pairs/s, share of time waiting for input, and time left.

    It is a hook, for the bar, and a writer of metrics, for the numbers beside it.
    """

    def __init__(self, console: Console, start: int, stop: int) -> None:
        self._console = console
        self._stop = stop
        self._last_line = 0.0
        self._began, self._start = time.perf_counter(), start
        self._progress = Progress(
            TextColumn("[bold]train"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[numbers]}"),
            TimeRemainingColumn(compact=True),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task(
            "train", total=stop, completed=start, numbers="compiling"
        )
        self._progress.start()

    def after_step(self, event: Event) -> None:
        """Move the bar."""
        self._progress.update(self._task, completed=event.step)

    def write(self, step: int, numbers: Numbers) -> None:
        """Show the numbers of a step."""
        text = f"loss {numbers['loss']:.3f}"
        if "pairs_per_second" in numbers:
            text += f"  {numbers['pairs_per_second']:,.0f} pairs/s"
            text += f"  input wait {numbers['input_wait']:.0%}"
        self._progress.update(self._task, numbers=text)
        now = time.perf_counter()
        if not self._console.is_terminal and now - self._last_line > SECONDS_BETWEEN_LINES:
            left = (now - self._began) / (step - self._start) * (self._stop - step)
            self._console.print(f"step {step}/{self._stop}  {text}  {left:.0f} s left")
            self._last_line = now

    def close(self) -> None:
        """Leave the bar as it is."""
        self._progress.stop()
