"""Runs side by side: each one's rates, and how far the later ones are from the first."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import stdtrit

from kgclip_jax.errors import DataError
from kgclip_jax.evaluation.bootstrap import LEVEL, Interval
from kgclip_jax.evaluation.result import Result, grouped
from kgclip_jax.evaluation.runs import (
    Column,
    Run,
    check_same_sets,
    columns_of,
    row_key,
    training_seconds,
)


@dataclass(frozen=True)
class Row:
    """One measure of one set.

    Attributes:
        measure: the first run's row, for its names, its chance and n.
        values: of each column.
        differences: of each column but the first, to the first.
    """

    measure: Result
    values: tuple[Interval, ...]
    differences: tuple[Interval, ...]


@dataclass(frozen=True)
class Budget:
    """What a run took.

    Attributes:
        run: the run.
        column: the name of its column.
        seconds: of training, see `training_seconds`; None where the log does not tell.
        timed_steps: how many steps these are.
    """

    run: Run
    column: str
    seconds: float | None
    timed_steps: int


@dataclass(frozen=True)
class Comparison:
    """Runs side by side.

    Attributes:
        columns: what is compared.
        rows: in the order of tables, blind ones beneath their seeing ones.
        budgets: of every run.
    """

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    budgets: tuple[Budget, ...]

    @property
    def seeded(self) -> bool:
        """Whether columns stand for several seeds."""
        return len(self.columns[0].runs) > 1


def compare(runs: Sequence[Run]) -> Comparison:
    """Compare runs; those that differ in their seed alone become one column.

    Raises:
        ConfigError: see `columns_of`.
        DataError: the runs have no results, or answered different questions.
    """
    if not runs[0].results:
        raise DataError(f"{runs[0].root} was evaluated on nothing: it has no held-out set")
    check_same_sets(runs)
    columns = tuple(columns_of(runs))
    tables = {run.root: {row_key(row): row for row in run.results} for run in runs}
    rows = []
    for _, _, measures in grouped(runs[0].results):
        for measure in measures:
            key = row_key(measure)
            rows.append(_row(measure, [[tables[r.root][key] for r in c.runs] for c in columns]))
    budgets = tuple(_budget(run, column) for column in columns for run in column.runs)
    return Comparison(columns, tuple(rows), budgets)


def _row(measure: Result, columns: Sequence[Sequence[Result]]) -> Row:
    if len(columns[0]) == 1:
        values = [Interval(row.value, row.low, row.high) for (row,) in columns]
        changes = [independent_difference(values[0], value) for value in values[1:]]
    else:
        rates = [[row.value for row in rows] for rows in columns]
        values = [student_mean(seeds) for seeds in rates]
        changes = [student_mean(np.subtract(seeds, rates[0]).tolist()) for seeds in rates[1:]]
    return Row(measure, tuple(values), tuple(changes))


def _budget(run: Run, column: Column) -> Budget:
    seconds, steps = training_seconds(run)
    return Budget(run, column.name, seconds if steps else None, steps)


def independent_difference(first: Interval, second: Interval) -> Interval:
    """Return second - first, as if the two rates were independent.

    The half-widths add as squares, each side with the sides that it comes from:

        d_low  = d - sqrt((b - b_low)^2 + (a_high - a)^2)
        d_high = d + sqrt((b_high - b)^2 + (a - a_low)^2)

    Source: Zou and Donner 2008, "Construction of confidence limits about effect measures". Two runs
    that answer the same questions tend to miss the same ones; then this interval is too wide.
    """
    change = second.value - first.value
    below = math.hypot(second.value - second.low, first.high - first.value)
    above = math.hypot(second.high - second.value, first.value - first.low)
    return Interval(change, change - below, change + above)


def student_mean(values: Sequence[float]) -> Interval:
    """Return the mean of two or more values with its 95 % interval of Student's t.

    mean +- t s / sqrt(n), s^2 the sample variance (n - 1), t the quantile at n - 1 degrees.
    """
    mean, count = float(np.mean(values)), len(values)
    quantile = float(stdtrit(count - 1, 0.5 + LEVEL / 2))
    half = quantile * float(np.std(values, ddof=1)) / math.sqrt(count)
    return Interval(mean, mean - half, mean + half)


def excludes_zero(change: Interval) -> bool:
    """Whether all of an interval lies on one side of zero."""
    return change.low > 0 or change.high < 0


def notes(comparison: Comparison) -> list[str]:
    """Say what the intervals are, and what the training time is."""
    first, later = comparison.columns[0], comparison.columns[1:]
    said = []
    if comparison.seeded:
        seeds = ", ".join(map(str, first.seeds))
        said.append(
            f"Values are means over {len(first.seeds)} seeds ({seeds}), with Student's t interval "
            "over them: how much another seed would change, not other questions."
        )
        if later:
            said.append(
                f"Differences to {first.name} are means of the differences seed by seed, with the "
                "t interval over them."
            )
    else:
        said.append("Values have the 95 % bootstrap interval of their evaluation, over questions.")
        if later:
            said.append(
                f"Differences to {first.name} take the two runs for independent: their half-widths "
                "add as squares. Both answer the same questions and tend to miss the same ones, so "
                "these intervals are rather too wide. One seed each: another seed may differ by "
                "more."
            )
    if later:
        said.append(
            "* marks an interval without 0; among many measures, 1 in 20 has that by chance."
        )
    said.append(
        "Training time adds up, line by line of metrics.jsonl, pairs over pairs per second: from "
        "the end of the first step, which compiles, to the last line. Evaluation on the way counts."
    )
    return said


def to_json(comparison: Comparison) -> dict[str, Any]:
    """Return what `json.dumps` takes. Rates and their differences are fractions."""
    return {
        "columns": [
            {"name": column.name, "seeds": column.seeds, "runs": [r.root for r in column.runs]}
            for column in comparison.columns
        ],
        "budgets": [
            {
                "run": budget.run.root,
                "column": budget.column,
                "seed": budget.run.seed,
                "step": budget.run.step,
                "averaged": budget.run.averaged,
                "pairs": budget.run.pairs,
                "training_seconds": budget.seconds,
                "timed_steps": budget.timed_steps,
            }
            for budget in comparison.budgets
        ],
        "rows": [
            {
                "task": row.measure.task,
                "set_name": row.measure.set_name,
                "metric": row.measure.metric,
                "blind": row.measure.blind,
                "n": row.measure.n,
                "chance": row.measure.chance,
                "values": [value._asdict() for value in row.values],
                "differences": [change._asdict() for change in row.differences],
            }
            for row in comparison.rows
        ],
        "notes": notes(comparison),
    }
