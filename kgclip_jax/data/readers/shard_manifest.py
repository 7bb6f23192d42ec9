"""The manifest of a folder of ArrayRecord shards: what they hold, and what they were made of.

    manifest.json
    shard-00000-of-00008.arrayrecord    any names; the manifest lists them in the order of records

How a shard stores its pictures is told in `kgclip_jax.data.readers.array_records`.
"""

from dataclasses import dataclass
from pathlib import Path

from kgclip_jax.errors import ConfigError, DataError
from kgclip_jax.files import is_plain_name, read_json_object, write_json
from kgclip_jax.schema import check, parse, to_dict

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Shard:
    """One file of a prepared data set.

    Attributes:
        file: its name within the folder.
        records: number of pictures in it.
        bytes: size of the file.
        sha256: hash of its content, in hexadecimal digits.
    """

    file: str
    records: int
    bytes: int
    sha256: str

    def __post_init__(self) -> None:
        check(is_plain_name(self.file), f"file {self.file!r} must be a plain name")
        check(min(self.records, self.bytes) >= 0, f"{self.file}: counts must not be negative")


@dataclass(frozen=True)
class Manifest:
    """What a folder of shards holds.

    Attributes:
        settings: of the source and of the preparation, as nested plain values.
        shards: the files, in the order of their records.
        records: pictures in all shards.
        bytes: size of all shards.
        skipped: number of pictures and captions of the source that were left out, by reason.
    """

    settings: dict
    shards: tuple[Shard, ...]
    records: int
    bytes: int
    skipped: dict[str, int]

    def __post_init__(self) -> None:
        names = [shard.file for shard in self.shards]
        check(len(set(names)) == len(names), "shards names a file twice")
        for total in ("records", "bytes"):
            parts = sum(getattr(shard, total) for shard in self.shards)
            check(getattr(self, total) == parts, f"{total} must be {parts}, the sum of the shards'")


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of a folder; the shards themselves are not looked at.

    Raises:
        DataError: there is none, or it is malformed; the message names the key.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise DataError(
            f"{path}: not found; let `python launch/prepare.py shards` finish, it writes this last"
        )
    try:
        return parse(Manifest, read_json_object(path, ConfigError), str(path))
    except ConfigError as error:
        raise DataError(f"{error}; prepare the shards again") from error


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest of a folder: it is there whole, or not at all.

    Raises:
        UserError: the disk refuses.
    """
    write_json(folder / MANIFEST, to_dict(manifest))
