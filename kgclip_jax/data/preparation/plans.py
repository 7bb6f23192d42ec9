"""What a preparation is asked to make of records, part by part."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kgclip_jax.data.records import Records
from kgclip_jax.errors import BadRecord
from kgclip_jax.schema import check

RECORDS_OF_A_SHARD = 1000
MOST_SHARDS = 1024


@dataclass(frozen=True)
class RecordsPlan:
    """The records that are stored, and in how many files; subclasses say how.

    Attributes:
        source: settings of the records' source, as plain values.
        fingerprint: hash of the keys, captions and boxes of all records.
        records: their number.
        shards: number of files, for equal numbers of consecutive records.
    """

    source: dict
    fingerprint: str
    records: int
    shards: int

    def __post_init__(self) -> None:
        check(1 <= self.shards <= self.records, f"shards must be within 1 and {self.records}")

    def range(self, number: int) -> range:
        """Return the indices of the records of a file."""
        return range(
            self.records * number // self.shards, self.records * (number + 1) // self.shards
        )


def plan_values(records: Records, source: Mapping[str, Any], shards: int | None) -> dict[str, Any]:
    """Go once through all records; return the fields of a `RecordsPlan`.

    Args:
        records: the collection.
        source: its settings, as plain values.
        shards: number of files; None for the default.
    """
    return {
        "source": dict(source),
        "fingerprint": fingerprint(records),
        "records": len(records),
        "shards": default_shards(len(records)) if shards is None else shards,
    }


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


def default_shards(records: int) -> int:
    """Return how many shards a data set gets: one a thousand records, up to 1,024 in all."""
    return min(MOST_SHARDS, -(-records // RECORDS_OF_A_SHARD))
