"""The samples of a tar archive in the webdataset layout: pictures and their captions.

Members whose names are equal up to the first dot (or the last, see `TarLayout`) belong together:

    000000012.jpg     or .jpeg, .png, .webp, .gif, .bmp, .tif, .tiff
    000000012.txt     one caption, or one a line; may be missing
    000000012.json    an object with a caption, or a list of them, in one field; or a list of
                      captions; may be missing

The captions of both files are used, each once.
"""

import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Literal, NamedTuple

from kgclip_jax.data.images import PICTURE_SUFFIXES
from kgclip_jax.data.readers.tar_members import Member, TruncatedTarError, tar_members
from kgclip_jax.data.readers.text_files import captions_of
from kgclip_jax.errors import DataError
from kgclip_jax.files import parse_json

BAD_CAPTION_FILE = "unreadable caption file"

_LARGEST_CAPTION_FILE = 2**20  # bytes


class TarLayout(NamedTuple):
    """How archives are written that cannot be told apart otherwise.

    Attributes:
        caption_field: of the json files.
        key_dot: which dot of a member's name ends the key: with "last", "photo.1.jpg" is the
            picture of "photo.1".
        caption_per_line: whether each line of a .txt is a caption, or all of it is one.
    """

    caption_field: str = "caption"
    key_dot: Literal["first", "last"] = "first"
    caption_per_line: bool | None = None


class Sample(NamedTuple):
    """What an archive knows of a picture.

    Attributes:
        key: name of the members up to a dot.
        suffixes: what follows it in each name.
        picture: where it lies, or None.
        captions: perhaps none, perhaps blank ones.
        lines: of its .txt that are not blank.
        flaw: why some of them could not be read, or None.
    """

    key: str
    suffixes: Sequence[str]
    picture: Member | None
    captions: Sequence[str]
    lines: int
    flaw: str | None


class Samples(NamedTuple):
    """The whole samples of an archive, and where it is damaged, if it is."""

    samples: Sequence[Sample]
    damage: TruncatedTarError | None


def read_samples(path: Path, layout: TarLayout) -> Samples:
    """Read the headers and the captions of an archive.

    Raises:
        DataError: the archive cannot be read, is compressed, or holds a file twice.
    """
    damage = None
    try:
        members = tar_members(path)
    except TruncatedTarError as error:
        members, damage = error.members, error
    groups = _group(path, members, layout.key_dot)
    if damage is not None and groups:
        groups.popitem()  # the rest of this sample may be missing
    with path.open("rb", buffering=0) as file:
        samples = [_sample(file.fileno(), key, files, layout) for key, files in groups.items()]
    return Samples(samples, damage)


def _group(
    path: Path, members: Sequence[Member], key_dot: Literal["first", "last"]
) -> dict[str, dict[str, Member]]:
    """Return sample -> suffix -> member."""
    groups: dict[str, dict[str, Member]] = {}
    for member in members:
        name = PurePosixPath(member.name)
        if not name.name or name.name.startswith("."):
            continue  # hidden, or no name at all
        if key_dot == "first":
            stem, _, suffix = name.name.partition(".")
        else:
            stem, suffix = name.stem, name.suffix[1:]
        files = groups.setdefault(str(name.with_name(stem)), {})
        if files.setdefault(suffix.lower(), member) is not member:
            raise DataError(f"{path}: {member.name!r} is in the archive twice; write it again")
    return groups


def _sample(archive: int, key: str, files: dict[str, Member], layout: TarLayout) -> Sample:
    captions: list[str] = []
    lines = 0
    flaw = None
    for suffix in ("txt", "json"):
        if suffix in files:
            try:
                text = _text(archive, files[suffix])
                if suffix == "json":
                    captions += _captions(text, layout.caption_field)
                else:
                    captions, lines = captions_of(text, layout.caption_per_line)
            except ValueError:
                flaw = BAD_CAPTION_FILE
    picture = next((files[suffix] for suffix in PICTURE_SUFFIXES if suffix in files), None)
    return Sample(key, tuple(files), picture, tuple(dict.fromkeys(captions)), lines, flaw)


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
