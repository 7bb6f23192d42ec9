"""ArrayRecord shards of captioned pictures, as `launch/prepare.py shards` writes them.

A picture is two records of a shard, one after the other, so that captions can be read without
pictures:

    {"key": "1000268201_693b08cb0e.jpg", "captions": ["a child in a pink dress", ...]}     JSON
    the bytes of a JPEG, PNG or WebP file

The folder's `manifest.json` lists the shards, see `kgclip_jax.data.readers.shard_manifest`.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from array_record.python.array_record_data_source import ArrayRecordDataSource
from array_record.python.array_record_module import ArrayRecordReader

from kgclip_jax.data.readers.shard_manifest import MANIFEST, read_manifest
from kgclip_jax.data.records import Record
from kgclip_jax.data.skips import NO_CAPTION, UNREADABLE_RECORD
from kgclip_jax.errors import BadRecord, DataError
from kgclip_jax.files import parse_json
from kgclip_jax.knowledge.clean_captions import clean_caption


def pack_record(key: str, captions: Sequence[str], image: bytes) -> tuple[bytes, bytes]:
    """Return the two records of a picture, in the order in which a shard holds them."""
    text = json.dumps({"key": key, "captions": list(captions)}, ensure_ascii=False)
    return text.encode("utf-8", "surrogatepass"), image


def unpack_record(text: bytes) -> Record:
    """Return what the first of the two records of a picture says.

    Raises:
        ValueError: it is malformed.
    """
    decoded = text.decode("utf-8", "surrogatepass")
    content = parse_json(decoded, "what it says", error=ValueError)
    match content:
        case {"key": str(key), "captions": [_, *_] as captions}:
            if all(isinstance(caption, str) for caption in captions):
                return Record(key, captions)
    raise ValueError("no key and captions")


class _Instruction(NamedTuple):
    """Which records of a file to read, as `ArrayRecordDataSource` wants to know it."""

    filename: str
    skip: int
    take: int
    examples_in_shard: int


class ArrayRecords:
    """The captioned pictures of a folder of ArrayRecord shards: a `Records`.

    Attributes:
        name: for logs and tables.
        skipped: nothing; what was left out when the shards were written is in their manifest.
    """

    def __init__(self, folder: Path) -> None:
        """Open a folder of shards; sizes and counts are compared with the manifest, hashes are not.

        Raises:
            DataError: the manifest is missing or malformed, a shard is missing or is not the one
                that the manifest tells of, or there are no records.
        """
        manifest = read_manifest(folder)
        if not manifest.records:
            raise DataError(f"{folder / MANIFEST}: no records in its shards")
        self.name = folder.resolve().name
        self.skipped: Mapping[str, int] = {}
        instructions = []
        for shard in manifest.shards:
            _check(folder / shard.file, shard.bytes, shard.records)
            records = 2 * shard.records
            instructions.append(_Instruction(str(folder / shard.file), 0, records, records))
        self._records = ArrayRecordDataSource(instructions)

    def __len__(self) -> int:
        return len(self._records) // 2

    def record(self, index: int) -> Record:
        """Read what is known of a record.

        Raises:
            BadRecord: it cannot be read, is malformed, or has no caption that is not blank.
        """
        try:
            record = unpack_record(self._read(2 * index))
        except ValueError as error:
            raise BadRecord(UNREADABLE_RECORD, f"{self.name}: record {index}: {error}") from error
        captions = [text for text in map(clean_caption, record.captions) if text]
        if not captions:
            raise BadRecord(NO_CAPTION, f"{self.name}: record {index}")
        return record._replace(captions=captions)

    def encoded(self, index: int) -> bytes:
        """Read the picture of a record.

        Raises:
            BadRecord: it cannot be read.
        """
        return self._read(2 * index + 1)

    def _read(self, position: int) -> bytes:
        if not 0 <= position < len(self._records):
            raise IndexError(f"record {position // 2} of {len(self)}")
        try:
            content: bytes = self._records[position]
        except RuntimeError as error:  # the file carries checksums
            raise BadRecord(
                UNREADABLE_RECORD, f"{self.name}: record {position // 2}: {error}"
            ) from error
        return content


def _check(path: Path, size: int, records: int) -> None:
    """Compare a shard with what the manifest says of it."""
    try:
        found = path.stat().st_size
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}, but {MANIFEST} lists it") from error
    hint = "fetch or prepare the shards again"
    if found != size:
        raise DataError(f"{path}: {found} bytes, but {MANIFEST} says {size}; {hint}")
    reader = ArrayRecordReader(str(path))
    if not reader.ok():
        raise DataError(f"{path}: not a whole ArrayRecord file; {hint}")
    if reader.num_records() != 2 * records:
        raise DataError(
            f"{path}: {reader.num_records()} records, but {MANIFEST} says {records} pictures of "
            f"two records each; {hint}"
        )
    reader.close()
