"""A measured number with its uncertainty and its chance level: as JSON, in the order of tables."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float32, Int, Int64

from kgclip_jax.errors import DataError
from kgclip_jax.evaluation.bootstrap import bootstrap_mean


class Outcomes(NamedTuple):
    """The decisions that a number averages, in the order of the set.

    Attributes:
        values: 1 where a decision is right, 0 where it is wrong, or how right it is between; of a
            number that is no mean, the number plus the influence of the decision on it.
        clusters: decisions of one cluster depend on each other.
        groups: the number is the mean of the means of these groups; None for the plain mean.
    """

    values: Float32[np.ndarray, " decisions"]
    clusters: Int64[np.ndarray, " decisions"]
    groups: Int64[np.ndarray, " decisions"] | None = None


@dataclass(frozen=True)
class Result:
    """One row of the evaluation table. Rates are fractions in [0, 1].

    Attributes:
        task: "retrieval", "zero-shot", "linear probe", "composition", "link prediction" ...
        set_name: the evaluation set.
        metric: what was measured, for instance "text-to-image R@1".
        value: the measured rate.
        low: lower end of the 95 % bootstrap interval.
        high: upper end of it.
        n: number of decisions that `value` averages (they need not be independent).
        chance: expected value of a scorer that knows nothing.
        blind: true when each item was asked about the pictures of another one (see `choice`). Such
            a row shows what the set gives away; it belongs to the seeing row of equal names.
        weights: "raw" or "average": whether the encoder had a moving average of the parameters.
        graphs: which scene graphs of the texts the model read: "own", "parsed", "own and parsed" or
            "no"; "" where it reads none.
        control: how a blind row was made blind; "" where it is none, or does not say.
        outcomes: what `value` averages. They are written to a file of their own, see
            `kgclip_jax.evaluation.outcomes`; rows read from JSON have none.
    """

    task: str
    set_name: str
    metric: str
    value: float
    low: float
    high: float
    n: int
    chance: float
    blind: bool = False
    weights: str = "raw"
    graphs: str = ""
    control: str = ""
    outcomes: Outcomes | None = field(default=None, compare=False, repr=False)


def measured(
    task: str,
    set_name: str,
    metric: str,
    values: Bool[np.ndarray, " decisions"] | Float[np.ndarray, " decisions"],
    clusters: Int[np.ndarray, " decisions"],
    *,
    chance: float,
    groups: Int[np.ndarray, " decisions"] | None = None,
    control: str = "",
    resamples: int | None = None,
) -> Result:
    """Return the row of some decisions: their mean, or the mean of their groups' means.

    The interval resamples clusters, as often as `bootstrap_mean` says. The row is blind where a
    control says how.
    """
    outcomes = Outcomes(
        values.astype(np.float32),
        clusters.astype(np.int64),
        None if groups is None else groups.astype(np.int64),
    )
    return Result(
        *(task, set_name, metric, *bootstrap_mean(values, clusters, groups, resamples=resamples)),
        n=len(values),
        chance=chance,
        blind=control != "",
        control=control,
        outcomes=outcomes,
    )


_FIELDS = [entry.name for entry in fields(Result) if entry.name != "outcomes"]


def to_json(results: Iterable[Result]) -> list[dict[str, Any]]:
    """Turn results, without outcomes, into what `json.dumps` takes; `from_json` is the inverse."""
    return [{name: getattr(result, name) for name in _FIELDS} for result in results]


def from_json(records: Iterable[Mapping[str, Any]]) -> list[Result]:
    """Rebuild results from parsed JSON.

    Raises:
        DataError: a record lacks a field, but for `control`, or has one that is unknown.
    """
    results = []
    for index, record in enumerate({"control": "", **record} for record in records):
        if odd := sorted({*_FIELDS} ^ {*record}):
            raise DataError(
                f"evaluation result {index}: missing or unknown fields {', '.join(odd)}; "
                "evaluate again with this version"
            )
        results.append(Result(**record))
    return results


def grouped(results: Iterable[Result]) -> list[list[Result]]:
    """Arrange results for a table: the rows of each task and set, in order of first appearance.

    A blind row comes directly beneath the row of the same metric.
    """
    results = list(results)

    def places(names: Iterable[object]) -> dict[object, int]:
        return {name: place for place, name in enumerate(dict.fromkeys(names))}

    tasks = places(row.task for row in results)
    sets = places((row.task, row.set_name) for row in results)
    metrics = places((row.task, row.set_name, row.metric) for row in results)

    def place(row: Result) -> tuple[int, int, int, bool]:
        names = (row.task, row.set_name, row.metric)
        return tasks[row.task], sets[names[:2]], metrics[names], row.blind

    ordered = sorted(results, key=place)
    return [list(rows) for _, rows in groupby(ordered, key=lambda row: (row.task, row.set_name))]


def percent(rate: float) -> str:
    """Write a rate as a percentage with one decimal; small chances keep two digits."""
    points = 100 * rate
    return f"{points:.2g}" if 0 < points < 0.1 else f"{points:.1f}"


def set_label(row: Result) -> str:
    """Name the task and the set of a row, and the scene graphs that the model read there."""
    return f"{row.task}: {row.set_name}" + (f" ({row.graphs} graphs)" if row.graphs else "")


def metric_label(row: Result) -> str:
    """Name what a row measured: the metric, whether blindly, and by which weights if averaged."""
    blind = ", blind" if row.blind else ""
    return row.metric + blind + ("" if row.weights == "raw" else f", {row.weights} weights")
