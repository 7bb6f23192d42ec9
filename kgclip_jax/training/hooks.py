"""What happens beside the steps. The loop calls each hook after every step, and at the end."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool

from kgclip_jax.data.streams.stream import Counts
from kgclip_jax.errors import DivergedError
from kgclip_jax.store.checkpoints import Checkpoints
from kgclip_jax.training.loss import Metrics
from kgclip_jax.training.step import TrainState, checkpoint_items


@dataclass(frozen=True)
class Event:
    """What a hook is told after a step.

    Attributes:
        step: steps taken, this one included.
        state: the new training state; valid until the next step begins.
        metrics: of this step, still on the device and perhaps not computed yet.
        input_seconds: how long the loop waited for the batch.
        counts: what became of the records of the batch.
    """

    step: int
    state: TrainState
    metrics: Metrics
    input_seconds: float
    counts: Counts


@runtime_checkable
class Hook(Protocol):
    """Something that happens beside the steps."""

    def after_step(self, event: Event) -> None:
        """Called after each step."""
        ...

    def close(self) -> None:
        """Called once when the loop ends, also after an error."""
        ...


@jax.jit
def all_finite(tree: Any) -> Bool[Array, ""]:
    """Whether no number of a tree is infinite or NaN."""
    leaves = [jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(tree)]
    return jnp.all(jnp.stack(leaves))


class Latest:
    """Remembers the newest step, for a run that has to save what an error would lose."""

    _event: Event | None = None

    def after_step(self, event: Event) -> None:
        """Remember the step."""
        self._event = event

    def event(self) -> Event | None:
        """Return the newest step, unless a later one has taken the memory of its state."""
        leaves = jax.tree.leaves(None if self._event is None else self._event.state)
        return None if any(leaf.is_deleted() for leaf in leaves) else self._event

    def close(self) -> None:
        """Nothing is open."""


class SaveCheckpoints:
    """Saves every `every` steps, and surfaces errors of saves in the background at the next step.

    A state that is not finite is never saved: the run could only go on from it to nothing.

    Args:
        checkpoints: where to.
        description: of the model.
        progress: what else a checkpoint keeps, beside the position in the data; asked at each save.
        every: steps between saves.
        clock: entered for the time of each save that the loop stands still for.
    """

    def __init__(
        self,
        checkpoints: Checkpoints,
        description: Mapping[str, Any],
        progress: Callable[[], Mapping[str, Any]],
        every: int,
        clock: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self._checkpoints = checkpoints
        self._description = description
        self._progress = progress
        self._every = every
        self._clock = clock

    def after_step(self, event: Event) -> None:
        """Save when it is time."""
        self._checkpoints.check()
        if event.step % self._every == 0:
            self.save(event.step, event.state)

    def save(self, step: int, state: TrainState) -> None:
        """Save now. A step takes one batch, so its number is the position in the data as well.

        Raises:
            DivergedError: the state is not finite.
            CheckpointError: the disk refuses.
        """
        jax.block_until_ready(state)  # steps under way are no part of a save
        with self._clock(), jax.transfer_guard("allow"):  # saving is a transfer
            if not all_finite(state):
                raise DivergedError(step, self._checkpoints.steps())
            progress = {"data_position": step, **self._progress()}
            self._checkpoints.save(
                step, checkpoint_items(state), progress=progress, description=self._description
            )

    def close(self) -> None:
        """Wait for the save under way."""
        with self._clock():
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
