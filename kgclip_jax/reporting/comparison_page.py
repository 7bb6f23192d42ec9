"""A comparison of runs as tables, and as one HTML file with figures and curves."""

from pathlib import Path

from kgclip_jax.reporting.charts import Chart, chart_card, series
from kgclip_jax.reporting.comparison import Comparison, notes
from kgclip_jax.reporting.page import Markup, tag, write_page
from kgclip_jax.reporting.runs import Run
from kgclip_jax.reporting.tables import READING, Cell, Line, Table, rates_table, to_html
from kgclip_jax.reporting.trade_offs import trade_off_card, trade_offs

TRADE_OFFS = (
    "Upwards, the mean over the composition sets of how often a picture prefers its caption to a "
    "wrong one; to the right, what that may cost. Above and to the right is better in both."
)
"""How the figures of trade-offs are read."""

_LOSS = Chart("loss", "Training loss", from_zero=False)
_SPEED = Chart("pairs_per_second", "Image-text pairs per second")


def tables(comparison: Comparison) -> tuple[Table, Table]:
    """Lay out the rates with their differences, and what each run took."""
    first, *later = comparison.columns
    changes = [f"{column.name} - {first.name}" for column in later]
    rates = rates_table(comparison.rows, [c.label for c in comparison.columns] + changes)
    heads = ("run", "seed", "steps", "pairs seen", "training time")
    return rates, Table("Budget", heads, [_budget(run) for _, run in comparison.runs])


def _budget(run: Run) -> Line:
    steps = f"{run.step:,}" + ("" if run.weights == "raw" else f" ({run.weights})")
    texts = (run.root, str(run.seed), steps, f"{run.pairs:,}", _time(*run.training_time()))
    return Line([*map(Cell, texts)])


def _time(seconds: float, timed_steps: int) -> str:
    if not timed_steps:
        return "not logged"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [f"{hours} h"] * (hours > 0) + [f"{minutes} min"] * (hours > 0 or minutes > 0)
    return " ".join([*parts, f"{rest} s"]) + f" for {timed_steps:,} steps"


def write_comparison(path: Path, comparison: Comparison) -> None:
    """Write the page of a comparison; losses only where all runs have the same objectives.

    Raises:
        UserError: the file cannot be written.
    """
    labels = [column.label for column in comparison.columns]
    colours = {column.name: series(place) for place, column in enumerate(comparison.columns)}
    curves = [(run.root, colours[column.name], run.metrics) for column, run in comparison.runs]
    objectives = [run.config["objectives"] for _, run in comparison.runs]
    charts = [_SPEED] if any(o != objectives[0] for o in objectives) else [_LOSS, _SPEED]
    legend = [tag("span", label, class_=series(place)) for place, label in enumerate(labels)]
    sections = [
        tag("div", *legend, class_="legend"),
        tag("p", READING, class_="soft"),
        *map(to_html, tables(comparison)),
        *[tag("p", note, class_="soft") for note in notes(comparison)],
        *_trade_offs(comparison),
        tag("h2", "Training"),
        tag("div", *[chart_card(chart, curves) for chart in charts], class_="charts"),
    ]
    write_page(path, " / ".join(labels), "runs side by side", sections)


def _trade_offs(comparison: Comparison) -> list[Markup]:
    cards = [trade_off_card(title, points) for title, points in trade_offs(comparison).items()]
    if not cards:
        return []
    return [
        tag("h2", "Trade-offs"),
        tag("p", TRADE_OFFS, class_="soft"),
        tag("div", *cards, class_="charts"),
    ]
