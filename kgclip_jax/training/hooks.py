"""What happens beside the steps. The loop calls each hook after every step, and at the end."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import jax

from kgclip_jax.store.checkpoints import Checkpoints
from kgclip_jax.training.step import Metrics, TrainState


@dataclass(frozen=True)
class Event:
    """What a hook is told after a step.

    Attributes:
        step: steps taken, this one included.
        state: the new training state; valid until the next step begins.
        metrics: of this step, still on the device and perhaps not computed yet.
        tokens: width of the step's text batch.
        input_seconds: how long the loop waited for the batch.
        bad_records: why records were replaced in the batch.
        negatives: how often each kind of negative was made for the batch, or why not.
    """

    step: int
    state: TrainState
    metrics: Metrics
    tokens: int
    input_seconds: float
    bad_records: Sequence[str]
    negatives: Mapping[tuple[str, str], int]


@runtime_checkable
class Hook(Protocol):
    """Something that happens beside the steps."""

    def after_step(self, event: Event) -> None:
        """Called after each step."""
        ...

    def close(self) -> None:
        """Called once when the loop ends, also after an error."""
        ...


class SaveCheckpoints:
    """Saves every `every` steps, and surfaces errors of saves in the background at the next step.

    Args:
        checkpoints: where to.
        bad_records: counts so far, by reason; read anew at each save.
        every: steps between saves.
    """

    def __init__(
        self, checkpoints: Checkpoints, bad_records: Mapping[str, int], every: int
    ) -> None:
        self._checkpoints = checkpoints
        self._bad_records = bad_records
        self._every = every

    def after_step(self, event: Event) -> None:
        """Save when it is time."""
        self._checkpoints.check()
        if event.step % self._every == 0:
            self.save(event.step, event.state)

    def save(self, step: int, state: TrainState) -> None:
        """Save now. A step takes one batch, so its number is the position in the data as well."""
        progress = {"data_position": step, "bad_records": dict(self._bad_records)}
        with jax.transfer_guard_device_to_host("allow"):  # saving is a transfer
            self._checkpoints.save(step, state, progress)

    def close(self) -> None:
        """Wait for the save under way."""
        self._checkpoints.close()


class Every:
    """Calls a function with (step, state) every so many steps."""

    def __init__(self, every: int, function: Callable[[int, TrainState], None]) -> None:
        self._every = every
        self._function = function

    def after_step(self, event: Event) -> None:
        """Call the function when it is time."""
        if event.step % self._every == 0:
            self._function(event.step, event.state)

    def close(self) -> None:
        """Nothing is open."""
