"""Macro means: every group counts the same, however many cases it has."""

from functools import partial
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from kgclip_jax.evaluation.bootstrap import Interval, resampled_interval
from kgclip_jax.random import generator


class _Cells(NamedTuple):
    """What the clusters of a kind add to a group; cells of one group follow each other."""

    kind: Int[np.ndarray, " cells"]
    sums: Float[np.ndarray, " cells"]
    sizes: Int[np.ndarray, " cells"]
    group_starts: Int[np.ndarray, " groups"]


def macro_mean(
    values: Bool[np.ndarray, " n"] | Float[np.ndarray, " n"],
    groups: Int[np.ndarray, " n"],
    clusters: Int[np.ndarray, " n"],
    *,
    resamples: int = 2_000,
    seed: int = 0,
) -> Interval:
    """Return the mean of the groups' means and its 95 % percentile bootstrap interval.

    Clusters are drawn as wholes over all groups, so a picture that occurs in several groups is kept
    or left in all of them; the groups themselves are fixed. A group of which a resample holds
    nothing is left out of that resample's mean.

    Args:
        values: one number a decision, for instance hits.
        groups: the group of each value, any integers.
        clusters: the cluster of each value, any integers.
        resamples: number of bootstrap samples.
        seed: fixes the resamples; equal input gives an equal interval.

    Raises:
        ValueError: `values` is empty.
    """
    if not len(values):
        raise ValueError("cannot average no values")
    cells, multiplicity = _cells(values, groups, clusters)
    rng = generator(seed, "macro bootstrap")
    return resampled_interval(partial(_means, cells), multiplicity, len(cells.kind), resamples, rng)


def _means(
    cells: _Cells, counts: Int[np.ndarray, "resamples kinds"]
) -> Float[np.ndarray, " resamples"]:
    """Average the means of the groups, given how often each kind of cluster was drawn."""
    drawn = counts[:, cells.kind]
    sums = np.add.reduceat(drawn * cells.sums, cells.group_starts, axis=1)
    sizes = np.add.reduceat(drawn * cells.sizes, cells.group_starts, axis=1)
    means = sums / np.maximum(sizes, 1)  # an empty group adds zero, and is not counted
    return means.sum(axis=1) / np.count_nonzero(sizes, axis=1)


def _cells(
    values: Bool[np.ndarray, " n"] | Float[np.ndarray, " n"],
    groups: Int[np.ndarray, " n"],
    clusters: Int[np.ndarray, " n"],
) -> tuple[_Cells, Int[np.ndarray, " kinds"]]:
    """Merge clusters that add the same to the same groups into kinds; count those of each kind.

    Such clusters are interchangeable, and drawing how many of a kind a resample holds is cheap.
    """
    names, group = np.unique(groups, return_inverse=True)
    cluster = np.unique(clusters, return_inverse=True)[1]
    places, cell = np.unique(cluster * len(names) + group, return_inverse=True)
    owner, group = np.divmod(places, len(names))
    sums = np.bincount(cell, weights=values.astype(np.float64))
    sizes = np.bincount(cell)
    table = np.stack([group, sums, sizes], axis=1)
    kinds: dict[bytes, int] = {}
    multiplicity: list[int] = []
    rows, kind = [], []
    for part in np.split(table, np.flatnonzero(np.diff(owner)) + 1):
        number = kinds.setdefault(part.tobytes(), len(kinds))
        if number == len(multiplicity):
            multiplicity.append(0)
            rows.append(part)
            kind.append(np.full(len(part), number))
        multiplicity[number] += 1
    merged, numbers = np.concatenate(rows), np.concatenate(kind)
    order = np.argsort(merged[:, 0], kind="stable")
    merged, numbers = merged[order], numbers[order]
    starts = np.flatnonzero(np.diff(merged[:, 0], prepend=-1))
    cells = _Cells(numbers, merged[:, 1], merged[:, 2].astype(np.int64), starts)
    return cells, np.array(multiplicity)
