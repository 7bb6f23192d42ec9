"""Weights of objectives, which may change in the course of a run."""

from dataclasses import dataclass

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from kgclip_jax.ranges import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt


@dataclass(frozen=True, kw_only=True)
class LinearWeight:
    """A weight that moves from one value to another.

        config.objectives.concepts.weight = dict(start=0.0, end=0.01, steps=1000)

    Attributes:
        start: until step `after`.
        end: from step `after + steps` on.
        steps: that it moves in.
        after: steps before it moves.
    """

    start: NonNegativeFloat = 0.0
    end: NonNegativeFloat
    steps: PositiveInt
    after: NonNegativeInt = 0

    def at(self, step: Int[Array, ""] | int) -> Float[Array, ""]:
        """Return the weight after so many steps."""
        share = jnp.clip((jnp.asarray(step, jnp.float32) - self.after) / self.steps, 0, 1)
        return self.start + (self.end - self.start) * share


Weight = PositiveFloat | LinearWeight
