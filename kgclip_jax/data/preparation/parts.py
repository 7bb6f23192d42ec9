"""Work on a data set part by part, each finished for good, so that it stops and goes on at will.

OUTPUT/reports/plan.json    what is made; another plan is refused in the same folder
OUTPUT/reports/*.json       a report for each finished part
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeAlias, TypeVar, runtime_checkable

from rich.console import Console

from kgclip_jax.data.preparation.display import Display
from kgclip_jax.data.preparation.plans import RecordsPlan
from kgclip_jax.data.skips import Skips
from kgclip_jax.errors import ConfigError, DataError
from kgclip_jax.files import abandoned_paths, read_json_object, write_json, writing
from kgclip_jax.schema import differences, to_dict

REPORTS = "reports"


@dataclass(frozen=True)
class LeftOut:
    """A record that is in no part.

    Attributes:
        key: of the record, or its number when even that cannot be read.
        reason: what is wrong with it.
    """

    key: str
    reason: str


@runtime_checkable
class Report(Protocol):
    """What became of the records of a part."""

    @property
    def bytes(self) -> int:
        """Size of the part's file."""
        ...

    @property
    def left_out(self) -> Sequence[LeftOut]:
        """Records that could not be used."""
        ...


R = TypeVar("R", bound=Report)

# Makes parts by their numbers, and yields their reports; tells how many records went by.
Engine: TypeAlias = Callable[[Sequence[int], Callable[[int], None]], Generator[R, None, None]]


def read_finished(report: Path, load: Callable[[Any], R], part: Path) -> R | None:
    """Return the report of a part that is finished and still there, or else None.

    Args:
        report: its file.
        load: makes it of what the JSON decoder gave.
        part: the file of the part.
    """
    try:
        found = load(read_json_object(report))
        size = part.stat().st_size
    except (FileNotFoundError, DataError, ConfigError):
        return None
    return found if size == found.bytes else None


class Parts(Generic[R]):
    """The parts of a folder; it is made ready, and may have been begun before under the same plan.

    Args:
        output: the folder.
        plan: what its parts hold.
        read_report: returns the report of a part that is finished and still there, or else None.

    Attributes:
        missing: numbers of the parts that are not finished.

    Raises:
        ConfigError: the folder was begun under another plan, or holds something else.
        UserError: the disk refuses.
    """

    def __init__(
        self, output: Path, plan: RecordsPlan, read_report: Callable[[int], R | None]
    ) -> None:
        begin(output, plan)
        self._output = output
        self._plan = plan
        self._read_report = read_report
        reports = map(read_report, range(plan.shards))
        self._finished = {n: report for n, report in enumerate(reports) if report is not None}
        self.missing = [number for number in range(plan.shards) if number not in self._finished]

    def finish(
        self, engine: Engine[R], *, reason: str, unit: str, bad_share: float, console: Console
    ) -> list[R]:
        """Make the parts that are missing; return the reports of all in their order.

        Args:
            engine: makes them.
            reason: why records are left out, in a few words.
            unit: how records are called where progress is shown.
            bad_share: records that cannot be used are left out, up to this share.
            console: where progress is shown.

        Raises:
            DataError: more cannot be used; what is finished stays.
            UserError: the disk refuses.
        """
        tally = _Tally(self._plan.records, self._output, reason, bad_share)
        for report in self._finished.values():
            tally.add(report)
        done = self._plan.records - sum(len(self._plan.range(number)) for number in self.missing)
        with (
            Display(console, done, self._plan.records, unit) as display,
            closing(engine(self.missing, display.advance)) as finished,
        ):
            for report in finished:
                tally.add(report)
        reports = map(self._read_report, range(self._plan.shards))
        return [report for report in reports if report is not None]


def begin(output: Path, plan: object) -> None:
    """Make a folder ready; it may have been begun before under the same plan.

    Args:
        output: the folder.
        plan: a dataclass of everything that its content depends on.

    Raises:
        ConfigError: the folder was begun under another plan, or holds something else.
        UserError: the disk refuses.
    """
    file = output / REPORTS / "plan.json"
    with writing(output):
        if file.exists():
            _refuse_changes(output, read_json_object(file), to_dict(plan))
        elif output.exists() and any(path.name != REPORTS for path in output.iterdir()):
            raise ConfigError(f"{output} holds other files; choose a new or an empty folder")
        file.parent.mkdir(parents=True, exist_ok=True)
        for path in abandoned_paths(output):
            path.unlink(missing_ok=True)
    write_json(file, to_dict(plan))


def _refuse_changes(output: Path, begun: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    changes = {key: f"{old!r} -> {new!r}" for key, old, new in differences(begun, wanted)}
    if changes.pop("fingerprint", None) and not changes:
        changes["source"] = "keys, captions or boxes of its records are not what they were"
    if changes:
        listed = "; ".join(f"{key}: {change}" for key, change in changes.items())
        raise ConfigError(
            f"{output} was begun otherwise ({listed}); undo these changes, or choose another folder"
        )


class _Tally:
    """Counts the records that are left out, and gives up when there are too many."""

    def __init__(self, records: int, output: Path, reason: str, bad_share: float) -> None:
        self._skips = Skips()
        self._records = records
        self._output = output
        self._reason = reason
        self._limit = bad_share

    def add(self, report: Report) -> None:
        """Count those of a part. Raises DataError when the limit is passed."""
        for record in report.left_out:
            self._skips.add(self._reason, f"{record.key} ({record.reason})")
        if self._skips.counts.get(self._reason, 0) > self._limit * self._records:
            totals = {self._reason: self._records}
            self._skips.check(self._output.name, str(self._output), totals, self._limit)
