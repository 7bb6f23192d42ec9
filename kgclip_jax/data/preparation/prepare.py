"""Preparation of a data set: from any records to a folder of shards, stopped and continued at will.

OUTPUT/manifest.json        written last: settings, counts, sizes, hashes
OUTPUT/shard-*.arrayrecord
OUTPUT/reports/plan.json
OUTPUT/reports/shard-*.json what is finished, and which pictures could not be used
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from kgclip_jax.data.preparation.manifest import (
    MANIFEST,
    Manifest,
    Shard,
    read_manifest,
    write_manifest,
)
from kgclip_jax.data.preparation.parts import Engine, Parts
from kgclip_jax.data.preparation.plans import plan_values
from kgclip_jax.data.preparation.shards import Plan, Report, read_report, sha256
from kgclip_jax.data.records import Records
from kgclip_jax.data.skips import UNREADABLE_IMAGE
from kgclip_jax.errors import DataError
from kgclip_jax.schema import parse, to_dict


def make_plan(
    records: Records,
    source: Mapping[str, Any],
    *,
    short_side: int,
    quality: int,
    shards: int | None = None,
) -> Plan:
    """Go once through all records and plan their shards.

    Args:
        records: the collection.
        source: its settings, as plain values.
        short_side: see `Plan`.
        quality: see `Plan`.
        shards: their number; None for the default.

    Raises:
        ConfigError: a number is out of its range.
    """
    values = plan_values(records, source, shards)
    return parse(Plan, values | {"short_side": short_side, "quality": quality}, "plan")


def prepare(
    records: Records,
    plan: Plan,
    output: Path,
    engine: Engine[Report],
    *,
    bad_share: float,
    console: Console,
) -> Manifest:
    """Write the shards that are missing, and the manifest when none is.

    Args:
        records: the collection.
        plan: how it is stored.
        output: folder of the shards; new, empty, or begun before under the same plan.
        engine: writes shards of this plan to this folder.
        bad_share: pictures that cannot be used are left out, up to this share of the records.
        console: where progress is shown.

    Raises:
        ConfigError: the folder was begun under another plan, or holds something else.
        DataError: more pictures cannot be used; what is finished stays.
        UserError: the disk refuses.
    """
    parts = Parts(output, plan, partial(read_report, output, plan))
    if not parts.missing and (output / MANIFEST).exists():
        return read_manifest(output)
    (output / MANIFEST).unlink(missing_ok=True)
    reports = parts.finish(
        engine, reason=UNREADABLE_IMAGE, unit="pictures", bad_share=bad_share, console=console
    )
    manifest = _summary(reports, plan, records)
    write_manifest(output, manifest)
    return manifest


def verify(output: Path) -> Manifest:
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


def describe(output: Path, manifest: Manifest) -> str:
    """Say in a line what a folder of shards holds, and what it lacks."""
    left_out = ", ".join(f"{count} x {reason}" for reason, count in manifest.skipped.items())
    return (
        f"{output}: {manifest.records:,} pictures in {len(manifest.shards)} shards, "
        f"{manifest.bytes / 1e6:,.1f} MB" + (f"; left out: {left_out}" if left_out else "")
    )


def _summary(reports: Sequence[Report], plan: Plan, records: Records) -> Manifest:
    skipped = Counter(records.skipped)
    skipped[UNREADABLE_IMAGE] += sum(len(report.left_out) for report in reports)
    return Manifest(
        settings=to_dict(plan),
        shards=tuple(report.shard for report in reports),
        records=sum(report.shard.records for report in reports),
        bytes=sum(report.shard.bytes for report in reports),
        skipped=dict(+skipped),
    )
