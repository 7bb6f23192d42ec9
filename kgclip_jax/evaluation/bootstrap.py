"""Percentile bootstrap intervals of means and other numbers, with whole clusters resampled.

Source: Efron & Tibshirani, An Introduction to the Bootstrap (1993), chapter 13; clusters: Davison &
Hinkley, Bootstrap Methods and their Application (1997), section 3.8 (strategy 1).
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from kgclip_jax.random import generator

LEVEL = 0.95
RESAMPLES = 10_000
_COUNTS_IN_MEMORY = 2**22  # resampled counts held at once: 32 MiB


class Interval(NamedTuple):
    """A mean and the ends of its interval."""

    value: float
    low: float
    high: float


def bootstrap_mean(
    values: Bool[np.ndarray, " n"] | Float[np.ndarray, " n"],
    clusters: Int[np.ndarray, " n"] | None = None,
    groups: Int[np.ndarray, " n"] | None = None,
    *,
    resamples: int | None = None,
    seed: int = 0,
) -> Interval:
    """Return the mean of `values`, or the mean of their groups' means, and its 95 % interval.

    Args:
        values: one number a decision, for instance hits.
        clusters: the cluster of each value, any integers. Values of one cluster (the captions of
            one picture) depend on each other, so clusters are drawn as wholes, over all groups.
            None: every value stands alone.
        groups: the group of each value, any integers; None for the plain mean. Groups are fixed; a
            group of which a resample holds nothing is left out of that resample's mean.
        resamples: number of bootstrap samples; None is RESAMPLES, or a fifth of that with groups,
            where a resample costs more.
        seed: fixes the resamples; equal input gives an equal interval.

    Clusters that agree in what they add are interchangeable, so only how many of each *kind* a
    resample holds is drawn: multinomial, the same distribution as drawing cluster by cluster. Hits
    have few kinds, which makes this cheap at any n.

    The interval of values that are all equal has no width, however few they are.

    Raises:
        ValueError: `values` is empty.
    """
    if not len(values):
        raise ValueError("cannot average no values")
    if resamples is None:
        resamples = RESAMPLES if groups is None else RESAMPLES // 5
    clusters = np.arange(len(values)) if clusters is None else clusters
    groups = np.zeros(len(values), np.int64) if groups is None else groups
    kinds = _kinds(values, clusters, groups)
    total = kinds.multiplicity.sum()
    rng = generator(seed, "bootstrap")
    rows = max(1, _COUNTS_IN_MEMORY // len(kinds.of_cell))
    drawn = []
    for start in range(0, resamples, rows):
        size = min(rows, resamples - start)
        drawn.append(_means(kinds, rng.multinomial(total, kinds.multiplicity / total, size=size)))
    return _interval(float(_means(kinds, kinds.multiplicity[None])[0]), np.concatenate(drawn))


def bootstrap_statistic(
    statistic: Callable[[Int[np.ndarray, " n"]], float],
    clusters: Int[np.ndarray, " n"],
    *,
    seed: int = 0,
) -> Interval:
    """Return a number that is no mean, and its 95 % interval.

    Args:
        statistic: the number, given how often each item counts.
        clusters: of the items; see `bootstrap_mean`.
        seed: fixes the resamples, a fifth of RESAMPLES.
    """
    names, cluster = np.unique(clusters, return_inverse=True)
    rng = generator(seed, "bootstrap")
    drawn = []
    for _ in range(RESAMPLES // 5):
        chosen = rng.integers(len(names), size=len(names))
        drawn.append(statistic(np.bincount(chosen, minlength=len(names))[cluster]))
    return _interval(statistic(np.ones(len(clusters), np.int64)), drawn)


def _interval(value: float, drawn: Sequence[float] | Float[np.ndarray, " resamples"]) -> Interval:
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return Interval(value, float(low), float(high))


class _Kinds(NamedTuple):
    """Kinds of clusters, and cells: what a cluster of a kind adds to a group.

    Attributes:
        multiplicity: how many clusters of each kind there are.
        of_cell: the kind of each cell; cells of one group follow each other.
        sums: of the values of a cell.
        sizes: their numbers.
        group_starts: the first cell of each group.
    """

    multiplicity: Int[np.ndarray, " kinds"]
    of_cell: Int[np.ndarray, " cells"]
    sums: Float[np.ndarray, " cells"]
    sizes: Int[np.ndarray, " cells"]
    group_starts: Int[np.ndarray, " groups"]


def _kinds(
    values: Bool[np.ndarray, " n"] | Float[np.ndarray, " n"],
    clusters: Int[np.ndarray, " n"],
    groups: Int[np.ndarray, " n"],
) -> _Kinds:
    names, group = np.unique(groups, return_inverse=True)
    cluster = np.unique(clusters, return_inverse=True)[1]
    places, cell = np.unique(cluster * len(names) + group, return_inverse=True)
    owner, group = np.divmod(places, len(names))
    sums, sizes = np.bincount(cell, weights=values.astype(np.float64)), np.bincount(cell)
    added: list[list[tuple[int, float, int]]] = [[] for _ in range(cluster.max() + 1)]
    rows = zip(group.tolist(), sums.tolist(), sizes.tolist(), strict=True)
    for number, row in zip(owner.tolist(), rows, strict=True):
        added[number].append(row)
    kinds, multiplicity = zip(*sorted(Counter(map(tuple, added)).items()), strict=True)
    cells = sorted((*row, kind) for kind, rows in enumerate(kinds) for row in rows)
    group, sums, sizes, of_cell = (np.array(column) for column in zip(*cells, strict=True))
    starts = np.flatnonzero(np.diff(group, prepend=-1))
    return _Kinds(np.array(multiplicity), of_cell, sums, sizes, starts)


def _means(
    kinds: _Kinds, counts: Int[np.ndarray, "resamples kinds"]
) -> Float[np.ndarray, " resamples"]:
    """Average the means of the groups, given how often each kind of cluster was drawn."""
    drawn = counts[:, kinds.of_cell]
    sums = np.add.reduceat(drawn * kinds.sums, kinds.group_starts, axis=1)
    sizes = np.add.reduceat(drawn * kinds.sizes, kinds.group_starts, axis=1)
    means = sums / np.maximum(sizes, 1)  # an empty group adds zero, and is not counted
    return means.sum(axis=1) / np.count_nonzero(sizes, axis=1)
