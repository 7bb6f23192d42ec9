"""Rows of classification: how often the right class is among the nearest."""

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Int

from kgclip_jax.evaluation.result import Result, measured

CUTOFFS = (1, 5)
_TOP_1 = "top-1"


def accuracies(
    task: str,
    name: str,
    ranks: Int[np.ndarray, " pictures"],
    pictures: Int[np.ndarray, " pictures"],
    classes: int,
    *,
    labels: Int[np.ndarray, " set"] | None = None,
    cutoffs: Sequence[int] = CUTOFFS,
    note: str = "",
) -> Iterator[Result]:
    """Return top-1 and, with more than five classes, top-5 accuracy, or those of other `cutoffs`.

    Where classes have unequal numbers of pictures (by more than one), the mean of the classes'
    top-1 accuracies follows ("mean per-class recall").

    `ranks` are of the right class of each picture, 1 is nearest; `pictures` are their numbers in
    the set, and `labels` the classes of all of the set, or None for no mean of the classes. `note`
    stands behind the names of the metrics.
    """
    for cutoff in cutoffs:
        if cutoff < classes:
            metric, chance = f"top-{cutoff}{note}", cutoff / classes
            yield measured(task, name, metric, ranks <= cutoff, pictures, chance=chance)
    if labels is not None and np.ptp(np.unique(labels, return_counts=True)[1]) > 1:
        metric, chance = f"{_TOP_1}, mean of classes", 1 / classes
        groups = labels[pictures]
        yield measured(task, name, metric, ranks <= 1, pictures, chance=chance, groups=groups)


def mean_of_sets(name: str, rows: Sequence[Result]) -> Iterator[Result]:
    """Return the unweighted mean of the top-1 accuracies of two or more sets, given all rows."""
    rows = [row for row in rows if row.metric == _TOP_1]
    if len(rows) < 2:
        return
    outcomes = [row.outcomes for row in rows if row.outcomes is not None]
    sizes = [len(known.values) for known in outcomes]
    yield measured(
        rows[0].task,
        name,
        f"{_TOP_1}, mean of {len(rows)} sets",
        np.concatenate([known.values for known in outcomes]) > 0,
        np.arange(sum(sizes)),
        chance=float(np.mean([row.chance for row in rows])),
        groups=np.repeat(np.arange(len(rows)), sizes),
    )
