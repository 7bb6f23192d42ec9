"""Shards: a collection of captioned pictures as ArrayRecord files, scaled down.

OUTPUT/manifest.json        written last: settings, counts, sizes, hashes
OUTPUT/shard-*.arrayrecord
OUTPUT/reports/             see `kgclip_jax.preparation.parts`
"""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from array_record.python.array_record_module import ArrayRecordWriter
from rich.console import Console

from kgclip_jax.data.readers.array_records import pack_record
from kgclip_jax.data.readers.shard_manifest import (
    MANIFEST,
    Manifest,
    Shard,
    read_manifest,
    write_manifest,
)
from kgclip_jax.data.skips import UNREADABLE_IMAGE
from kgclip_jax.errors import BadRecord, DataError
from kgclip_jax.files import atomic_file, sha256, writing
from kgclip_jax.preparation.parts import Engine, LeftOut, PartWriter, Plan, Report, make_missing
from kgclip_jax.preparation.shrink import shrink_picture
from kgclip_jax.schema import check, to_dict

_WRITER_OPTIONS = "group_size:1,uncompressed"  # a record is one read; pictures do not compress


@dataclass(frozen=True)
class ShardPlan(Plan):
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
class ShardReport(Report):
    """What became of the records of a shard: how many it has, and the hash of its content."""

    records: int
    sha256: str


class ShardWriter(PartWriter[ShardPlan, ShardReport]):
    """Writes any of the shards."""

    report_type = ShardReport
    unit = "pictures"
    reason = UNREADABLE_IMAGE

    def make(self, number: int, path: Path, after_record: Callable[[], None]) -> ShardReport:
        """Write the file of a shard, whole or not at all."""
        left_out: list[LeftOut] = []
        with atomic_file(path) as temporary:
            with writing(path, RuntimeError):  # so ArrayRecord calls a full disk
                writer = ArrayRecordWriter(str(temporary), _WRITER_OPTIONS)
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
                size, digest = temporary.stat().st_size, sha256(temporary)
        records = len(self.plan.range(number)) - len(left_out)
        return ShardReport(size, tuple(left_out), records, digest)

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
            return pack_record(key, record.captions, image)
        except BadRecord as error:
            return LeftOut(key, str(error))


def store_shards(
    writer: ShardWriter, engine: Engine[ShardReport], *, bad_share: float, console: Console
) -> Manifest:
    """Write the shards that are missing, and the manifest when none is.

    Raises:
        ConfigError: the folder was begun under another plan, or holds something else.
        DataError: more pictures cannot be used; what is finished stays.
        UserError: the disk refuses.
    """
    output, plan = writer.output, writer.plan
    reports = make_missing(writer, engine, output / MANIFEST, bad_share=bad_share, console=console)
    if reports is None:
        return read_manifest(output)
    skipped = Counter(writer.records.skipped)
    skipped[UNREADABLE_IMAGE] += sum(len(report.left_out) for report in reports)
    manifest = Manifest(
        settings=to_dict(plan),
        shards=tuple(
            Shard(plan.file(number), report.records, report.bytes, report.sha256)
            for number, report in enumerate(reports)
        ),
        records=sum(report.records for report in reports),
        bytes=sum(report.bytes for report in reports),
        skipped=dict(+skipped),
    )
    write_manifest(output, manifest)
    return manifest


def verify_shards(output: Path) -> Manifest:
    """Compare every shard of a finished folder with its manifest, byte for byte.

    Raises:
        DataError: the manifest is missing or malformed, or shards are missing or changed.
    """
    manifest = read_manifest(output)

    def problem(shard: Shard) -> str | None:
        path = output / shard.file
        if not path.is_file():
            return f"{shard.file} is missing"
        if path.stat().st_size != shard.bytes:
            return f"{shard.file} has {path.stat().st_size} bytes instead of {shard.bytes}"
        return None if sha256(path) == shard.sha256 else f"{shard.file} has another hash"

    with ThreadPoolExecutor() as threads:
        problems = list(filter(None, threads.map(problem, manifest.shards)))
    if problems:
        raise DataError(
            f"{output}: {'; '.join(problems)}. Delete what is damaged; the command that prepared "
            "the shards then writes it again"
        )
    return manifest


def describe_shards(output: Path, manifest: Manifest) -> str:
    """Say in a line what a folder of shards holds, and what it lacks."""
    left_out = ", ".join(f"{count} x {reason}" for reason, count in manifest.skipped.items())
    return (
        f"{output}: {manifest.records:,} pictures in {len(manifest.shards)} shards, "
        f"{manifest.bytes / 1e6:,.1f} MB" + (f"; left out: {left_out}" if left_out else "")
    )
