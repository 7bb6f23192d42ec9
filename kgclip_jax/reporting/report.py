"""The report of a run: how training went, and what the model can do."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from kgclip_jax.evaluation.examples import Examples, Found
from kgclip_jax.evaluation.result import Result, from_json, metric_label, set_label
from kgclip_jax.knowledge.caption import words_of
from kgclip_jax.knowledge.graph.knowledge_graph import KnowledgeGraph
from kgclip_jax.reporting.charts import Chart, Metrics, chart_card, series
from kgclip_jax.reporting.neighbourhoods import neighbourhoods
from kgclip_jax.reporting.page import Markup, tag, write_page
from kgclip_jax.reporting.sessions import sessions_table
from kgclip_jax.reporting.tables import READING, results_table, to_html

_LARGEST_PICTURE = 160  # pixels; larger ones are scaled down to keep the file small
_TASKS = (
    " Composition asks which of several captions fits a picture, or which of several pictures a "
    "caption; the wrong ones differ in what belongs together, in a few words, or in the order of "
    "words. Rows called text, image and group are of items with two pictures and two captions of "
    "equal words: text chooses the caption for a picture, image the picture for a caption, and "
    "group has all four decisions of an item right. (Winoground's text and image want both "
    "decisions of an item at once, so chance is 25 % there.)"
)
_TIME = (
    "A row is a launch that ended in order. Input is the wait for batches; compile the first step; "
    "checkpoint and evaluation what training stood still for; other the opening of data and models."
)
_QUERIES = (
    "Evenly spaced queries of the held-out set, not a selection. The right answer is green; where "
    "it is not among the nearest five, it follows with its rank."
)


class NextStep(NamedTuple):
    """Something the reader can do next, and the command that does it."""

    text: str
    command: str


_CHARTS = (
    Chart("loss", "Training loss", from_zero=False),
    Chart("learning_rate", "Learning rate"),
    Chart("pairs_per_second", "Image-text pairs per second"),
    Chart("input_wait", "Share of time waiting for input", as_percent=True),
)


def write_report(
    path: Path,
    *,
    title: str,
    metrics: Metrics,
    evaluations: Sequence[Mapping[str, Any]],
    sessions: Sequence[Mapping[str, Any]],
    results: Sequence[Result],
    examples: Examples | None,
    graphs: Sequence[KnowledgeGraph],
    config: str,
    next_steps: Sequence[NextStep],
) -> None:
    """Write a report that shows how training went and what the model can do.

    Args:
        path: the file, see `write_page`.
        title: headline.
        metrics: of the run; a curve without any finite value is left out.
        evaluations: the steps that were evaluated and their rows, as `Workdir.read_evaluations`;
            one alone makes no curve.
        sessions: what each launch took, as `Workdir.read_sessions`.
        results: rows of the evaluation table.
        examples: from `retrieval_examples`; None leaves the section out.
        graphs: that the run learnt from, to be drawn in part.
        config: resolved configuration, shown as it is.
        next_steps: shown at the end, with their commands.

    Raises:
        UserError: the file cannot be written.
    """
    cards = [chart_card(chart, [("", series(0), metrics)]) for chart in _CHARTS]
    sections = [tag("h2", "Training"), tag("div", *cards, class_="charts")]
    if len({line["step"] for line in evaluations}) > 1:
        drawn = tag("div", *_curves_of_sets(evaluations), class_="charts")
        sections += [tag("h2", "Evaluation on the way"), drawn]
    if sessions:
        sections += [to_html(sessions_table(sessions)), tag("p", _TIME, class_="soft")]
    if results:
        sections += [to_html(results_table(results)), tag("p", READING + _TASKS, class_="soft")]
    if examples:
        sections += _examples(examples)
    for graph in graphs:
        sections += neighbourhoods(graph)
    if next_steps:
        sections.append(tag("h2", "What to do next"))
    for text, command in next_steps:
        sections += [tag("p", text), tag("pre", tag("code", command))]
    folded = tag("details", tag("summary", "Show the resolved configuration"), tag("pre", config))
    sections += [tag("h2", "Configuration"), folded]
    last = max((int(line["step"]) for line in metrics), default=0)
    write_page(path, title, f"{last:,} training steps", sections)


def _curves_of_sets(evaluations: Sequence[Mapping[str, Any]]) -> list[Markup]:
    """Draw a chart for each set, with a curve for each of its metrics; blind rows are left out."""
    charts: dict[str, dict[str, list[dict[str, float]]]] = {}
    for line in evaluations:
        for row in from_json(line["results"]):
            if not row.blind:
                curves = charts.setdefault(set_label(row), {})
                points = curves.setdefault(metric_label(row), [])
                points.append({"step": line["step"], "value": row.value})
    cards = []
    for title, curves in charts.items():
        lines = [(name, series(i), points) for i, (name, points) in enumerate(curves.items())]
        legend = [tag("span", name, class_=colour) for name, colour, _ in lines]
        chart = Chart("value", title, as_percent=True, from_zero=False)
        cards.append(tag("div", chart_card(chart, lines), tag("p", *legend, class_="legend soft")))
    return cards


def _examples(examples: Examples) -> list[Markup]:
    data = examples.data
    sections = [tag("h2", "From caption to picture"), tag("p", _QUERIES, class_="soft")]
    for caption, found in examples.found_images:
        figures = [
            tag(
                "figure",
                _picture(data.pictures[one.candidate], _rank(one)),
                tag("figcaption", _rank(one)),
                class_=_class(one),
            )
            for one in found
        ]
        quote = tag("blockquote", words_of(data.captions[caption]))
        sections.append(tag("div", quote, tag("div", *figures, class_="pictures"), class_="card"))
    sections.append(tag("h2", "From picture to caption"))
    for image, found in examples.found_captions:
        items = [
            tag("li", f"{_rank(one)}. ", words_of(data.captions[one.candidate]), class_=_class(one))
            for one in found
        ]
        picture = _picture(data.pictures[image], "the picture asked for")
        sections.append(tag("div", picture, tag("ol", *items), class_="card described"))
    return sections


def _rank(found: Found) -> str:
    return f"{found.rank:,} \u2713" if found.right else f"{found.rank:,}"


def _class(found: Found) -> str:
    return "right" if found.right else "wrong"


def _picture(pixels: UInt8[np.ndarray, "height width 3"], description: str) -> Markup:
    image = Image.fromarray(pixels)
    image.thumbnail((_LARGEST_PICTURE, _LARGEST_PICTURE))
    buffer = BytesIO()
    image.save(buffer, format="PNG", optimize=True)
    source = "data:image/png;base64," + b64encode(buffer.getvalue()).decode()
    return tag("img", src=source, alt=description)
