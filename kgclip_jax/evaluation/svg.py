"""Small inline SVG figures: a line chart with axes, and a bar that shows a rate with its interval.

Colours and fonts come from the classes in `style.py`, so a figure follows light and dark mode.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from kgclip_jax.evaluation.markup import Markup, tag
from kgclip_jax.evaluation.result import Result, percent

WIDTH, HEIGHT = 420, 210
LEFT, RIGHT, TOP, BOTTOM = 46, 14, 12, 34
_MOST_COLUMNS = 240


def line_chart(
    points: Sequence[tuple[float, float]], label: str, as_percent: bool, from_zero: bool
) -> Markup:
    """Draw values over steps.

    Long runs are drawn as means of up to 240 stretches of steps, above a band from the smallest to
    the largest value of each stretch. A point under the mouse tells its step and value.

    Args:
        points: (step, value), steps increasing, values finite, at least one.
        label: what a screen reader says.
        as_percent: write values as percentages.
        from_zero: let the value axis include zero.
    """
    columns = _columns(np.array(points, dtype=np.float64))
    steps, lows, means, highs = columns.T
    axes = _Axes.around(steps, np.array([lows.min(), highs.max()]), as_percent, from_zero)
    x, y = axes.x, axes.y

    def path(values: Float[np.ndarray, " columns"]) -> list[str]:
        return [f"{x(s)},{y(v)}" for s, v in zip(steps, values, strict=True)]

    hovers = [
        tag("circle", tag("title", f"step {s:,.0f}: {axes.text(m)}"), cx=x(s), cy=y(m), r=4)
        for s, m in zip(steps, means, strict=True)
    ]
    return _figure(
        axes,
        label,
        tag("polygon", class_="band", points=" ".join(path(highs) + path(lows)[::-1])),
        tag("polyline", class_="line", points=" ".join(path(means))),
        tag("circle", class_="end", cx=x(steps[-1]), cy=y(means[-1]), r=3.5),
        tag("g", *hovers, class_="hover"),
    )


class Line(NamedTuple):
    """A line among others: (step, value) points as in `line_chart`, its name, its colour."""

    points: Sequence[tuple[float, float]]
    name: str
    series: str  # class of the style sheet


def lines_chart(lines: Sequence[Line], label: str, as_percent: bool, from_zero: bool) -> Markup:
    """Draw several runs' values over steps, as means of up to 240 stretches of steps each.

    A line under the mouse tells its name.
    """
    drawn = [_columns(np.array(line.points, dtype=np.float64))[:, (0, 2)] for line in lines]
    steps, values = np.concatenate(drawn).T
    axes = _Axes.around(steps, values, as_percent, from_zero)
    curves = [
        tag(
            "polyline",
            tag("title", line.name),
            class_=f"line {line.series}",
            points=" ".join(f"{axes.x(step)},{axes.y(value)}" for step, value in means),
        )
        for line, means in zip(lines, drawn, strict=True)
    ]
    return _figure(axes, label, tag("g", *curves, class_="bundle"))


class _Axes(NamedTuple):
    """Where steps and values lie in a figure."""

    first: float
    last: float
    y_ticks: Sequence[float]
    as_percent: bool

    @classmethod
    def around(
        cls,
        steps: Float[np.ndarray, " points"],
        values: Float[np.ndarray, " values"],
        as_percent: bool,
        from_zero: bool,
    ) -> "_Axes":
        smallest = min(0.0, values.min()) if from_zero else values.min()
        ticks = nice_ticks(smallest, values.max())
        return cls(steps.min(), steps.max(), ticks, as_percent)

    @property
    def x_ticks(self) -> list[float]:
        """Round steps within the figure."""
        return [t for t in nice_ticks(self.first, self.last) if self.first <= t <= self.last]

    def x(self, step: float) -> float:
        """Place a step."""
        share = (step - self.first) / ((self.last - self.first) or 1.0)
        return round(LEFT + (WIDTH - LEFT - RIGHT) * share, 1)

    def y(self, value: float) -> float:
        """Place a value."""
        share = (value - self.y_ticks[0]) / (self.y_ticks[-1] - self.y_ticks[0])
        return round(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * share, 1)

    def text(self, value: float) -> str:
        """Write a value."""
        return f"{100 * value:.4g} %" if self.as_percent else compact(value)


def _figure(axes: _Axes, label: str, *curves: Markup) -> Markup:
    """Put curves into a figure with axes."""
    return tag(
        "svg",
        *[_gridline(axes.y(tick), axes.text(tick)) for tick in axes.y_ticks],
        *[_step_label(axes.x(tick), compact(tick)) for tick in axes.x_ticks],
        tag("text", "step", class_="tick", x=WIDTH - RIGHT, y=HEIGHT - 3, text_anchor="end"),
        *curves,
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        role="img",
        aria_label=label,
    )


def _columns(points: Float[np.ndarray, "points 2"]) -> Float[np.ndarray, "columns 4"]:
    """Summarise stretches of points as (mean step, least, mean, greatest value)."""
    stretches = np.array_split(points, min(_MOST_COLUMNS, len(points)))
    return np.array(
        [(s[:, 0].mean(), s[:, 1].min(), s[:, 1].mean(), s[:, 1].max()) for s in stretches]
    )


def _gridline(y: float, text: str) -> Markup:
    line = tag("line", class_="grid", x1=LEFT, x2=WIDTH - RIGHT, y1=y, y2=y)
    label = tag("text", text, class_="tick", x=LEFT - 7, y=y + 3.5, text_anchor="end")
    return tag("g", line, label)


def _step_label(x: float, text: str) -> Markup:
    return tag("text", text, class_="tick", x=x, y=HEIGHT - BOTTOM + 15, text_anchor="middle")


def nice_ticks(low: float, high: float, count: int = 4) -> list[float]:
    """Return the ends of about `count` round intervals (1, 2, 5 times 10^k) around [low, high].

    Ends closer than 1 % of their size are widened, so that four digits tell the ticks apart.
    """
    least = 0.01 * max(abs(low), abs(high)) or 1.0
    if high - low < least:
        low, high = low - least / 2, high + least / 2
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = power * next(m for m in (1, 2, 5, 10) if m * power >= rough * (1 - 1e-9))
    start, stop = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [index * step for index in range(start, stop + 1)]


def compact(value: float) -> str:
    """Write a number in few characters: 0.25, 12k, 3.5M, 5e-4."""
    size = abs(value)
    for unit, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if size >= unit:
            return f"{value / unit:.4g}{suffix}"
    if 0 < size < 1e-3:
        digits, exponent = f"{value:.3e}".split("e")
        return f"{float(digits):g}e{int(exponent)}"
    return f"{value:.4g}"


def rate_bar(row: Result) -> Markup:
    """Draw a rate on a track from 0 to 100 %: bar, interval as a whisker, chance as a tick."""
    low, value, high, chance = (
        round(100 * rate, 2) for rate in (row.low, row.value, row.high, row.chance)
    )
    label = f"{percent(row.value)} %, chance {percent(row.chance)} %"
    return tag(
        "svg",
        tag("rect", class_="track", x=0, y=3, width=100, height=8),
        tag("rect", class_="blind" if row.blind else "fill", x=0, y=3, width=value, height=8),
        tag("line", class_="whisker", x1=low, x2=high, y1=7, y2=7),
        tag("line", class_="chance", x1=chance, x2=chance, y1=0, y2=14),
        viewBox="0 0 100 14",
        preserveAspectRatio="none",
        class_="bar",
        role="img",
        aria_label=label,
    )
