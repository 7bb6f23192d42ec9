"""The report of a run: one HTML file with nothing outside it."""

import math
from base64 import b64encode
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from kgclip_jax.evaluation.examples import Examples, Found
from kgclip_jax.evaluation.markup import Markup, join, tag
from kgclip_jax.evaluation.page import write_page
from kgclip_jax.evaluation.result import Result, grouped, metric_label, percent
from kgclip_jax.evaluation.svg import compact, line_chart, rate_bar
from kgclip_jax.types import words_of

_LARGEST_PICTURE = 160  # pixels; larger ones are scaled down to keep the file small


class Chart(NamedTuple):
    """A curve of the report: the key in metrics.jsonl and how to show it."""

    key: str
    title: str
    as_percent: bool = False
    from_zero: bool = True


class NextStep(NamedTuple):
    """Something the reader can do next, and the command that does it."""

    text: str
    command: str


CHARTS = (
    Chart("loss", "Training loss", from_zero=False),
    Chart("learning_rate", "Learning rate"),
    Chart("pairs_per_second", "Image-text pairs per second"),
    Chart("input_wait", "Share of time waiting for input", as_percent=True),
)


def write_report(
    path: Path,
    *,
    title: str,
    metrics: Sequence[Mapping[str, int | float]],
    results: Sequence[Result],
    examples: Examples | None,
    config: str,
    next_steps: Sequence[NextStep],
    charts: Sequence[Chart] = CHARTS,
) -> None:
    """Write a report that shows how training went and what the model can do.

    Args:
        path: the file, see `write_page`.
        title: headline.
        metrics: lines of metrics.jsonl, each with "step". A later line of the same step wins (a
            resumed run writes some steps again).
        results: rows of the evaluation table.
        examples: from `retrieval_examples`; None leaves the section out.
        config: resolved configuration, shown as it is.
        next_steps: shown at the end, with their commands.
        charts: curves to draw. One without any finite value is left out.

    Raises:
        UserError: the file cannot be written.
    """
    sections = [
        _curves(metrics, charts),
        _table(results) if results else Markup(""),
        _examples(examples) if examples else Markup(""),
        _next_steps(next_steps) if next_steps else Markup(""),
        tag("h2", "Configuration"),
        tag("details", tag("summary", "Show the resolved configuration"), tag("pre", config)),
    ]
    last = max((int(line["step"]) for line in metrics), default=0)
    write_page(path, title, f"{last:,} training steps", sections)


def _curves(metrics: Sequence[Mapping[str, int | float]], charts: Sequence[Chart]) -> Markup:
    cards = [_chart_card(chart, metrics) for chart in charts]
    return join(tag("h2", "Training"), tag("div", *cards, class_="charts"))


def _chart_card(chart: Chart, metrics: Sequence[Mapping[str, int | float]]) -> Markup:
    values = {float(line["step"]): float(line[chart.key]) for line in metrics if chart.key in line}
    points = sorted((step, value) for step, value in values.items() if math.isfinite(value))
    if not points:
        return Markup("")
    last = points[-1][1]
    shown = f"{100 * last:.1f} %" if chart.as_percent else compact(last)
    header = tag("header", tag("h3", chart.title), tag("span", shown, class_="last number"))
    svg = line_chart(points, chart.title, chart.as_percent, chart.from_zero)
    lost = len(values) - len(points)
    note = tag("figcaption", f"{lost} values were not finite") if lost else ""
    return tag("figure", header, svg, note, class_="chart card")


def _table(results: Sequence[Result]) -> Markup:
    heads = tag(
        "tr",
        tag("th", "metric"),
        tag("th", "%", class_="number"),
        tag("th", "95 % interval", class_="number"),
        tag("th", ""),
        tag("th", "chance", class_="number"),
        tag("th", "n", class_="number"),
    )
    body = []
    for task, set_name, rows in grouped(results):
        body.append(tag("tr", tag("th", set_name, tag("small", task), colspan=6), class_="set"))
        body.extend(_table_row(row) for row in rows)
    table = tag("table", tag("thead", heads), tag("tbody", *body))
    return join(
        tag("h2", "Held-out evaluation"),
        tag(
            "p",
            "Bars show the measured rate, whiskers its 95 % bootstrap interval, the red tick what "
            "chance would give. A blind row is a scorer that was kept from seeing the other side: "
            "what it gains over chance, the set gives away. Composition asks which of several "
            "captions fits a picture, or which of several pictures a caption; the wrong ones "
            "differ in what belongs together, in a few words, or in the order of words. Rows "
            "called text, image and group are of items with two pictures and two captions of "
            "equal words: text chooses the caption for a picture, image the picture for a "
            "caption, and group has all four decisions of an item right. (Winoground's text and "
            "image want both decisions of an item at once, so chance is 25 % there.)",
            class_="soft",
        ),
        tag("div", table, class_="scroll"),
    )


def _table_row(row: Result) -> Markup:
    return tag(
        "tr",
        tag("td", metric_label(row)),
        tag("td", percent(row.value), class_="number value"),
        tag("td", f"{percent(row.low)} - {percent(row.high)}", class_="number"),
        tag("td", rate_bar(row), class_="figure"),
        tag("td", percent(row.chance), class_="number"),
        tag("td", f"{row.n:,}", class_="number"),
        class_="blind" if row.blind else "seeing",
    )


def _examples(examples: Examples) -> Markup:
    data = examples.data
    captions = [
        tag(
            "div",
            tag("blockquote", words_of(data.captions[caption])),
            tag(
                "div",
                *[_found_image(data.pictures[f.candidate], f) for f in found],
                class_="pictures",
            ),
            class_="example card",
        )
        for caption, found in examples.found_images
    ]
    pictures = [
        tag(
            "div",
            _picture(data.pictures[image], "the picture asked for"),
            tag("ol", *[_found_caption(words_of(data.captions[f.candidate]), f) for f in found]),
            class_="example card described",
        )
        for image, found in examples.found_captions
    ]
    note = (
        "Evenly spaced queries of the held-out set, not a selection. The right answer is green; "
        "where it is not among the nearest five, it follows with its rank."
    )
    return join(
        tag("h2", "From caption to picture"),
        tag("p", note, class_="soft"),
        *captions,
        tag("h2", "From picture to caption"),
        *pictures,
    )


def _found_image(picture: UInt8[np.ndarray, "size size 3"], found: Found) -> Markup:
    label = _rank(found)
    return tag(
        "figure",
        _picture(picture, label),
        tag("figcaption", label, class_="number"),
        class_="right" if found.right else "wrong",
    )


def _found_caption(caption: str, found: Found) -> Markup:
    return tag(
        "li",
        tag("span", _rank(found), class_="rank number"),
        tag("span", caption),
        class_="right" if found.right else "wrong",
    )


def _rank(found: Found) -> str:
    return f"{found.rank:,} \u2713" if found.right else f"{found.rank:,}"


def _picture(pixels: UInt8[np.ndarray, "size size 3"], description: str) -> Markup:
    image = Image.fromarray(pixels)
    image.thumbnail((_LARGEST_PICTURE, _LARGEST_PICTURE))
    buffer = BytesIO()
    image.save(buffer, format="PNG", optimize=True)
    source = "data:image/png;base64," + b64encode(buffer.getvalue()).decode()
    return tag("img", src=source, alt=description)


def _next_steps(steps: Sequence[NextStep]) -> Markup:
    parts = [join(tag("p", step.text), tag("pre", tag("code", step.command))) for step in steps]
    return join(tag("h2", "What to do next"), *parts)
