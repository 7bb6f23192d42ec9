"""Scene graphs of all captions of a data set, parsed part by part: a folder for `GraphStore`.

OUTPUT/graphs.json, graphs.npy, graphs-*.jsonl    see `kgclip_jax.knowledge.graph_store`
OUTPUT/reports/                                   see `kgclip_jax.data.preparation.parts`
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

from rich.console import Console

from kgclip_jax.data.preparation.graph_counts import UNREADABLE_RECORD, Counts
from kgclip_jax.data.preparation.parts import REPORTS, Engine, LeftOut, Parts, read_finished
from kgclip_jax.data.preparation.plans import RecordsPlan, plan_values
from kgclip_jax.data.records import Record, Records
from kgclip_jax.errors import BadRecord
from kgclip_jax.files import write_atomically, write_json
from kgclip_jax.knowledge.graph_store import (
    CONTENTS,
    Contents,
    complete,
    pack,
    part_file,
    read_contents,
)
from kgclip_jax.knowledge.parsing import Parser
from kgclip_jax.schema import parse, to_dict


@dataclass(frozen=True)
class ParsePlan(RecordsPlan):
    """Everything that the graphs depend on.

    Attributes:
        model: name or folder of the spaCy pipeline.
        parser: version of the parser.
    """

    model: str
    parser: str


@dataclass(frozen=True)
class ParseReport:
    """What became of the records of a file, which has so many bytes."""

    bytes: int
    counts: Counts
    left_out: tuple[LeftOut, ...]


def make_parse_plan(
    records: Records, source: Mapping[str, Any], *, model: str, parts: int | None = None
) -> ParsePlan:
    """Go once through all records and plan their files.

    Args:
        records: the collection.
        source: its settings, as plain values.
        model: see `Parser`.
        parts: number of files; None for one a thousand records, up to 1,024.

    Raises:
        ConfigError: the model is not there, or a number is out of its range.
        UserError: spaCy is not installed.
    """
    values = plan_values(records, source, parts)
    return parse(ParsePlan, values | {"model": model, "parser": _parser(model).version}, "plan")


@dataclass(frozen=True)
class GraphWriter:
    """Writes any of the files, each on its own. It pickles without a parser.

    Attributes:
        records: the collection; as many as the plan says.
        plan: what the files hold.
        output: folder of the files, with a folder `reports` in it.
    """

    records: Records
    plan: ParsePlan
    output: Path

    def write(self, number: int, after_record: Callable[[], None] = lambda: None) -> ParseReport:
        """Write a file and its report; records that cannot be read are left out.

        Args:
            number: which file, from 0.
            after_record: called after each record. What it raises ends the work without a trace.

        Raises:
            UserError: the disk refuses.
        """
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
        lines: list[str] = []
        counts = Counts()
        for record in readable:
            captions = list(record.captions)
            found = [next(graphs) for _ in captions]
            lines.append(pack(record.key, captions, found))
            counts += Counts.of_record(found)
            after_record()
        text = "".join(lines)
        write_atomically(self.output / part_file(number, self.plan.shards), text)
        report = ParseReport(len(text), counts, tuple(left_out))
        write_json(_report_file(self.output, number), to_dict(report))
        return report


def read_parse_report(output: Path, plan: ParsePlan, number: int) -> ParseReport | None:
    """Return the report of a file that is finished and still there, or else None."""
    part = output / part_file(number, plan.shards)
    return read_finished(_report_file(output, number), partial(parse, ParseReport), part)


def parse_captions(
    records: Records,
    plan: ParsePlan,
    output: Path,
    engine: Engine[ParseReport],
    *,
    bad_share: float,
    console: Console,
) -> Contents:
    """Write the files of graphs that are missing, and what they hold when none is.

    Args:
        records: the collection.
        plan: what the files hold.
        output: their folder; new, empty, or begun before under the same plan.
        engine: writes files of this plan to this folder.
        bad_share: records that cannot be read are left out, up to this share.
        console: where progress is shown.

    Raises:
        ConfigError: the folder was begun under another plan, or holds something else.
        DataError: more cannot be read (what is finished stays), or two records have one key.
        UserError: the disk refuses.
    """
    parts = Parts(output, plan, partial(read_parse_report, output, plan))
    if not parts.missing and (output / CONTENTS).exists():
        return read_contents(output)
    (output / CONTENTS).unlink(missing_ok=True)
    reports = parts.finish(
        engine, reason=UNREADABLE_RECORD, unit="records", bad_share=bad_share, console=console
    )
    skipped = Counter(records.skipped)
    skipped[UNREADABLE_RECORD] += sum(len(report.left_out) for report in reports)
    counts = sum((report.counts for report in reports), Counts())
    contents = Contents(
        settings=to_dict(plan), parts=plan.shards, skipped=dict(+skipped), **to_dict(counts)
    )
    complete(output, contents)
    return contents


@cache
def _parser(model: str) -> Parser:
    """Load a parser once in each process."""
    return Parser(model)


def _report_file(output: Path, number: int) -> Path:
    return output / REPORTS / f"graphs-{number:05d}.json"
