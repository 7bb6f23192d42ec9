"""Fixed text lengths inside every unit of rows: static shapes with little padding.

The rows of a unit are sorted by their longest text and fall into *slots* of constant size: the
shortest texts share a slot of a small length, the longest one of a large length. So every unit has
the same shapes, whatever its texts are. A text too long for its slot is cut, which is rare and
counted.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from kgclip_jax.ranges import PositiveInt
from kgclip_jax.schema import check

STANDARD_ERRORS = 2  # how far the texts of a run may be longer than the sample says


@dataclass(frozen=True)
class TextSlots:
    """The lengths of the texts of a unit, for its rows from the shortest to the longest.

    Attributes:
        unit: rows that are sorted together.
        rows: rows of each slot; together they are the unit.
        lengths: tokens of each slot, ascending.
    """

    unit: PositiveInt
    rows: tuple[PositiveInt, ...]
    lengths: tuple[PositiveInt, ...]

    def __post_init__(self) -> None:
        check(
            0 < len(self.rows) == len(self.lengths),
            f"slots need rows and a length each, not rows {self.rows} and lengths {self.lengths}",
        )
        check(
            sum(self.rows) == self.unit,
            f"the rows of slots {self.rows} must sum to the unit, {self.unit}",
        )
        check(
            sorted(set(self.lengths)) == list(self.lengths),
            f"the lengths of slots must ascend, not {self.lengths}",
        )

    def order(self, lengths: Int[np.ndarray, " unit"]) -> Int[np.ndarray, " unit"]:
        """Return the rows of a unit from the shortest to the longest; ties keep their order."""
        return np.argsort(lengths, kind="stable")

    def cut(self, lengths: Int[np.ndarray, " unit"]) -> int:
        """Return how many rows of a unit, given by ascending lengths, do not fit their slot."""
        return int(np.sum(lengths > np.repeat(self.lengths, self.rows)))


def one_slot(unit: int, longest: int) -> TextSlots:
    """Return slots that cut nothing: all rows have the context length."""
    return TextSlots(unit, (unit,), (longest,))


def choose_slots(
    lengths: Int[np.ndarray, " texts"],
    *,
    unit: int,
    multiple: int,
    longest: int,
    most: int = 4,
    cut_share: float = 0.001,
) -> TextSlots:
    """Choose the slots with the fewest tokens that cut few rows.

    Rows and lengths are chosen together, by dynamic programming at a price of a cut row in tokens;
    bisection finds the lowest price that keeps to the share. (On captions that is within 2 % of the
    best there is.)

    Args:
        lengths: tokens of the longest text of each sampled row.
        unit: rows that are sorted together.
        multiple: the rows of each slot are a multiple of it; it divides the unit.
        longest: the context length; no text is longer.
        most: largest number of slots.
        cut_share: largest expected share of rows that are cut, for texts like those of the sample.
    """
    cuts = _expected_cuts(lengths, unit, longest)[::multiple]
    tokens = np.arange(0, unit + 1, multiple)[:, None] * np.arange(1, longest + 1)
    low, price = 1.0, longest / cut_share  # above it, one slot that cuts nothing is cheaper
    chosen, high = one_slot(unit, longest), price
    while high > 1.01 * low:
        ends, columns = _cheapest(tokens + price * cuts, most)
        starts = np.concatenate([[0], ends[:-1]])
        if np.sum(cuts[ends, columns] - cuts[starts, columns]) <= cut_share * unit:
            rows = tuple(((ends - starts) * multiple).tolist())
            chosen, high = TextSlots(unit, rows, tuple((columns + 1).tolist())), price
        else:
            low = price
        price = (low * high) ** 0.5
    return chosen


def _expected_cuts(
    lengths: Int[np.ndarray, " texts"], unit: int, longest: int
) -> Float[np.ndarray, "ranks longest"]:
    """Return how many of the r shortest rows of a unit are longer than n tokens, at [r, n - 1].

    Units are random. A sample tells little of rare lengths, so the share of longer texts is the
    upper end of its Wilson score interval.
    """
    shorter = np.cumsum(np.bincount(lengths, minlength=longest + 1)[1:])
    doubt = STANDARD_ERRORS**2 / lengths.size
    share = 1 - shorter / lengths.size
    spread = np.sqrt(doubt * share * (1 - share) + doubt**2 / 4)
    longer = (share + doubt / 2 + spread) / (1 + doubt)
    longer[-1] = 0.0
    # Binomial: chance that k rows of the unit are no longer than n tokens, at [k, n - 1].
    chances = np.zeros((unit + 1, longest))
    chances[0] = 1.0
    for _ in range(unit):
        chances[1:] = chances[1:] * longer + chances[:-1] * (1 - longer)
        chances[0] *= longer
    # The row of rank r (from 0) is longer when at most r rows are not.
    longer_at_rank = np.cumsum(chances[:-1], axis=0)
    return np.concatenate([np.zeros((1, longest)), np.cumsum(longer_at_rank, axis=0)])


def _cheapest(
    costs: Float[np.ndarray, "boundaries longest"], most: int
) -> tuple[Int[np.ndarray, " slots"], Int[np.ndarray, " slots"]]:
    """Return the boundaries where the cheapest slots end, and the column of each.

    A slot from boundary a to b in column c costs costs[b, c] - costs[a, c]. Slots may be empty in
    between, and then are left out, so `most` is a limit.
    """
    least = [np.full(len(costs), np.inf)]  # cost up to each boundary, by the number of slots
    least[0][0] = 0.0
    for _ in range(most):
        begun = np.minimum.accumulate(least[-1][:, None] - costs, axis=0)
        least.append((begun + costs).min(axis=1))
    slots: dict[int, int] = {}  # the end of each column's slot, from the last to the first
    end = len(costs) - 1
    for before in reversed(least[:-1]):
        begun = before[: end + 1, None] - costs[: end + 1]
        column = int(np.argmin(begun.min(axis=0) + costs[end]))
        start = int(np.argmin(begun[:, column]))
        if start < end:
            slots.setdefault(column, end)
        end = start
    columns, ends = zip(*reversed(slots.items()), strict=True)
    return np.array(ends), np.array(columns)
