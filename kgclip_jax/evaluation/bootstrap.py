"""Percentile bootstrap intervals of means, with whole clusters resampled.

Source: Efron & Tibshirani, An Introduction to the Bootstrap (1993), chapter 13; clusters: Davison &
Hinkley, Bootstrap Methods and their Application (1997), section 3.8 (strategy 1).
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from kgclip_jax.random import generator

LEVEL = 0.95
_COUNTS_IN_MEMORY = 2**22  # resampled counts held at once: 32 MiB


class Interval(NamedTuple):
    """A mean and the ends of its interval."""

    value: float
    low: float
    high: float


def bootstrap_mean(
    values: Bool[np.ndarray, " n"] | Float[np.ndarray, " n"],
    groups: Int[np.ndarray, " n"] | None = None,
    *,
    resamples: int = 10_000,
    seed: int = 0,
) -> Interval:
    """Return the mean of `values` and its 95 % percentile bootstrap interval.

    Args:
        values: one number a decision, for instance hits.
        groups: the cluster of each value, any integers. Values of one cluster (the captions of one
            picture) depend on each other, so clusters are drawn as wholes; a resample's mean is the
            sum of its values over their number. None: every value stands alone.
        resamples: number of bootstrap samples.
        seed: fixes the resamples; equal input gives an equal interval.

    Clusters that agree in sum and size are interchangeable, so only how many of each *kind* a
    resample holds is drawn: multinomial, the same distribution as drawing cluster by cluster. Hits
    have few kinds, which makes this cheap at any n.

    The interval of values that are all equal has no width, however few they are.

    Raises:
        ValueError: `values` is empty.
    """
    if not len(values):
        raise ValueError("cannot average no values")
    labels = np.arange(len(values)) if groups is None else np.unique(groups, return_inverse=True)[1]
    sums = np.bincount(labels, weights=values.astype(np.float64))
    sizes = np.bincount(labels)
    kinds, multiplicity = np.unique(np.stack([sums, sizes], axis=1), axis=0, return_counts=True)

    def means(counts: Int[np.ndarray, "resamples kinds"]) -> Float[np.ndarray, " resamples"]:
        totals = counts @ kinds
        return totals[:, 0] / totals[:, 1]

    rng = generator(seed, "bootstrap")
    return resampled_interval(means, multiplicity, len(kinds), resamples, rng)


def resampled_interval(
    means: Callable[[Int[np.ndarray, "resamples kinds"]], Float[np.ndarray, " resamples"]],
    multiplicity: Int[np.ndarray, " kinds"],
    width: int,
    resamples: int,
    rng: np.random.Generator,
) -> Interval:
    """Return a mean and its interval, drawing as many clusters as there are, many times.

    Args:
        means: of resamples, given how often each kind of cluster was drawn.
        multiplicity: how many clusters of each kind there are.
        width: numbers that `means` holds for a resample, so that memory is bounded.
        resamples: number of bootstrap samples.
        rng: draws them.
    """
    clusters = multiplicity.sum()
    rows = max(1, _COUNTS_IN_MEMORY // width)
    drawn = []
    for start in range(0, resamples, rows):
        size = min(rows, resamples - start)
        drawn.append(means(rng.multinomial(clusters, multiplicity / clusters, size=size)))
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(np.concatenate(drawn), [tail, 1 - tail])
    return Interval(float(means(multiplicity[None])[0]), float(low), float(high))
