"""Training that goes wrong in silence: collapsed embeddings, and a temperature that gave up."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

from kgclip_jax.training.metrics import Numbers

PATIENCE = 500  # steps that a number stands before anybody is told
NEARNESS = 0.02  # relative
_COLLAPSED = (
    "{name} has stood at {value:.3g} for {steps} steps, as it does where all pictures and texts "
    "have one and the same embedding. Try a lower config.optimizer.learning_rate, more "
    "schedule.warmup_steps, or the contrastive objective to begin with; see that captions belong "
    "to their pictures"
)
_FLAT = (
    "the logit scale has stood at {value:.3g} for {steps} steps: at 1 similarities hardly tell "
    "anything apart. Try a lower config.optimizer.learning_rate; see that captions belong to their "
    "pictures"
)
_CAPPED = (
    "the logit scale has stood at its limit {value:.3g} for {steps} steps while {name} is worse "
    "than that of embeddings that are all the same. Try a lower "
    "config.optimizer.learning_rate, or a lower config.model.max_logit_scale"
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
        self._limit = limit
        self._start = start
        self._tell = tell
        self._collapsed = {
            f"{name}/{metric}": value
            for name, objective in objectives.items()
            if isinstance(objective, Collapsible)
            for metric, value in objective.collapsed(rows[objective.stream]).items()
        }
        self._since: dict[str, int] = {}
        self._told: set[str] = set()

    def write(self, step: int, numbers: Numbers) -> None:
        """Look at the numbers of a step."""
        if step < self._start:
            return
        scale = numbers["logit_scale"]
        self._watch(_FLAT, step, scale, scale <= 1 + NEARNESS)
        for name, value in self._collapsed.items():
            loss = numbers[name]
            self._watch(_COLLAPSED, step, loss, abs(loss / value - 1) < NEARNESS, name)
            at_limit = self._limit is not None and scale > self._limit * (1 - NEARNESS)
            self._watch(_CAPPED, step, scale, at_limit and loss > value * (1 + NEARNESS), name)

    def _watch(self, words: str, step: int, value: float, stands: bool, name: str = "") -> None:
        key = words + name
        if not stands:
            self._since.pop(key, None)
        elif (steps := step - self._since.setdefault(key, step)) >= PATIENCE:
            if key not in self._told:
                self._tell(f"step {step}: " + words.format(name=name, value=value, steps=steps))
            self._told.add(key)

    def close(self) -> None:
        """Nothing is open."""
