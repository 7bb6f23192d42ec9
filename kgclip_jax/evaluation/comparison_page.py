"""A comparison of runs as one HTML file: dots with whiskers for every measure, tables, curves."""

import math
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path

from kgclip_jax.evaluation.bootstrap import Interval
from kgclip_jax.evaluation.comparison import Comparison, Row, excludes_zero, notes
from kgclip_jax.evaluation.comparison_table import (
    BUDGET_HEADS,
    budget_texts,
    change_heads,
    change_text,
    value_text,
)
from kgclip_jax.evaluation.markup import Markup, join, tag
from kgclip_jax.evaluation.page import write_page
from kgclip_jax.evaluation.result import metric_label, percent
from kgclip_jax.evaluation.runs import Run
from kgclip_jax.evaluation.svg import WIDTH, Line, lines_chart

COLOURS = 6  # of the style sheet; more columns take them again
MARGIN, LANE, HEAD = 12, 13, 22  # pixels of a figure: at its sides, for a column, for a name


def write_comparison(path: Path, comparison: Comparison) -> None:
    """Write the page of a comparison. Raises UserError when the disk refuses."""
    names = [column.label for column in comparison.columns]
    sections = [
        _legend(comparison),
        tag("p", _how_to_read(comparison), class_="soft"),
        tag("div", *_figures(comparison), class_="charts"),
        tag("h2", "Held-out evaluation (%)"),
        tag("div", _table(comparison), class_="scroll"),
        tag("h2", "Budget"),
        tag("div", _budgets(comparison), class_="scroll"),
        *[tag("p", note, class_="soft") for note in notes(comparison)],
        _curves(comparison),
    ]
    write_page(path, " / ".join(names), "runs side by side", sections)


def _series(place: int) -> str:
    return f"s{place % COLOURS}"


def _legend(comparison: Comparison) -> Markup:
    labels = [
        tag("span", column.label, class_=_series(place))
        for place, column in enumerate(comparison.columns)
    ]
    return tag("div", *labels, class_="legend")


def _how_to_read(comparison: Comparison) -> str:
    source = "Student's t over seeds" if comparison.seeded else "bootstrap"
    return (
        f"Dots are measured rates, whiskers their 95 % intervals ({source}), the red tick is what "
        "chance would give. A hollow dot is the blind scorer, which was kept from seeing the other "
        "side: what it gains over chance, the set gives away."
    )


def _figures(comparison: Comparison) -> list[Markup]:
    by_set = groupby(comparison.rows, key=lambda row: (row.measure.task, row.measure.set_name))
    return [
        tag(
            "figure",
            tag("header", tag("h3", set_name), tag("span", task, class_="soft")),
            _dots(list(rows), [column.label for column in comparison.columns], set_name),
            class_="chart card",
        )
        for (task, set_name), rows in by_set
    ]


def _dots(rows: Sequence[Row], columns: Sequence[str], label: str) -> Markup:
    """Draw the measures of a set beneath one another, on one axis from 0 to 100 %."""
    blind = {row.measure.metric: row for row in rows if row.measure.blind}
    seeing = [row for row in rows if not row.measure.blind]
    height = HEAD + LANE * len(columns) + 8
    bottom = height * len(seeing)
    grid = [
        join(
            tag("line", class_="grid", x1=_x(share), x2=_x(share), y1=0, y2=bottom),
            tag(
                "text",
                f"{100 * share:.0f}",
                class_="tick",
                x=_x(share),
                y=bottom + 14,
                text_anchor="middle",
            ),
        )
        for share in (0.0, 0.25, 0.5, 0.75, 1.0)
    ]
    measures = [
        _measure(row, blind.get(row.measure.metric), columns, place * height)
        for place, row in enumerate(seeing)
    ]
    return tag(
        "svg",
        *grid,
        *measures,
        viewBox=f"0 0 {WIDTH} {bottom + 20}",
        role="img",
        aria_label=label,
    )


def _x(rate: float) -> float:
    """Place a rate; an interval of Student's t may reach beyond 0 and 1, the figure does not."""
    return round(MARGIN + (WIDTH - 2 * MARGIN) * min(1.0, max(0.0, rate)), 1)


def _measure(row: Row, blind: Row | None, columns: Sequence[str], top: int) -> Markup:
    chance = _x(row.measure.chance)
    low, high = top + HEAD - 3, top + HEAD + LANE * len(columns)
    lanes = [
        _lane(
            value,
            None if blind is None else blind.values[place],
            name,
            top + HEAD + LANE * place + LANE // 2,
            _series(place),
        )
        for place, (value, name) in enumerate(zip(row.values, columns, strict=True))
    ]
    return tag(
        "g",
        tag("text", row.measure.metric, class_="measure", x=MARGIN, y=top + 14),
        tag(
            "line",
            tag("title", f"chance: {percent(row.measure.chance)} %"),
            class_="chance",
            x1=chance,
            x2=chance,
            y1=low,
            y2=high,
        ),
        *lanes,
    )


def _lane(value: Interval, blind: Interval | None, name: str, y: int, series: str) -> Markup:
    words = f"{name}: {value_text(value)}"
    marks = [tag("line", x1=_x(value.low), x2=_x(value.high), y1=y, y2=y)]
    if blind is not None:
        words += f", blind {percent(blind.value)}"
        marks.append(tag("circle", class_="blind", cx=_x(blind.value), cy=y, r=3.5))
    marks.append(tag("circle", class_="seeing", cx=_x(value.value), cy=y, r=4))
    return tag("g", tag("title", words), *marks, class_=f"lane {series}")


def _table(comparison: Comparison) -> Markup:
    heads = [column.label for column in comparison.columns] + change_heads(comparison)
    cells = [tag("th", head, class_="number") for head in (*heads, "chance", "n")]
    body = []
    by_set = groupby(comparison.rows, key=lambda row: (row.measure.task, row.measure.set_name))
    for (task, set_name), rows in by_set:
        title = tag("th", set_name, tag("small", task), colspan=len(cells) + 1)
        body.append(tag("tr", title, class_="set"))
        body.extend(_table_row(row) for row in rows)
    head = tag("thead", tag("tr", tag("th", "metric"), *cells))
    return tag("table", head, tag("tbody", *body))


def _table_row(row: Row) -> Markup:
    return tag(
        "tr",
        tag("td", metric_label(row.measure)),
        *[tag("td", value_text(value), class_="number") for value in row.values],
        *[tag("td", change_text(c), class_=f"number {_verdict(c)}") for c in row.differences],
        tag("td", percent(row.measure.chance), class_="number"),
        tag("td", f"{row.measure.n:,}", class_="number"),
        class_="blind" if row.measure.blind else "seeing",
    )


def _verdict(change: Interval) -> str:
    if not excludes_zero(change):
        return "open"
    return "better" if change.low > 0 else "worse"


def _budgets(comparison: Comparison) -> Markup:
    heads = [
        tag("th", head, class_="number" if i else "name") for i, head in enumerate(BUDGET_HEADS)
    ]
    rows = [
        tag(
            "tr",
            *[
                tag("td", text, class_="number" if place else "name")
                for place, text in enumerate(budget_texts(budget))
            ],
        )
        for budget in comparison.budgets
    ]
    return tag("table", tag("thead", tag("tr", *heads)), tag("tbody", *rows))


def _curves(comparison: Comparison) -> Markup:
    """Draw the curves of all runs; losses only where all have the same objectives."""
    charts = [_chart(comparison, "pairs_per_second", "Image-text pairs per second", _speed)]
    objectives = [run.config["objectives"] for column in comparison.columns for run in column.runs]
    if all(other == objectives[0] for other in objectives):
        charts.insert(0, _chart(comparison, "loss", "Training loss", _loss))
    drawn = [chart for chart in charts if chart]
    return join(tag("h2", "Training"), tag("div", *drawn, class_="charts")) if drawn else Markup("")


def _loss(lines: Sequence[Line]) -> Markup:
    return lines_chart(lines, "Training loss", as_percent=False, from_zero=False)


def _speed(lines: Sequence[Line]) -> Markup:
    return lines_chart(lines, "Image-text pairs per second", as_percent=False, from_zero=True)


def _chart(
    comparison: Comparison, key: str, title: str, draw: Callable[[Sequence[Line]], Markup]
) -> Markup:
    lines = [
        Line(points, run.root, _series(place))
        for place, column in enumerate(comparison.columns)
        for run in column.runs
        if (points := _points(run, key))
    ]
    if not lines:
        return Markup("")
    return tag("figure", tag("header", tag("h3", title)), draw(lines), class_="chart card")


def _points(run: Run, key: str) -> list[tuple[float, float]]:
    values = {float(line["step"]): float(line[key]) for line in run.metrics if key in line}
    return sorted((step, value) for step, value in values.items() if math.isfinite(value))
