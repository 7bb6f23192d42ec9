"""Training that goes wrong in silence: collapsed embeddings, and a temperature that gave up."""

import math
from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

from kgclip_jax.writers.writer import Numbers

PATIENCE = 500  # steps that a number stands before anybody is told
NEARNESS = 0.02  # relative
_ADVICE = (
    "Try a lower config.optimizer.learning_rate or more schedule.warmup_steps; see that captions "
    "belong to their pictures"
)


@runtime_checkable
class Collapsible(Protocol):
    """An objective that knows what its loss, or a part of it, is where all embeddings are equal."""

    stream: str

    def collapsed(self, rows: int) -> dict[str, float]:
        """Return that, by the names of its metrics, for a step of so many rows."""
        ...


class CollapseWatch:
    """A writer of metrics that says, once each, what has stood where it should not.

    It sees what is logged, on the host, and costs no transfer of its own.

    Args:
        objectives: by name.
        rows: of the streams, by name.
        limit: greatest logit scale of the model, or None.
        start: first step to look at, after the warm-up.
        tell: says it.
    """

    def __init__(
        self,
        objectives: Mapping[str, Any],
        rows: Mapping[str, int],
        limit: float | None,
        start: int,
        tell: Callable[[str], None],
    ) -> None:
        self._limit = math.inf if limit is None else limit
        self._start = start
        self._tell = tell
        self._collapsed = {
            f"{name}/{metric}": value
            for name, objective in objectives.items()
            if isinstance(objective, Collapsible)
            for metric, value in objective.collapsed(rows[objective.stream]).items()
        }
        self._since: dict[tuple[str, str], int] = {}
        self._told: set[tuple[str, str]] = set()

    def write(self, step: int, numbers: Numbers) -> None:
        """Look at the numbers of a step."""
        if step < self._start:
            return
        standing = self._standing(numbers)
        self._since = {key: self._since.get(key, step) for key in standing}
        for name, meaning in standing - self._told:
            steps = step - self._since[name, meaning]
            if steps >= PATIENCE:
                told = f"{name} has stood at {numbers[name]:.3g} for {steps} steps, {meaning}"
                self._tell(f"step {step}: {told}. {_ADVICE}")
                self._told.add((name, meaning))

    def _standing(self, numbers: Numbers) -> set[tuple[str, str]]:
        """Return the names of numbers that are where they should not be, and what that means."""
        found, scale = set(), numbers["logit_scale"]
        if scale <= 1 + NEARNESS:
            found.add(("logit_scale", "where similarities hardly tell anything apart"))
        for name, value in self._collapsed.items():
            if abs(numbers[name] / value - 1) < NEARNESS:
                found.add((name, "as where all pictures and texts have one and the same embedding"))
            elif numbers[name] > value and scale > self._limit * (1 - NEARNESS):
                found.add(("logit_scale", f"its limit, with {name} above that of equal embeddings"))
        return found

    def close(self) -> None:
        """Nothing is open."""
