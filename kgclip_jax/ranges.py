"""Ranges of numbers, as annotations of settings; `schema.parse` refuses what lies outside, by key.

Every number that a user can set has one of these types:

    shares: tuple[Share, ...]
    angle: Annotated[float, Range(0, 360, open_high=True)]
"""

import math
from dataclasses import dataclass
from typing import Annotated

INT32_MAX = 2**31 - 1  # steps, rows and ids are counted in int32 on devices


@dataclass(frozen=True)
class Range:
    """An interval.

    Attributes:
        low: its least number.
        high: its greatest number.
        open_low: whether `low` itself lies outside.
        open_high: whether `high` itself lies outside.
    """

    low: int | float
    high: int | float = math.inf
    open_low: bool = False
    open_high: bool = False

    def broken_by(self, value: int | float) -> str:
        """Say what a number outside must be instead, such as "at least 0"; "" for one within."""
        if value < self.low or (self.open_low and value == self.low):
            return f"{'above' if self.open_low else 'at least'} {self.low}"
        if value > self.high or (self.open_high and value == self.high):
            return f"{'below' if self.open_high else 'at most'} {self.high}"
        return ""


PositiveInt = Annotated[int, Range(1, INT32_MAX)]
NonNegativeInt = Annotated[int, Range(0, INT32_MAX)]
PositiveFloat = Annotated[float, Range(0, open_low=True)]
NonNegativeFloat = Annotated[float, Range(0)]
Share = Annotated[float, Range(0, 1)]
Seed = Annotated[int, Range(0, 2**32 - 1)]  # JAX reads no more bits of a seed
