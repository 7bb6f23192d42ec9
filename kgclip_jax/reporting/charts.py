"""Two small SVG figures: curves over steps with axes, and rates as dots with whiskers.

Colours come from the classes in `style.py`, so a figure follows light and dark mode.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from kgclip_jax.evaluation.bootstrap import Interval
from kgclip_jax.evaluation.result import percent
from kgclip_jax.reporting.page import Markup, tag

WIDTH, HEIGHT = 420, 210
LEFT, RIGHT, TOP, BOTTOM = 46, 14, 12, 34
LANE = 14  # pixels of height for a dot
MOST_STRETCHES = 120
COLOURS = 6  # of the style sheet; further series take them again

Metrics = Sequence[Mapping[str, int | float]]
"""Lines of metrics.jsonl, each with "step"."""


class Chart(NamedTuple):
    """A curve over training: the key in metrics.jsonl and how to show it."""

    key: str
    title: str
    as_percent: bool = False
    from_zero: bool = True


class Curve(NamedTuple):
    """A run among others: its (step, value) pairs, its name, its class of the style sheet."""

    points: Float[np.ndarray, "points 2"]
    name: str
    series: str


def series(place: int) -> str:
    """Return the class that colours what stands at a place among others."""
    return f"s{place % COLOURS}"


def chart_card(chart: Chart, runs: Iterable[tuple[str, str, Metrics]]) -> Markup:
    """Draw a metric of runs, given as (name, class, lines); nothing when it has no finite value.

    A later line of the same step wins: a resumed run writes some steps again.
    """
    lines, lost = [], 0
    for name, colour, metrics in runs:
        values = {int(line["step"]): line[chart.key] for line in metrics if chart.key in line}
        points = [(step, values[step]) for step in sorted(values) if math.isfinite(values[step])]
        lost += len(values) - len(points)
        if points:
            lines.append(Curve(np.array(points, dtype=np.float64), name, colour))
    if not lines:
        return Markup("")
    last = _text(lines[0].points[-1, 1], chart) if len(lines) == 1 else ""
    return tag(
        "figure",
        tag("header", tag("h3", chart.title), tag("b", last)),
        curves(lines, chart),
        tag("figcaption", f"{lost} values were not finite" if lost else ""),
        class_="chart card",
    )


def curves(lines: Sequence[Curve], chart: Chart) -> Markup:
    """Draw values over steps, on common axes.

    A line shows means of up to 120 stretches of steps, above a band from the least to the greatest
    value of each. A point under the mouse tells its run, step and value.

    The steps of a line increase, and its values are finite.
    """
    drawn = [_stretches(line.points) for line in lines]
    steps, low, _, high = np.concatenate(drawn).T
    x = Axis(steps.min(), steps.max(), LEFT, WIDTH - RIGHT)
    ticks = nice_ticks(min(0.0, low.min()) if chart.from_zero else low.min(), high.max())
    y = Axis(ticks[0], ticks[-1], HEIGHT - BOTTOM, TOP)
    x_ticks = [tick for tick in nice_ticks(x.first, x.last) if x.first <= tick <= x.last]
    right, below = WIDTH - RIGHT, HEIGHT - BOTTOM + 15
    ends = f'class="grid" x1="{LEFT}" x2="{right}"'
    parts = [f'<line {ends} y1="{y(tick)}" y2="{y(tick)}"/>' for tick in ticks]
    parts += [axis_label(_text(tick, chart), LEFT - 7, y(tick) + 3.5, "end") for tick in ticks]
    parts += [axis_label(compact(tick), x(tick), below, "middle") for tick in x_ticks]
    parts.append(axis_label("step", right, HEIGHT - 3, "end"))
    parts += [_curve(line, part, chart, x, y) for line, part in zip(lines, drawn, strict=True)]
    view = f"0 0 {WIDTH} {HEIGHT}"
    return tag("svg", Markup("".join(parts)), viewBox=view, role="img", aria_label=chart.title)


def axis_label(text: str, x: int | float, y: int | float, anchor: str) -> str:
    """Write what belongs to an axis; the anchor is SVG's: "start", "middle" or "end"."""
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}">{text}</text>'


class Axis(NamedTuple):
    """Where the values between two ends lie, in pixels between two others."""

    first: float
    last: float
    start: int
    stop: int

    def __call__(self, value: float) -> float:
        """Return where a value lies."""
        share = (value - self.first) / ((self.last - self.first) or 1.0)
        return round(float(self.start + (self.stop - self.start) * share), 1)


def _curve(
    line: Curve, parts: Float[np.ndarray, "stretches 4"], chart: Chart, x: Axis, y: Axis
) -> str:
    lows, means, highs = ([f"{x(p[0])},{y(p[i])}" for p in parts] for i in (1, 2, 3))
    name = escape(f"{line.name}, ") if line.name else ""
    spots = [
        f'<circle cx="{x(step)}" cy="{y(mean)}" r="4">'
        f"<title>{name}step {step:,.0f}: {_text(mean, chart)}</title></circle>"
        for step, _, mean, _ in parts
    ]
    return (
        f'<g class="{line.series}"><polygon class="band" points="{" ".join(lows + highs[::-1])}"/>'
        f'<polyline class="line" points="{" ".join(means)}"/>'
        f'<circle cx="{x(parts[-1, 0])}" cy="{y(parts[-1, 2])}" r="3.5"/>'
        f'<g class="hover">{"".join(spots)}</g></g>'
    )


def dots(values: Sequence[Interval], chance: float, *, blind: bool) -> Markup:
    """Draw rates beneath one another on a track from 0 to 100 %, in the colours of their places.

    Whiskers show their intervals, as far as the track goes; hollow dots are blind scorers; a tick
    shows chance.
    """
    height = LANE * len(values)

    def x(rate: float) -> str:
        return f"{100 * min(1.0, max(0.0, rate)):.2f}%"

    parts = [
        f'<line class="grid" x1="0" x2="100%" y1="{height / 2}" y2="{height / 2}"/>'
        f'<line class="chance" x1="{x(chance)}" x2="{x(chance)}" y1="0" y2="{height}"/>'
    ]
    for place, value in enumerate(values):
        y = LANE * place + LANE // 2
        parts.append(
            f'<g class="{series(place)}">'
            f'<line x1="{x(value.low)}" x2="{x(value.high)}" y1="{y}" y2="{y}"/>'
            f'<circle class="{"blind" if blind else "dot"}" cx="{x(value.value)}" cy="{y}" r="4"/>'
            "</g>"
        )
    told = ", ".join(f"{percent(value.value)} %" for value in values)
    words = f"{told}; chance {percent(chance)} %"
    return tag("svg", Markup("".join(parts)), height=height, role="img", aria_label=words)


def _stretches(points: Float[np.ndarray, "points 2"]) -> Float[np.ndarray, "stretches 4"]:
    """Summarise stretches of points as (mean step, least, mean, greatest value)."""
    parts = np.array_split(points, min(MOST_STRETCHES, len(points)))
    return np.array([(p[:, 0].mean(), p[:, 1].min(), p[:, 1].mean(), p[:, 1].max()) for p in parts])


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


def _text(value: float, chart: Chart) -> str:
    return f"{100 * value:.4g} %" if chart.as_percent else compact(value)


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
