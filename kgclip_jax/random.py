"""Random numbers as a function of (seed, purpose, indices), the same on every host and worker."""

import hashlib
import json
import zlib
from collections.abc import Iterator, MutableSequence, Sequence
from typing import TypeVar

import numpy as np
from jaxtyping import Int, UInt64

Item = TypeVar("Item")


def generator(seed: int, purpose: str, *indices: int) -> np.random.Generator:
    """Return the generator that belongs to one draw.

    Args:
        seed: the seed of the run or of a data set.
        purpose: what the numbers are for ("caption", "augment", ...). Two purposes at the same
            index give independent streams.
        *indices: non-negative integers, for instance (epoch, record index).

    Philox is counter based: making a generator is cheap, and streams of near seeds do not meet.
    """
    entropy = (seed, zlib.crc32(purpose.encode()), *indices)
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(entropy)))


def hashed(values: UInt64[np.ndarray, "*shape"]) -> UInt64[np.ndarray, "*shape"]:
    """The finaliser of splitmix64 (Steele et al. 2014): a bijection; every bit depends on all."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def bits_of(
    indices: Int[np.ndarray, " n"], count: int, *parts: str | int
) -> UInt64[np.ndarray, "n count"]:
    """Return random bits of many things at once, whichever of them are asked for together.

    Args:
        indices: of the things, at least 0.
        count: numbers for each.
        *parts: what the numbers are for: seed, stream, purpose.
    """
    key = hashlib.blake2b(json.dumps(parts).encode(), digest_size=8).digest()
    first = indices.astype(np.uint64)[:, None] * np.uint64(count)
    places = first + np.arange(1, count + 1, dtype=np.uint64)
    return hashed(places * np.uint64(0x9E3779B97F4A7C15) + np.frombuffer(key, "<u8"))


class FastRandom:
    """Cheap random choices in plain Python, all of them from one generator.

    A scene takes some fifty small draws, a negative caption a few. A call of the generator for each
    costs 1-10 us; a number from a list of uniform ones, drawn in blocks, costs 0.1 us.
    """

    def __init__(self, rng: np.random.Generator, block: int = 64) -> None:
        """Take the generator, and how many uniform numbers to draw from it at once."""
        self._rng = rng
        self._block = block
        self._numbers: list[float] = []

    def uniform(self) -> float:
        """Draw from [0, 1)."""
        if not self._numbers:
            self._numbers = self._rng.random(self._block).tolist()
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

    def in_any_order(self, items: MutableSequence[Item]) -> Iterator[Item]:
        """Take the items out one by one, in a random order; one draw for each that is wanted."""
        while items:
            index = int(self.uniform() * len(items)) if len(items) > 1 else 0
            items[index], items[-1] = items[-1], items[index]
            yield items.pop()

    def sample(self, items: Sequence[Item], count: int) -> list[Item]:
        """Draw `count` of the items without repetition; meant for few out of many."""
        chosen: dict[int, Item] = {}
        while len(chosen) < count:
            index = int(self.uniform() * len(items))
            chosen[index] = items[index]
        return list(chosen.values())
