"""Work on records part by part, each finished for good, so that it stops and goes on at will.

OUTPUT/reports/plan.json    what is made; another plan is refused in the same folder
OUTPUT/reports/*.json       a report for each finished part

A part is a file, and a function of (records, plan, number): any machine can write it. It is written
under another name, renamed, and only then reported, so that a report means a whole part, whatever
was killed and when. Engines (`local`, `beam`) decide who writes which part.
"""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeAlias, TypeVar, cast

from rich.console import Console

from kgclip_jax.data.records import Records
from kgclip_jax.data.skips import Skips
from kgclip_jax.errors import BadRecord, ConfigError, DataError
from kgclip_jax.files import abandoned_paths, read_json_object, write_json, writing
from kgclip_jax.locks import LOCK
from kgclip_jax.preparation.progress import RecordsProgress
from kgclip_jax.schema import check, differences, parse, to_dict

REPORTS = "reports"
RECORDS_OF_A_PART = 1000
MOST_PARTS = 1024


@dataclass(frozen=True)
class Plan:
    """Everything that the content of the parts depends on; subclasses say how it is made.

    Attributes:
        source: settings of the records' source, as plain values.
        fingerprint: hash of the keys, captions and boxes of all records.
        records: their number.
        shards: number of parts, for equal numbers of consecutive records.
    """

    source: dict
    fingerprint: str
    records: int
    shards: int

    def __post_init__(self) -> None:
        check(1 <= self.shards <= self.records, f"shards must be within 1 and {self.records}")

    def file(self, number: int) -> str:
        """Return the name of a part's file."""
        raise NotImplementedError

    def range(self, number: int) -> range:
        """Return the indices of the records of a part."""
        return range(
            self.records * number // self.shards, self.records * (number + 1) // self.shards
        )


@dataclass(frozen=True)
class LeftOut:
    """A record that is in no part.

    Attributes:
        key: of the record, or its number when even that cannot be read.
        reason: what is wrong with it.
    """

    key: str
    reason: str


@dataclass(frozen=True)
class Report:
    """What became of the records of a part.

    Attributes:
        bytes: size of the part's file.
        left_out: records that could not be used.
    """

    bytes: int
    left_out: tuple[LeftOut, ...]


P = TypeVar("P", bound=Plan)
R = TypeVar("R", bound=Report)

# Makes parts by their numbers, and yields their reports; tells how many records went by.
Engine: TypeAlias = Callable[[Sequence[int], Callable[[int], None]], Generator[R, None, None]]


def make_plan(
    kind: type[P],
    records: Records,
    source: Mapping[str, Any],
    shards: int | None = None,
    **fields: Any,
) -> P:
    """Go once through all records and plan their parts.

    `fields` are what plans of this kind have beside. Without a number of shards there are
    `default_parts`.

    Raises:
        ConfigError: a value is of the wrong type, or out of its range.
    """
    fields |= {"source": dict(source), "fingerprint": fingerprint(records)}
    shards = default_parts(len(records)) if shards is None else shards
    return parse(kind, fields | {"records": len(records), "shards": shards}, "plan")


@dataclass(frozen=True)
class PartWriter(ABC, Generic[P, R]):
    """Writes any of the parts, each on its own. It pickles; every worker receives a copy.

    Attributes:
        records: the collection; as many as the plan says.
        plan: what the parts hold.
        output: their folder, with a folder `reports` in it.
        report_type: the dataclass of the reports.
        unit: how records are called where progress is shown.
        reason: why records are left out, in a few words.
    """

    records: Records
    plan: P
    output: Path

    report_type: ClassVar[type[Report]]
    unit: ClassVar[str]
    reason: ClassVar[str]

    @abstractmethod
    def make(self, number: int, path: Path, after_record: Callable[[], None]) -> R:
        """Write the file of a part, whole or not at all; see `write`."""

    def write(self, number: int, after_record: Callable[[], None] = lambda: None) -> R:
        """Write a part and its report; records that cannot be used are left out.

        `after_record` is called after each record; what it raises ends the work without a trace.

        Raises:
            UserError: the disk refuses.
        """
        report = self.make(number, self.output / self.plan.file(number), after_record)
        write_json(self._report_file(number), to_dict(report))
        return report

    def report(self, number: int) -> R | None:
        """Return the report of a part that is finished and still there, or else None."""
        try:
            values = read_json_object(self._report_file(number))
            report = parse(self.report_type, values, "report")
            size = (self.output / self.plan.file(number)).stat().st_size
        except (FileNotFoundError, DataError, ConfigError):
            return None
        return cast(R, report) if size == report.bytes else None

    def _report_file(self, number: int) -> Path:
        kind = self.plan.file(number).partition("-")[0]
        return self.output / REPORTS / f"{kind}-{number:05d}.json"


def make_missing(
    writer: PartWriter[P, R], engine: Engine[R], last: Path, *, bad_share: float, console: Console
) -> list[R] | None:
    """Make the parts that are missing; return the reports of all in their order.

    `last` is the file that is written after all parts. It goes when one is missing; when it is
    there and none is, there is nothing to do, and None is returned.

    Raises:
        ConfigError: the folder was begun under another plan, or holds something else.
        DataError: more records cannot be used; what is finished stays.
        UserError: the disk refuses.
    """
    plan = writer.plan
    begin(writer.output, plan)
    reports = {number: writer.report(number) for number in range(plan.shards)}
    missing = [number for number, report in reports.items() if report is None]
    if not missing and last.exists():
        return None
    last.unlink(missing_ok=True)
    skips = Skips()

    def count_left_out(report: R) -> None:
        for record in report.left_out:
            skips.add(writer.reason, f"{record.key} ({record.reason})")
        if skips.counts.get(writer.reason, 0) > bad_share * plan.records:
            where, totals = writer.output, {writer.reason: plan.records}
            skips.check(where.name, str(where), totals, bad_share)

    for report in filter(None, reports.values()):
        count_left_out(report)
    done = plan.records - sum(len(plan.range(number)) for number in missing)
    with (
        RecordsProgress(console, done, plan.records, writer.unit) as progress,
        closing(engine(missing, progress.advance)) as finished,
    ):
        for report in finished:
            count_left_out(report)
    _remove_abandoned(writer.output)  # of workers that outlived their killed process a little
    return [report for report in map(writer.report, range(plan.shards)) if report is not None]


def begin(output: Path, plan: object) -> None:
    """Make a folder ready; it may have been begun before under the same plan.

    Raises:
        ConfigError: the folder was begun under another plan, or holds something else.
        UserError: the disk refuses.
    """
    file = output / REPORTS / "plan.json"
    with writing(output):
        if file.exists():
            _refuse_changes(output, read_json_object(file), to_dict(plan))
        elif output.exists() and any(path.name not in (REPORTS, LOCK) for path in output.iterdir()):
            raise ConfigError(f"{output} holds other files; choose a new or an empty folder")
        file.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(output)
    write_json(file, to_dict(plan))


def _remove_abandoned(output: Path) -> None:
    with writing(output):
        for folder in (output, output / REPORTS):
            for path in abandoned_paths(folder):
                path.unlink(missing_ok=True)


def _refuse_changes(output: Path, begun: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    changes = {key: f"{old!r} -> {new!r}" for key, old, new in differences(begun, wanted)}
    if changes.pop("fingerprint", None) and not changes:
        changes["source"] = "keys, captions or boxes of its records are not what they were"
    if changes:
        listed = "; ".join(f"{key}: {change}" for key, change in changes.items())
        raise ConfigError(
            f"{output} was begun otherwise ({listed}); undo these changes, or choose another folder"
        )


def fingerprint(records: Records) -> str:
    """Return a hash of the keys, captions and boxes of all records, in their order."""
    digest = hashlib.sha256()
    for index in range(len(records)):
        try:
            key, captions, box = records.record(index)
            digest.update(json.dumps([key, list(captions), box]).encode())
        except BadRecord:
            digest.update(b"unreadable")
    return digest.hexdigest()


def default_parts(records: int) -> int:
    """Return how many parts a data set gets: one a thousand records, up to 1,024 in all."""
    return min(MOST_PARTS, -(-records // RECORDS_OF_A_PART))
