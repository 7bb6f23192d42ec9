"""A comparison of runs as tables of the terminal, and the words that they share with the page."""

from itertools import groupby

from rich.table import Table
from rich.text import Text

from kgclip_jax.evaluation.bootstrap import Interval
from kgclip_jax.evaluation.comparison import Budget, Comparison, excludes_zero
from kgclip_jax.evaluation.result import metric_label, percent

BUDGET_HEADS = ("run", "seed", "steps", "pairs seen", "training time")


def value_text(value: Interval) -> str:
    """Write a rate with its interval, in percent."""
    return f"{percent(value.value)} ({percent(value.low)} - {percent(value.high)})"


def change_text(change: Interval) -> str:
    """Write a difference with its interval, in percentage points; * where it excludes 0."""
    points = [f"{100 * number:+.1f}" for number in change]
    mark = " *" if excludes_zero(change) else ""
    return f"{points[0]} ({points[1]} to {points[2]}){mark}"


def change_heads(comparison: Comparison) -> list[str]:
    """Name the columns of differences."""
    first, *later = comparison.columns
    return [f"{column.name} - {first.name}" for column in later]


def budget_texts(budget: Budget) -> tuple[str, ...]:
    """Write what a run took, in the order of `BUDGET_HEADS`."""
    run = budget.run
    steps = f"{run.step:,}" + (" (averaged)" if run.averaged else "")
    return run.root, str(run.seed), steps, f"{run.pairs:,}", _time_text(budget)


def _time_text(budget: Budget) -> str:
    if budget.seconds is None:
        return "not logged"
    minutes, seconds = divmod(round(budget.seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [f"{hours} h"] * (hours > 0) + [f"{minutes} min"] * (hours > 0 or minutes > 0)
    return " ".join([*parts, f"{seconds} s"]) + f" for {budget.timed_steps:,} steps"


def render_comparison(comparison: Comparison) -> Table:
    """Build the table of values and differences."""
    table = Table(title="Held-out evaluation (%)", title_justify="left")
    table.add_column("metric")
    heads = [column.label for column in comparison.columns] + change_heads(comparison)
    for head in (*heads, "chance", "n"):
        table.add_column(Text(head), justify="right")
    by_set = groupby(comparison.rows, key=lambda row: (row.measure.task, row.measure.set_name))
    for (task, set_name), rows in by_set:
        table.add_row(Text(f"{task}: {set_name}", style="bold"))
        for row in rows:
            measure = row.measure
            table.add_row(
                Text(f"  {metric_label(measure)}"),
                *[value_text(value) for value in row.values],
                *[Text(change_text(c), style=_style(c)) for c in row.differences],
                percent(measure.chance),
                f"{measure.n:,}",
                style="dim" if measure.blind else None,
            )
        table.add_section()
    return table


def _style(change: Interval) -> str:
    if not excludes_zero(change):
        return ""
    return "bold green" if change.low > 0 else "bold red"


def render_budgets(comparison: Comparison) -> Table:
    """Build the table of what the runs took."""
    table = Table(title="Budget", title_justify="left")
    for place, head in enumerate(BUDGET_HEADS):
        table.add_column(head, justify="right" if place else "left")
    for budget in comparison.budgets:
        table.add_row(*[Text(text) for text in budget_texts(budget)])
    return table
