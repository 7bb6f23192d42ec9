"""Losses that jump: which objective's, and the batch of that step."""

import math
from collections import deque
from collections.abc import Callable, Iterable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from kgclip_jax.training.hooks import Event

AT_ONCE = 16  # steps whose losses come to the host as one array
WINDOW = 256  # steps whose losses make the running level
FEWEST = 64  # of them, to judge by
FAR = 10.0  # standard deviations above the median
NORMAL = 1.4826  # of a standard deviation to the median deviation of a normal distribution
LEAST = 0.1  # of the median itself: a loss that hardly moves has hardly a deviation

Keep = Callable[[int], str]
"""Puts the batch of a step aside; says where it is."""


class SpikeWatch:
    """Says which objective's loss jumped or is no number, and has the batch of that step put aside.

    It sees every step, later: losses are gathered on the devices and looked at when those of the
    next few steps are under way, so that no step waits. A gradient that is not finite is told of
    too, since the losses are so one step later. Nothing in training depends on it.

    Args:
        objectives: their names.
        keep: puts a batch aside.
        tell: says it.
    """

    def __init__(self, objectives: Iterable[str], keep: Keep, tell: Callable[[str], None]) -> None:
        self._names = [*(f"{name}/loss" for name in objectives), "gradient_norm"]
        self._keep = keep
        self._tell = tell
        self._levels = {name: _Level() for name in self._names[:-1]}
        self._odd: set[str] = set()
        self._gathered: list[tuple[int, list[Float[Array, ""]]]] = []
        self._under_way: tuple[list[int], Float[Array, " values"]] | None = None

    def after_step(self, event: Event) -> None:
        """Gather the losses; every 16 steps, look at those of the 16 before."""
        values = [event.metrics[name] for name in self._names]
        self._gathered.append((event.step, values))
        if len(self._gathered) == AT_ONCE:
            self._look_at_those_under_way()
            steps = [step for step, _ in self._gathered]
            self._under_way = steps, _pack([value for _, row in self._gathered for value in row])
            self._gathered = []

    def close(self) -> None:
        """Look at what is left, unless it was never computed."""
        try:
            self._look_at_those_under_way()
            for step, values in self._gathered:
                self._look(step, [*map(float, jax.device_get(values))])
        except jax.errors.JaxRuntimeError as error:  # it ends the run already
            self._tell(f"the last losses cannot be read: {error}")

    def _look_at_those_under_way(self) -> None:
        if self._under_way is None:
            return
        steps, packed = self._under_way
        self._under_way = None
        for level in self._levels.values():
            level.follow()
        rows = jax.device_get(packed).reshape(len(steps), -1)
        for step, values in zip(steps, rows, strict=True):
            self._look(step, [*map(float, values)])

    def _look(self, step: int, values: Sequence[float]) -> None:
        odd = {}
        for name, value in zip(self._names, values, strict=True):
            if not math.isfinite(value):
                odd[name] = f"{name} is {value}"
            elif name in self._levels and (level := self._levels[name].jump(value)) is not None:
                odd[name] = f"{name} jumped to {value:.4g}, from about {level:.4g}"
        if news := odd.keys() - self._odd:  # what stays odd was told
            reasons = " and ".join(odd[name] for name in odd if name in news)
            self._tell(f"step {step}: {reasons}; {self._keep(step)}")
        self._odd = odd.keys() & self._names


@jax.jit
def _pack(values: list[Float[Array, ""]]) -> Float[Array, " values"]:
    return jnp.stack(values)


class _Level:
    """The running level of a loss, whatever single steps do."""

    def __init__(self) -> None:
        self._values: deque[float] = deque(maxlen=WINDOW)
        self._level, self._limit = 0.0, math.inf

    def follow(self) -> None:
        """Find the level of the values taken so far."""
        if len(self._values) >= FEWEST:
            values = np.array(self._values)
            self._level = float(np.median(values))
            deviation = float(np.median(np.abs(values - self._level)))
            far = max(FAR * NORMAL * deviation, LEAST * abs(self._level))
            self._limit = self._level + far

    def jump(self, value: float) -> float | None:
        """Take a value; return the level that it lies far above, or None."""
        self._values.append(value)
        return self._level if value > self._limit else None
