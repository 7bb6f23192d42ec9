"""Cheap random choices in plain Python, fed from a NumPy generator in blocks."""

from collections.abc import MutableSequence, Sequence
from typing import TypeVar

import numpy as np

Item = TypeVar("Item")

_BLOCK = 64


class Dice:
    """Choices made with one generator.

    A scene takes some fifty small draws. Asking the generator for each costs 1-10 us, taking them
    from a list of 64 uniform numbers costs 0.1 us.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._numbers: list[float] = []

    def uniform(self) -> float:
        """Draw from [0, 1)."""
        if not self._numbers:
            self._numbers = self._rng.random(_BLOCK).tolist()
        return self._numbers.pop()

    def between(self, low: float, high: float) -> float:
        """Draw from [low, high)."""
        return low + (high - low) * self.uniform()

    def chance(self, probability: float) -> bool:
        """Be true with the given probability."""
        return self.uniform() < probability

    def below(self, count: int) -> int:
        """Draw from 0 ... count - 1."""
        return int(self.uniform() * count)

    def choose(self, items: Sequence[Item]) -> Item:
        """Draw one of the items."""
        return items[int(self.uniform() * len(items))]

    def shuffle(self, items: MutableSequence[Item]) -> None:
        """Bring the items into a random order, in place."""
        for last in range(len(items) - 1, 0, -1):
            other = int(self.uniform() * (last + 1))
            items[last], items[other] = items[other], items[last]

    def sample(self, items: Sequence[Item], count: int) -> list[Item]:
        """Draw `count` of the items without repetition; meant for few out of many."""
        chosen: dict[int, Item] = {}
        while len(chosen) < count:
            index = int(self.uniform() * len(items))
            chosen[index] = items[index]
        return list(chosen.values())
