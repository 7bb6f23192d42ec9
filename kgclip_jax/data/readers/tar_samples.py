"""The samples of a tar archive in the webdataset layout: pictures and their captions.

Members whose names are equal up to the first dot belong together:

    000000012.jpg     or .jpeg, .png, .webp, .gif, .bmp, .tif, .tiff
    000000012.txt     one caption; may be missing
    000000012.json    an object with a caption, or a list of them, in one field; or a list of
                      captions; may be missing

The captions of both files are used, each once.
"""

import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from kgclip_jax.data.readers.tar_members import Member, TruncatedTarError, tar_members
from kgclip_jax.errors import DataError
from kgclip_jax.files import parse_json

BAD_CAPTION_FILE = "unreadable caption file"

_PICTURES = ("jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff")
_LARGEST_CAPTION_FILE = 2**20  # bytes


class Sample(NamedTuple):
    """What an archive knows of a picture.

    Attributes:
        key: name of the members up to the first dot.
        picture: where it lies, or None.
        captions: perhaps none, perhaps blank ones.
        flaw: why some of them could not be read, or None.
    """

    key: str
    picture: Member | None
    captions: Sequence[str]
    flaw: str | None


class Samples(NamedTuple):
    """The whole samples of an archive, and where it is damaged, if it is."""

    samples: Sequence[Sample]
    damage: TruncatedTarError | None


def read_samples(path: Path, caption_field: str) -> Samples:
    """Read the headers and the captions of an archive.

    Args:
        path: of the archive.
        caption_field: of the json files.

    Raises:
        DataError: the archive cannot be read, is compressed, or holds a file twice.
    """
    damage = None
    try:
        members = tar_members(path)
    except TruncatedTarError as error:
        members, damage = error.members, error
    groups = _group(path, members)
    if damage is not None and groups:
        groups.popitem()  # the rest of this sample may be missing
    with path.open("rb", buffering=0) as file:
        samples = [
            _sample(file.fileno(), key, files, caption_field) for key, files in groups.items()
        ]
    return Samples(samples, damage)


def _group(path: Path, members: Sequence[Member]) -> dict[str, dict[str, Member]]:
    """Return sample -> suffix -> member."""
    groups: dict[str, dict[str, Member]] = {}
    for member in members:
        name = PurePosixPath(member.name)
        stem, _, suffix = name.name.partition(".")
        files = groups.setdefault(str(name.with_name(stem)), {}) if stem else {}  # hidden file
        if files.setdefault(suffix.lower(), member) is not member:
            raise DataError(f"{path}: {member.name!r} is in the archive twice; write it again")
    return groups


def _sample(archive: int, key: str, files: dict[str, Member], field: str) -> Sample:
    captions: list[str] = []
    flaw = None
    for suffix in ("txt", "json"):
        if suffix in files:
            try:
                text = _text(archive, files[suffix])
                captions += [text.strip()] if suffix == "txt" else _captions(text, field)
            except ValueError:
                flaw = BAD_CAPTION_FILE
    picture = next((files[suffix] for suffix in _PICTURES if suffix in files), None)
    return Sample(key, picture, tuple(dict.fromkeys(captions)), flaw)


def _text(archive: int, member: Member) -> str:
    if member.size > _LARGEST_CAPTION_FILE:
        raise ValueError(f"{member.size} bytes")
    return os.pread(archive, member.size, member.offset).decode("utf-8-sig")


def _captions(text: str, field: str) -> list[str]:
    content = parse_json(text, "captions", error=ValueError)
    if isinstance(content, dict):
        content = content.get(field)
    captions = [content] if isinstance(content, str) else content or []
    if not isinstance(captions, list) or not all(isinstance(text, str) for text in captions):
        raise ValueError("not a list of captions")
    return [text.strip() for text in captions]
