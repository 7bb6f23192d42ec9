"""Shards: a collection of records as ArrayRecord files that any machine can write, one by one.

A shard is a function of (records, plan, number). It is written to a temporary file, hashed,
renamed, and only then reported, so that a report means a whole shard, whatever was killed and when:

    OUTPUT/shard-00003-of-00119.arrayrecord
    OUTPUT/reports/shard-00003.json
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from array_record.python.array_record_module import ArrayRecordWriter

from kgclip_jax.data.preparation.manifest import Shard
from kgclip_jax.data.preparation.parts import REPORTS, LeftOut, read_finished
from kgclip_jax.data.preparation.plans import RecordsPlan
from kgclip_jax.data.preparation.shrink import shrink_picture
from kgclip_jax.data.readers.array_records import pack
from kgclip_jax.data.records import Records
from kgclip_jax.errors import BadRecord
from kgclip_jax.files import atomic_file, write_json, writing
from kgclip_jax.schema import check, parse, to_dict

_WRITER_OPTIONS = "group_size:1,uncompressed"  # a record is one read; pictures do not compress
_HASHED_AT_ONCE = 2**20


@dataclass(frozen=True)
class Plan(RecordsPlan):
    """Everything that the content of the shards depends on.

    Attributes:
        short_side: pictures are scaled down to this shorter side, in pixels; 0 keeps every size.
        quality: of pictures that are compressed again, as JPEG.
    """

    short_side: int
    quality: int

    def __post_init__(self) -> None:
        super().__post_init__()
        check(self.short_side >= 0, "short_side must be a number of pixels, or 0 for any")
        check(1 <= self.quality <= 100, "quality must be within 1 and 100")

    def file(self, number: int) -> str:
        """Return the name of a shard's file."""
        return f"shard-{number:05d}-of-{self.shards:05d}.arrayrecord"


@dataclass(frozen=True)
class Report:
    """What became of the records of a shard: some cannot be read, or their picture be used."""

    shard: Shard
    left_out: tuple[LeftOut, ...]

    @property
    def bytes(self) -> int:
        """Size of the file."""
        return self.shard.bytes


@dataclass(frozen=True)
class ShardWriter:
    """Writes any of the shards, each on its own.

    Attributes:
        records: the collection; as many as the plan says.
        plan: how it is stored.
        output: folder of the shards, with a folder `reports` in it.
    """

    records: Records
    plan: Plan
    output: Path

    def write(self, number: int, after_record: Callable[[], None] = lambda: None) -> Report:
        """Write a shard and its report; records that cannot be used are left out.

        Args:
            number: which shard, from 0.
            after_record: called after each record. What it raises ends the work without a trace.

        Raises:
            UserError: the disk refuses.
        """
        path = self.output / self.plan.file(number)
        left_out: list[LeftOut] = []
        with atomic_file(path) as partial:
            with writing(path, RuntimeError):  # so ArrayRecord calls a full disk
                writer = ArrayRecordWriter(str(partial), _WRITER_OPTIONS)
            for index in self.plan.range(number):
                stored = self._stored(index)
                if isinstance(stored, LeftOut):
                    left_out.append(stored)
                else:
                    with writing(path, RuntimeError):
                        for part in stored:
                            writer.write(part)
                after_record()
            with writing(path, RuntimeError):
                writer.close()
                records = len(self.plan.range(number)) - len(left_out)
                shard = Shard(path.name, records, partial.stat().st_size, sha256(partial))
        report = Report(shard, tuple(left_out))
        write_json(_report_file(self.output, number), to_dict(report))
        return report

    def _stored(self, index: int) -> tuple[bytes, bytes] | LeftOut:
        key = f"record {index}"
        try:
            record = self.records.record(index)
            key = record.key
            image = shrink_picture(
                self.records.encoded(index),
                short_side=self.plan.short_side,
                quality=self.plan.quality,
                box=record.box,
            )
            return pack(key, record.captions, image)
        except BadRecord as error:
            return LeftOut(key, str(error))


def read_report(output: Path, plan: Plan, number: int) -> Report | None:
    """Return the report of a shard that is finished and still there, or else None."""
    part = output / plan.file(number)
    return read_finished(_report_file(output, number), partial(parse, Report), part)


def sha256(path: Path) -> str:
    """Return the hash of a file's content, in hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_HASHED_AT_ONCE):
            digest.update(block)
    return digest.hexdigest()


def _report_file(output: Path, number: int) -> Path:
    return output / REPORTS / f"shard-{number:05d}.json"
