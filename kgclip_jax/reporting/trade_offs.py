"""What composition costs: each run as a point between it and retrieval, or classification."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import NamedTuple

import numpy as np

from kgclip_jax.evaluation.bootstrap import Interval
from kgclip_jax.evaluation.result import Result, percent
from kgclip_jax.reporting.charts import (
    BOTTOM,
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    Axis,
    axis_label,
    nice_ticks,
    series,
)
from kgclip_jax.reporting.comparison import Comparison
from kgclip_jax.reporting.differences import student_mean
from kgclip_jax.reporting.page import Markup, tag
from kgclip_jax.reporting.runs import measure_of

_COMPOSITION = ("composition", "text")
_AGAINST: Mapping[str, str] = {"retrieval": "text-to-image R@1", "zero-shot": "top-1"}


class Point(NamedTuple):
    """What is compared, in both measures; fractions."""

    name: str
    x: Interval
    y: Interval


def trade_offs(comparison: Comparison) -> dict[str, list[Point]]:
    """Return a point for each column, by what composition is set against.

    Upwards stands the mean, over the composition sets, of the share of pictures that prefer their
    caption to a wrong one. Intervals are those of the comparison's tables; that of a mean over sets
    is over seeds, and a single run has none.
    """
    seeing = [row.measure for row in comparison.rows if not row.measure.blind]
    sets = [measure for measure in seeing if (measure.task, measure.metric) == _COMPOSITION]
    if not sets:
        return {}
    upwards = [_mean_over_sets(column.runs, sets) for column in comparison.columns]
    return {
        f"{row.measure.set_name}, {row.measure.metric}": [
            Point(column.name, x, y)
            for column, x, y in zip(comparison.columns, row.values, upwards, strict=True)
        ]
        for row in comparison.rows
        if not row.measure.blind and _AGAINST.get(row.measure.task) == row.measure.metric
    }


def _mean_over_sets(runs: Sequence, sets: Sequence[Result]) -> Interval:
    means = [np.mean([run.rows[measure_of(each)].value for each in sets]) for run in runs]
    return student_mean(means) if len(means) > 1 else Interval(*[float(means[0])] * 3)


def trade_off_card(title: str, points: Sequence[Point]) -> Markup:
    """Draw points with whiskers both ways; the one under the mouse tells its run and its values."""
    spans = [[(each.low, each.value, each.high) for each in axis] for axis in _axes(points)]
    (x_ticks, y_ticks) = ([*nice_ticks(np.min(span), np.max(span))] for span in spans)
    x = Axis(x_ticks[0], x_ticks[-1], LEFT, WIDTH - RIGHT)
    y = Axis(y_ticks[0], y_ticks[-1], HEIGHT - BOTTOM, TOP)
    grid = [
        f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(tick)}" y2="{y(tick)}"/>'
        for tick in y_ticks
    ]
    grid += [axis_label(_percent(tick), LEFT - 7, y(tick) + 3.5, "end") for tick in y_ticks]
    grid += [
        axis_label(_percent(tick), x(tick), HEIGHT - BOTTOM + 15, "middle") for tick in x_ticks
    ]
    grid.append(axis_label(escape(title), WIDTH - RIGHT, HEIGHT - 3, "end"))
    marks = [_mark(point, series(place), x, y) for place, point in enumerate(points)]
    view = f"0 0 {WIDTH} {HEIGHT}"
    return tag(
        "figure",
        tag("header", tag("h3", f"Composition against {title}")),
        tag("svg", Markup("".join(grid + marks)), viewBox=view, role="img", aria_label=title),
        class_="chart card",
    )


def _axes(points: Sequence[Point]) -> tuple[list[Interval], list[Interval]]:
    return [point.x for point in points], [point.y for point in points]


def _mark(point: Point, colour: str, x: Axis, y: Axis) -> str:
    across, up = x(point.x.value), y(point.y.value)
    told = f"{point.name}: {_percent(point.x.value)} across, {_percent(point.y.value)} up"
    return (
        f'<g class="{colour}">'
        f'<line x1="{x(point.x.low)}" x2="{x(point.x.high)}" y1="{up}" y2="{up}"/>'
        f'<line x1="{across}" x2="{across}" y1="{y(point.y.low)}" y2="{y(point.y.high)}"/>'
        f'<circle class="dot" cx="{across}" cy="{up}" r="5"><title>{escape(told)}</title></circle>'
        "</g>"
    )


def _percent(rate: float) -> str:
    return f"{percent(rate)} %"
