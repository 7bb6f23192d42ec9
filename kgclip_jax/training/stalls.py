"""Steps that do not end: where every thread stands meanwhile."""

import faulthandler
import threading
import time
from collections.abc import Callable
from pathlib import Path

from kgclip_jax.training.goodput import Goodput
from kgclip_jax.training.hooks import Event
from kgclip_jax.training.hosts import own_file

LONGER = 10  # times the longest step so far, at least


class StallWatch:
    """Says once for each stall that no step has ended for long, and writes down all stacks.

    It looks from a thread of its own, and only while steps are under way: compilation, checkpoints
    and evaluations take their time.

    Args:
        folder: where `stall-STEP.txt` goes, STEP being the last that ended.
        seconds: what is long; where steps themselves are, ten times the longest of them.
        goodput: tells what is under way.
        tell: says it.
    """

    def __init__(
        self, folder: Path, seconds: float, goodput: Goodput, tell: Callable[[str], None]
    ) -> None:
        self._folder, self._seconds, self._goodput, self._tell = folder, seconds, goodput, tell
        self._step = self._told = 0
        self._last = time.monotonic()
        self._longest = 0.0
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="stall watch", daemon=True)
        self._thread.start()

    def after_step(self, event: Event) -> None:
        """Remember when the step ended, and how long it took."""
        now = time.monotonic()
        if self._step:  # the first one compiles
            self._longest = max(self._longest, now - self._begun())
        self._step, self._last = event.step, now

    def close(self) -> None:
        """End the thread."""
        self._closed.set()
        self._thread.join()

    def look(self) -> None:
        """Speak up if the step under way has stalled, and nothing was said of it."""
        idle = time.monotonic() - self._begun()
        steps = self._goodput.part == "steps" and self._step != self._told
        if steps and idle > max(self._seconds, LONGER * self._longest):
            self._told = self._step
            self._write(idle)

    def _begun(self) -> float:
        """When the step under way began, or what stood before it ended."""
        return max(self._last, self._goodput.since)

    def _watch(self) -> None:
        while not self._closed.wait(self._seconds / 4):
            self.look()

    def _write(self, idle: float) -> None:
        path = own_file(self._folder / f"stall-{self._step}.txt")
        said = f"no step has ended for {idle:.0f} s after step {self._step}"
        try:
            with path.open("w") as file:
                file.write(f"{said}; {time.ctime()}\n\n")
                file.flush()
                faulthandler.dump_traceback(file)
            self._tell(f"{said}: {path} tells where every thread stands")
        except OSError as error:
            self._tell(f"{said}; cannot write {path}: {error.strerror}")
