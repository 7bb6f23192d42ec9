"""Tables of measured rates: the same cells for pages, terminals and Markdown."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from rich.table import Table as TerminalTable
from rich.text import Text

from kgclip_jax.evaluation.bootstrap import Interval
from kgclip_jax.evaluation.result import Result, grouped, metric_label, percent, set_label
from kgclip_jax.reporting.charts import dots
from kgclip_jax.reporting.differences import Difference
from kgclip_jax.reporting.page import Markup, join, tag

READING = (
    "Dots are measured rates, whiskers their 95 % intervals, the red tick is what chance would "
    "give. A blind row, with hollow dots, has each item asked about the pictures of another one: "
    "what it gains over chance, the set gives away."
)
"""How a page's table is read."""

_TERMINAL = {"better": "bold green", "worse": "bold red", "set": "bold", "blind": "dim"}


class Cell(NamedTuple):
    """A cell; a figure is for pages alone, where it stands instead of the text."""

    text: str
    style: Literal["", "better", "worse"] = ""
    figure: Markup | None = None


class Line(NamedTuple):
    """A row: its cells, or the one that heads the rows of a set; blind rows are dimmed."""

    cells: Sequence[Cell]
    kind: Literal["set", "seeing", "blind"] = "seeing"


class Table(NamedTuple):
    """Heads and lines; the first column is text, the others are numbers."""

    title: str
    heads: Sequence[str]
    lines: Sequence[Line]


@dataclass(frozen=True)
class Row:
    """One measure of one set.

    Attributes:
        measure: a result, for its names, its chance and n.
        values: what each column reached.
        differences: of each column but the first, to the first; or none.
    """

    measure: Result
    values: tuple[Interval, ...]
    differences: tuple[Difference, ...] = ()


def results_table(results: Sequence[Result]) -> Table:
    """Lay out the results of one run."""
    rows = [Row(r, (Interval(r.value, r.low, r.high),)) for g in grouped(results) for r in g]
    return rates_table(rows, ["% (95 % interval)"])


def rates_table(rows: Iterable[Row], columns: Sequence[str]) -> Table:
    """Lay out rows beneath their sets: values and differences in columns, chance and n."""
    lines: list[Line] = []
    before = None
    for row in rows:
        measure = row.measure
        title = set_label(measure)
        if title != before:
            lines.append(Line([Cell(title)], "set"))
        before = title
        cells = [
            Cell(metric_label(measure)),
            *map(_value, row.values),
            *map(_change, row.differences),
            Cell("", figure=dots(row.values, measure.chance, blind=measure.blind)),
            Cell(percent(measure.chance)),
            Cell(f"{measure.n:,}"),
        ]
        lines.append(Line(cells, "blind" if measure.blind else "seeing"))
    return Table("Held-out evaluation (%)", ("metric", *columns, "", "chance", "n"), lines)


def _value(value: Interval) -> Cell:
    return Cell(f"{percent(value.value)} ({percent(value.low)} - {percent(value.high)})")


def _change(change: Difference) -> Cell:
    """Write a difference in percentage points, * where its interval excludes 0."""
    value, low, high = (f"{100 * number:+.1f}" for number in change[:3])
    kind = "" if change.kind == "seeds" else f" {change.kind}"
    if not change.excludes_zero:
        return Cell(f"{value} ({low} to {high}){kind}")
    return Cell(f"{value} ({low} to {high}){kind} *", "better" if change.low > 0 else "worse")


def to_html(table: Table) -> Markup:
    """Write a table for a page, which scrolls it where it is too wide."""
    heads = [tag("th", head) for head in table.heads]
    rows = []
    for line in table.lines:
        if line.kind == "set":
            cells = [tag("th", line.cells[0].text, colspan=len(heads))]
        else:
            cells = [tag("td", c.figure or c.text, class_=c.style or "plain") for c in line.cells]
        rows.append(tag("tr", *cells, class_=line.kind))
    body = tag("table", tag("thead", tag("tr", *heads)), tag("tbody", *rows))
    return join(tag("h2", table.title), tag("div", body, class_="scroll"))


def to_terminal(table: Table) -> TerminalTable:
    """Write a table for a terminal, without its figures."""
    written = TerminalTable(title=table.title, title_justify="left")
    for head in filter(None, table.heads):
        written.add_column(Text(head), justify="right" if written.columns else "left")
    for line in table.lines:
        if line.kind == "set":
            written.add_section()
        cells = [Text(c.text, _TERMINAL.get(c.style, "")) for c in line.cells if not c.figure]
        written.add_row(*cells, style=_TERMINAL.get(line.kind))
    return written


def to_markdown(table: Table) -> str:
    """Write a table as Markdown, without its figures."""
    heads = [*filter(None, table.heads)]
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)]]
    for line in table.lines:
        cells = [cell.text.replace("|", "/") for cell in line.cells if not cell.figure]
        lines.append([f"**{cells[0]}**", *[""] * (len(heads) - 1)] if len(cells) == 1 else cells)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
