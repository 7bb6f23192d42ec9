"""Where the time of a session goes: to steps, or to what stands beside them."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from kgclip_jax.training.hooks import Event

PARTS = ("steps", "input", "compile", "checkpoint", "evaluation", "other")


class Goodput:
    """A clock that is always on one part of the work; the parts add up to the time since its start.

    It asks nothing of the devices. `compile` lasts from `begin_steps` until the first step has
    ended, which is among it; `input` is the wait for batches; `checkpoint` and `evaluation` are
    what the loop stands still for, so that what is written behind its back counts as `steps`;
    `other` is the opening of data and models, and the end.

    Attributes:
        part: what is under way.
        since: when that began, by `time.monotonic`.
    """

    def __init__(self) -> None:
        self._seconds = dict.fromkeys(PARTS, 0.0)
        self.part, self.since = "other", time.monotonic()

    def begin_steps(self) -> None:
        """Say that the first step, which compiles, comes now."""
        self._turn_to("compile")

    def after_step(self, event: Event) -> None:
        """Count the wait for the batch. A hook that waits for the first step comes before."""
        self._seconds["input"] += event.input_seconds
        self._seconds[self.part] -= event.input_seconds
        if self.part == "compile":
            self._turn_to("steps")

    def close(self) -> None:
        """Say that there are no more steps."""
        self._turn_to("other")

    @contextmanager
    def during(self, part: str) -> Iterator[None]:
        """Count what happens meanwhile to a part."""
        before = self.part
        self._turn_to(part)
        try:
            yield
        finally:
            self._turn_to(before)

    def seconds(self) -> dict[str, float]:
        """Return the seconds of each part until now."""
        self._turn_to(self.part)
        return dict(self._seconds)

    def _turn_to(self, part: str) -> None:
        now = time.monotonic()
        self._seconds[self.part] += now - self.since
        self.part, self.since = part, now


def told(seconds: Mapping[str, float]) -> str:
    """Say in a line where the time went; parts of less than half a percent are left out."""
    whole = sum(seconds.values())
    shares = {part: spent / whole for part, spent in seconds.items()}
    parts = ", ".join(f"{share:.0%} {part}" for part, share in shares.items() if share >= 0.005)
    return f"{whole:,.0f} s: {parts}"
