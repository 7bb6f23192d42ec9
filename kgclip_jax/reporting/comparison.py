"""Runs side by side: each one's rates, and how far the later ones are from the first."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from kgclip_jax.evaluation.bootstrap import Interval
from kgclip_jax.evaluation.result import Result
from kgclip_jax.reporting.columns import (
    Column,
    check_same_sets,
    columns_of,
    shared_measures,
    unshared_sets,
)
from kgclip_jax.reporting.differences import (
    Difference,
    asked_alike,
    independent_difference,
    paired_difference,
    student_mean,
)
from kgclip_jax.reporting.runs import Run, measure_of
from kgclip_jax.reporting.tables import Row

_NAMES = ("task", "set_name", "metric", "blind", "n", "chance")
_OF_QUESTIONS = (
    "Values have the 95 % bootstrap interval of their evaluation, over questions. One seed each: "
    "another seed may differ by more."
)
_OF_SEEDS = (
    "Values are means over {count} seeds ({seeds}), with Student's t interval over them: how much "
    "another seed would change, not other questions."
)
_KINDS = {
    "seeds": "Differences are means of those seed by seed, with the t interval over them.",
    "paired": "Paired differences compare two runs question by question, with the bootstrap "
    "interval of that.",
    "unpaired": "Unpaired differences take two runs for independent: their half-widths add as "
    "squares. Both answer the same questions and tend to miss the same ones, so these intervals "
    "are rather too wide.",
}
_STAR = "* marks an interval without 0; among many measures, 1 in 20 has that by chance."
_LEFT_OUT = "Left out, for not all runs were asked about them: {}."
_TIME = (
    "Training time adds up, line by line of metrics.jsonl, pairs over pairs per second: from the "
    "end of the first step, which compiles, to the last line. Evaluation on the way counts."
)


@dataclass(frozen=True)
class Comparison:
    """Runs side by side.

    Attributes:
        columns: what is compared.
        rows: in the order of tables, blind ones beneath their seeing ones.
        left_out: sets that not all runs were asked about, and the runs that were.
    """

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    left_out: Mapping[str, Sequence[str]]

    @property
    def runs(self) -> list[tuple[Column, Run]]:
        """Every run with its column."""
        return [(column, run) for column in self.columns for run in column.runs]


def compare(runs: Sequence[Run]) -> Comparison:
    """Compare runs; those that differ in their seed alone become one column.

    Raises:
        ConfigError: see `columns_of`.
        DataError: the runs answered different questions, or none that all of them were asked.
    """
    columns = columns_of(runs)
    check_same_sets(runs)
    measures = shared_measures(runs)
    make_row = _over_seeds if len(columns[0].runs) > 1 else _over_questions
    # The columns, not the measures, are of raw or averaged weights, and of models that read graphs.
    rows = [make_row(replace(measure, weights="raw", graphs=""), columns) for measure in measures]
    return Comparison(tuple(columns), tuple(rows), unshared_sets(runs))


def _over_seeds(measure: Result, columns: Sequence[Column]) -> Row:
    """Compare means over seeds; runs of equal seeds are pairs."""
    key = measure_of(measure)
    rates = np.array([[run.rows[key].value for run in column.runs] for column in columns])
    changes = [Difference(*student_mean(seeds), "seeds") for seeds in rates[1:] - rates[0]]
    return Row(measure, tuple(map(student_mean, rates)), tuple(changes))


def _over_questions(measure: Result, columns: Sequence[Column]) -> Row:
    """Compare single runs, question by question where both have kept their decisions."""
    key = measure_of(measure)
    runs = [column.runs[0] for column in columns]
    values = [Interval(r.value, r.low, r.high) for r in (run.rows[key] for run in runs)]
    outcomes = [run.outcomes_of(key) for run in runs]
    first, changes = outcomes[0], []
    for value, own in zip(values[1:], outcomes[1:], strict=True):
        if first and own and asked_alike(first, own):
            changes.append(paired_difference(first, own))
        else:
            changes.append(independent_difference(values[0], value))
    return Row(measure, tuple(values), tuple(changes))


def notes(comparison: Comparison) -> list[str]:
    """Say what the intervals are, and what the training time is."""
    seeds = comparison.columns[0].seeds
    kinds = {change.kind for row in comparison.rows for change in row.differences}
    values = _OF_QUESTIONS
    if len(seeds) > 1:
        values = _OF_SEEDS.format(count=len(seeds), seeds=", ".join(map(str, seeds)))
    star = [_STAR] if kinds else []
    told = "; ".join(f"{name} ({', '.join(of)})" for name, of in comparison.left_out.items())
    left_out = [_LEFT_OUT.format(told)] if told else []
    return [
        *left_out,
        values,
        *[text for kind, text in _KINDS.items() if kind in kinds],
        *star,
        _TIME,
    ]


def to_json(comparison: Comparison) -> dict[str, Any]:
    """Return what `json.dumps` takes. Rates and their differences are fractions."""
    return {
        "columns": [
            {"name": column.name, "seeds": column.seeds, "runs": [r.root for r in column.runs]}
            for column in comparison.columns
        ],
        "budgets": [_budget(column, run) for column, run in comparison.runs],
        "rows": [
            {
                **{name: told[name] for name in _NAMES},
                "values": [value._asdict() for value in row.values],
                "differences": [change._asdict() for change in row.differences],
            }
            for row in comparison.rows
            for told in [asdict(row.measure)]
        ],
        "notes": notes(comparison),
    }


def _budget(column: Column, run: Run) -> dict[str, Any]:
    seconds, steps = run.training_time()
    return {
        "run": run.root,
        "column": column.name,
        "seed": run.seed,
        "step": run.step,
        "weights": run.weights,
        "pairs": run.pairs,
        "training_seconds": seconds if steps else None,
        "timed_steps": steps,
    }
