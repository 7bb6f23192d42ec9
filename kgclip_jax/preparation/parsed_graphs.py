"""Scene graphs of all captions of a data set, parsed part by part: a folder for `GraphStore`.

OUTPUT/graphs.json, graphs.npy, graphs-*.bin    see `kgclip_jax.knowledge.graph_store`
OUTPUT/reports/                                   see `kgclip_jax.preparation.parts`
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from rich.console import Console

from kgclip_jax.data.records import Record, Records
from kgclip_jax.data.skips import UNREADABLE_RECORD
from kgclip_jax.errors import BadRecord
from kgclip_jax.files import write_atomically
from kgclip_jax.knowledge.graph_record import pack
from kgclip_jax.knowledge.graph_store import (
    CONTENTS,
    LAYOUT,
    Contents,
    complete,
    part_file,
    read_contents,
)
from kgclip_jax.knowledge.parsing import Parser
from kgclip_jax.preparation.graph_counts import Counts
from kgclip_jax.preparation.parts import (
    Engine,
    LeftOut,
    PartWriter,
    Plan,
    Report,
    make_missing,
    make_plan,
)
from kgclip_jax.schema import to_dict


@dataclass(frozen=True)
class ParsePlan(Plan):
    """Everything that the graphs depend on.

    Attributes:
        model: name or folder of the spaCy pipeline.
        parser: version of the parser.
        layout: of the files of graphs.
    """

    model: str
    parser: str
    layout: int

    def file(self, number: int) -> str:
        """Return the name of a file of graphs."""
        return part_file(number, self.shards)


@dataclass(frozen=True)
class ParseReport(Report):
    """What became of the records of a file, and what is in their graphs."""

    counts: Counts


class ParsedGraphWriter(PartWriter[ParsePlan, ParseReport]):
    """Writes any of the files of graphs. It pickles without a parser."""

    report_type = ParseReport
    unit = "records"
    reason = UNREADABLE_RECORD

    def make(self, number: int, path: Path, after_record: Callable[[], None]) -> ParseReport:
        """Write a file, whole or not at all."""
        readable: list[Record] = []
        left_out: list[LeftOut] = []
        for index in self.plan.range(number):
            try:
                readable.append(self.records.record(index))
            except BadRecord as error:
                left_out.append(LeftOut(f"record {index}", str(error)))
                after_record()
        graphs = _parser(self.plan.model).parse(
            text for record in readable for text in record.captions
        )
        stored: list[bytes] = []
        counts = Counts()
        for record in readable:
            captions = list(record.captions)
            found = [next(graphs) for _ in captions]
            stored.append(pack(record.key, captions, found))
            counts += Counts.of_record(found)
            after_record()
        content = b"".join(stored)
        write_atomically(path, content)
        return ParseReport(len(content), tuple(left_out), counts)


def make_parse_plan(
    records: Records, source: Mapping[str, Any], *, model: str, parts: int | None = None
) -> ParsePlan:
    """Go once through all records and plan their files.

    Raises:
        ConfigError: the model is not there, or a number is out of its range.
        UserError: spaCy is not installed.
    """
    parser = _parser(model).version
    return make_plan(ParsePlan, records, source, parts, model=model, parser=parser, layout=LAYOUT)


def store_parsed(
    writer: ParsedGraphWriter, engine: Engine[ParseReport], *, bad_share: float, console: Console
) -> Contents:
    """Write the files of graphs that are missing, and what they hold when none is.

    Raises:
        ConfigError: the folder was begun under another plan, or holds something else.
        DataError: more cannot be read (what is finished stays), or two records have one key.
        UserError: the disk refuses.
    """
    output, plan = writer.output, writer.plan
    reports = make_missing(writer, engine, output / CONTENTS, bad_share=bad_share, console=console)
    if reports is None:
        return read_contents(output)
    skipped = Counter(writer.records.skipped)
    skipped[UNREADABLE_RECORD] += sum(len(report.left_out) for report in reports)
    counts = sum((report.counts for report in reports), Counts())
    contents = Contents(
        settings=to_dict(plan), parts=plan.shards, skipped=dict(+skipped), **to_dict(counts)
    )
    return complete(output, contents)


@cache
def _parser(model: str) -> Parser:
    """Load a parser once in each process."""
    return Parser(model)
