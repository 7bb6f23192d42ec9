"""A measured number with its uncertainty and its chance level; as JSON and as a terminal table."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import groupby
from typing import Any

from rich.table import Table
from rich.text import Text

from kgclip_jax.errors import DataError


@dataclass(frozen=True)
class Result:
    """One row of the evaluation table. Rates are fractions in [0, 1].

    Attributes:
        task: "retrieval", "zero-shot" or "composition".
        set_name: the evaluation set.
        metric: what was measured, for instance "text-to-image R@1".
        value: the measured rate.
        low: lower end of the 95 % bootstrap interval.
        high: upper end of it.
        n: number of decisions that `value` averages (they need not be independent).
        chance: expected value of a scorer that knows nothing.
        blind: true when the scorer was kept from seeing the other side (picture or caption). Such a
            row shows what the set gives away; it belongs to the seeing row of equal names.
        weights: "raw", or "average" for the moving average of the parameters.
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


def to_json(results: Iterable[Result]) -> list[dict[str, Any]]:
    """Turn results into objects that `json.dumps` takes; `from_json` is the inverse."""
    return [asdict(result) for result in results]


def from_json(records: Iterable[Mapping[str, Any]]) -> list[Result]:
    """Rebuild results from parsed JSON.

    Raises:
        DataError: a record lacks a field or has one that is unknown.
    """
    expected = {field.name for field in fields(Result)}
    results = []
    for index, record in enumerate(records):
        if odd := sorted(expected ^ set(record)):
            raise DataError(
                f"evaluation result {index}: missing or unknown fields {', '.join(odd)}; "
                "evaluate again with this version"
            )
        results.append(Result(**record))
    return results


def grouped(results: Iterable[Result]) -> list[tuple[str, str, list[Result]]]:
    """Arrange results for a table: (task, set name, rows), in order of first appearance.

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
    groups = groupby(ordered, key=lambda row: (row.task, row.set_name))
    return [(task, set_name, list(rows)) for (task, set_name), rows in groups]


def percent(rate: float) -> str:
    """Write a rate as a percentage with one decimal; small chances keep two digits."""
    points = 100 * rate
    return f"{points:.2g}" if 0 < points < 0.1 else f"{points:.1f}"


def metric_label(row: Result) -> str:
    """Name the metric of a row as tables show it."""
    return f"{row.metric}, blind" if row.blind else row.metric


def render_table(results: Sequence[Result]) -> Table:
    """Build the table that a console prints: percentages with interval, sample size and chance."""
    table = Table(title="Held-out evaluation (%)", title_justify="left")
    table.add_column("metric")
    for name in ("value", "95 % interval", "chance", "n"):
        table.add_column(name, justify="right")
    for task, set_name, rows in grouped(results):
        table.add_row(Text(f"{task}: {set_name}", style="bold"))
        for row in rows:
            above_chance = row.low > row.chance and not row.blind
            table.add_row(
                Text(f"  {metric_label(row)}"),
                Text(percent(row.value), style="bold green" if above_chance else ""),
                f"{percent(row.low)} - {percent(row.high)}",
                percent(row.chance),
                f"{row.n:,}",
                style="dim" if row.blind else None,
            )
        table.add_section()
    return table
