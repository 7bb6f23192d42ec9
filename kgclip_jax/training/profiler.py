"""A trace of some steps by JAX's profiler."""

from collections.abc import Callable
from pathlib import Path

import jax

from kgclip_jax.training.hooks import Event


class ProfileSteps:
    """Traces the steps from `first` to `last`, for TensorBoard's profile plugin, xprof or Perfetto.

    The devices are empty at both ends: the loop waits there, and nowhere else.

    Args:
        folder: where the trace goes.
        first: step; earlier ones than the loop takes are left out, and told of.
        last: step.
        start: steps taken before the loop.
        tell: says what became of it.
    """

    def __init__(
        self, folder: Path, first: int, last: int, start: int, tell: Callable[[str], None]
    ) -> None:
        self._folder, self._first, self._last, self._tell = folder, first, last, tell
        self._running = False
        if first <= start:
            tell(f"config.profile: step {first} is behind this run, which goes on from {start}")
        elif first == start + 1:
            self._begin()

    def after_step(self, event: Event) -> None:
        """Begin before the first of the steps, end after the last."""
        if event.step + 1 == self._first:
            jax.block_until_ready(event.metrics)
            self._begin()
        elif self._running and event.step == self._last:
            jax.block_until_ready(event.metrics)
            self.close()

    def close(self) -> None:
        """Write the trace, if one is under way."""
        if self._running:
            self._running = False
            jax.profiler.stop_trace()
            self._tell(f"profile of steps from {self._first} on: {self._folder}")

    def _begin(self) -> None:
        jax.profiler.start_trace(self._folder)
        self._running = True
