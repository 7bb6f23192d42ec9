"""The order of records: keyed permutations, and mixtures of sources shared out over steps.

Nothing is stored and nothing has to be resumed. What stands in a row of a step follows from (seed,
stream, source, step, row) alone, so that any host can ask for any rows of any step.
"""

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import NamedTuple

import numpy as np
from jaxtyping import Int, Int64, UInt64

# Over fewer bits than six, few halves meet few outputs of a round, and some orders of a handful of
# records come too often, however many rounds there are.
FEWEST_BITS = 6


def round_keys(*parts: str | int) -> UInt64[np.ndarray, " rounds"]:
    """Hash what a permutation is for (seed, stream, epoch, ...) to the keys of its eight rounds.

    The parts are hashed as JSON: "a", "b/c" is not "a/b", "c", and 1 is not "1".
    """
    digest = hashlib.blake2b(json.dumps(parts).encode(), digest_size=64).digest()
    return np.frombuffer(digest, "<u8").astype(np.uint64)


@dataclass(frozen=True, eq=False)
class Permutation:
    """A bijection of range(length) that looks random, in constant memory.

    It is a Feistel network over the bits of an index. Two halves take turns: a keyed hash of one is
    xored into the other, which can be undone whatever the hash; hence a bijection of a power of two
    indices. One that falls outside of range(length) goes through again until it falls inside (cycle
    walking). Fewer than eight rounds show a bias at small lengths.

    Attributes:
        length: number of indices, at least 1.
        keys: the keys of the rounds. One column, or one for each index of a call: then every index
            goes through a permutation of its own.
    """

    length: int
    keys: UInt64[np.ndarray, "rounds columns"]

    def __post_init__(self) -> None:
        if self.length < 1:
            raise ValueError(f"a permutation needs a length of at least 1, not {self.length}")

    @classmethod
    def keyed(cls, length: int, *parts: str | int) -> "Permutation":
        """Return the permutation that belongs to the parts, e.g. seed, stream, source, epoch.

        Raises:
            ValueError: the length is below 1.
        """
        return cls(length, round_keys(*parts)[:, None])

    def __call__(self, indices: Int[np.ndarray, " n"]) -> Int64[np.ndarray, " n"]:
        """Return where each index goes.

        Raises:
            IndexError: an index is outside of range(length).
        """
        if indices.size and not 0 <= indices.min() <= indices.max() < self.length:
            raise IndexError(
                f"indices {indices.min()} to {indices.max()} are not all in range({self.length})"
            )
        values = self._network(indices.astype(np.uint64), self.keys)
        walkers = np.flatnonzero(values >= self.length)
        while walkers.size:
            keys = self.keys if self.keys.shape[1] == 1 else self.keys[:, walkers]
            moved = self._network(values[walkers], keys)
            values[walkers] = moved
            walkers = walkers[moved >= self.length]
        return values.astype(np.int64)

    def _network(
        self, values: UInt64[np.ndarray, " n"], keys: UInt64[np.ndarray, "rounds columns"]
    ) -> UInt64[np.ndarray, " n"]:
        """Permute range(2**bits), the smallest that holds range(length)."""
        bits = max(FEWEST_BITS, (self.length - 1).bit_length())
        low_bits = bits // 2
        widths = (bits - low_bits, low_bits)
        halves = [values >> low_bits, values & ((1 << low_bits) - 1)]
        mixed, spare = np.empty_like(values), np.empty_like(values)  # new pages cost more than sums
        for number, key in enumerate(keys):
            changed = number % 2
            # The hash is the finalizer of SplitMix64; its upper bits are the best.
            np.bitwise_xor(halves[1 - changed], key, out=mixed)
            mixed ^= np.right_shift(mixed, 30, out=spare)
            mixed *= 0xBF58476D1CE4E5B9
            mixed ^= np.right_shift(mixed, 27, out=spare)
            mixed *= 0x94D049BB133111EB
            mixed ^= np.right_shift(mixed, 31, out=spare)
            halves[changed] ^= np.right_shift(mixed, 64 - widths[changed], out=mixed)
        high, low = halves
        high <<= low_bits
        high |= low
        return high


class Draws(NamedTuple):
    """What stands in the rows asked for."""

    source: Int64[np.ndarray, " rows"]  # its place in the list of sources
    epoch: Int64[np.ndarray, " rows"]  # of that source
    record: Int64[np.ndarray, " rows"]  # index in that source


@dataclass(frozen=True)
class Mixture:
    """Several sources, shared out over the rows of steps by their weights.

    After any number of rows a source has had its exact share, to within fewer rows than there are
    sources. It goes through all of its records once before it repeats one, in an order that depends
    on its name but not on its place in the list, and that is new in every epoch.

    Attributes:
        lengths: records of each source.
        weights: positive shares of the rows, in any unit; 0.1 means one tenth exactly.
        names: tell the sources apart.
        rows: rows of a step.
        seed: the seed of the run.
        stream: name of the stream that is fed.
    """

    lengths: Sequence[int]
    weights: Sequence[float]
    names: Sequence[str]
    rows: int
    seed: int
    stream: str

    def __post_init__(self) -> None:
        for name, length in zip(self.names, self.lengths, strict=True):
            if length < 1:
                raise ValueError(f"source {name!r} has no records")

    def draws(self, step: int, rows: Int[np.ndarray, " rows"]) -> Draws:
        """Return what stands in some rows of a step; the time depends on their number alone.

        Raises:
            ValueError: the step is negative.
            IndexError: a row is outside of range(self.rows).
        """
        if step < 0:
            raise ValueError(f"steps count from 0, not {step}")
        before, after = self._drawn(step * self.rows), self._drawn((step + 1) * self.rows)
        ends = np.cumsum(after - before)
        # A step lists its draws source by source; a permutation spreads them over the rows.
        slots = Permutation.keyed(self.rows, self.seed, self.stream, step)(rows)
        source = np.searchsorted(ends, slots, side="right")
        draw = slots + (after - ends)[source]
        epoch, record = np.divmod(draw, np.array(self.lengths, np.int64)[source])
        for place in np.unique(source).tolist():
            here = source == place
            record[here] = self._shuffled(place, epoch[here], record[here])
        return Draws(source, epoch, record)

    def _drawn(self, position: int) -> Int64[np.ndarray, " sources"]:
        """Return how often each source is drawn in the first `position` rows of all steps.

        Each source takes its share, rounded down, of what those before it have left. So no count
        ever falls when the position grows, which differences of rounded cumulative weights do.
        """
        counts = []
        for share in self._shares:
            counts.append(math.floor(share * position))
            position -= counts[-1]
        return np.array(counts, np.int64)

    @cached_property
    def _shares(self) -> list[Fraction]:
        """Share of each source in what those before it have left; the last takes all of that."""
        weights = [Fraction(repr(weight)) for weight in self.weights]
        return [weight / sum(weights[place:]) for place, weight in enumerate(weights)]

    def _shuffled(
        self, place: int, epochs: Int64[np.ndarray, " draws"], indices: Int64[np.ndarray, " draws"]
    ) -> Int64[np.ndarray, " draws"]:
        """Return the records of a source that stand at some indices of some epochs."""
        distinct, which = np.unique(epochs, return_inverse=True)
        names = (self.seed, self.stream, self.names[place])
        keys = np.stack([round_keys(*names, epoch) for epoch in distinct.tolist()], axis=1)
        if len(distinct) > 1:
            keys = keys[:, which]
        return Permutation(self.lengths[place], keys)(indices)
