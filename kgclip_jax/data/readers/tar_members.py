"""Where the files of a tar archive lie, so that each can be read without the others.

Python's `tarfile` takes a damaged header or a missing end for the end of the archive, and three
times as long. This reads POSIX.1-1988 (ustar), POSIX.1-2001 (pax) and GNU archives; sparse files
are not known.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from kgclip_jax.errors import DataError

_BLOCK = 512
_ZEROS = bytes(_BLOCK)
_FILES = (b"0", b"\0", b"7")
_WITHOUT_CONTENT = (b"1", b"2", b"3", b"4", b"5", b"6")  # links, devices, folders
_COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd")
_PAX_LINE = re.compile(rb"(\d{1,9}) ([^=]*)=")
_LONGEST_HEADER = 2**20  # of the names that do not fit into a block


class Member(NamedTuple):
    """A file in an archive: its name, the position of its first byte, and its size in bytes."""

    name: str
    offset: int
    size: int


class TruncatedTarError(DataError):
    """An archive that ends early or is damaged: the members before that place are whole.

    Attributes:
        members: those that are whole.
    """

    def __init__(self, path: Path, problem: str, members: list[Member]) -> None:
        last = f"its last whole member is {members[-1].name!r}" if members else "no member is whole"
        super().__init__(f"{path}: {problem}; {last}; fetch or write the archive again")
        self.members = members


def tar_members(path: Path) -> list[Member]:
    """List the files of an archive by reading its headers, not its content.

    Raises:
        TruncatedTarError: it ends within a member or without the mark of its end, or a header is
            damaged.
        DataError: it cannot be read, or is compressed.
    """
    members: list[Member] = []
    try:
        with path.open("rb", buffering=0) as file:
            try:
                for member in _members(file.fileno()):
                    members.append(member)  # one by one: an error leaves those before it
            except _DamageError as error:
                if not members and os.pread(file.fileno(), 6, 0).startswith(_COMPRESSED):
                    problem = "compressed; unpack it into a plain tar archive"
                    raise DataError(f"{path}: {problem}") from error
                raise TruncatedTarError(path, str(error), members) from error
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from error
    return members


class _DamageError(Exception):
    """What is wrong with an archive, and where."""


def _members(archive: int) -> Iterator[Member]:
    end = os.fstat(archive).st_size
    position = 0
    extended: dict[str, str] = {}
    while (header := os.pread(archive, _BLOCK, position)) != _ZEROS:
        _check(header, position)
        kind = header[156:157]
        start = position + _BLOCK
        size = 0 if kind in _WITHOUT_CONTENT else _number(header[124:136], position)
        if kind in _FILES and "size" in extended:
            size = int(extended["size"])
        if start + size > end:
            raise _DamageError(f"ends within {_name(header, extended)!r}, at byte {end}")
        position = start + -(-size // _BLOCK) * _BLOCK
        if kind == b"x":
            extended |= _pax(_text(archive, start, size))
        elif kind == b"L":
            path = _text(archive, start, size).rstrip(b"\0")
            extended["path"] = path.decode("utf-8", "replace")
        elif kind not in (b"g", b"K"):  # neither concerns names or sizes of files
            if kind in _FILES:
                yield Member(_name(header, extended), start, size)
            extended = {}


def _text(archive: int, start: int, size: int) -> bytes:
    if size > _LONGEST_HEADER:
        raise _DamageError(f"has a header of {size} bytes at byte {start}")
    return os.pread(archive, size, start)


def _check(header: bytes, position: int) -> None:
    if len(header) < _BLOCK:
        raise _DamageError(f"ends without the mark of its end, at byte {position + len(header)}")
    total = sum(header) - sum(header[148:156]) + 8 * ord(" ")
    if total != _number(header[148:156], position):
        raise _DamageError(f"damaged header at byte {position}")


def _number(field: bytes, position: int) -> int:
    """Read an octal number, or GNU's binary form of those that are too large for it."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    try:
        number = int(field.split(b"\0", 1)[0].strip() or b"0", 8)
    except ValueError:
        number = -1
    if number < 0:
        raise _DamageError(f"damaged header at byte {position}")
    return number


def _name(header: bytes, extended: dict[str, str]) -> str:
    if "path" in extended:
        return extended["path"]
    name = header[:100].split(b"\0", 1)[0]
    if header[257:263] == b"ustar\0" and (prefix := header[345:500].split(b"\0", 1)[0]):
        name = prefix + b"/" + name
    return name.decode("utf-8", "replace")


def _pax(content: bytes) -> dict[str, str]:
    """Read "length key=value" lines; the length counts all of its line."""
    values = {}
    while content:
        match = _PAX_LINE.match(content)
        length = int(match[1]) if match else 0
        if match is None or not match.end() < length <= len(content):
            raise _DamageError("damaged pax header")
        values[match[2]] = content[match.end() : length - 1]
        content = content[length:]
    if not re.fullmatch(rb"\d{1,20}", values.get(b"size", b"0")):
        raise _DamageError("damaged pax header")
    return {
        key.decode(): values[key].decode("utf-8", "replace")
        for key in (b"path", b"size")
        if key in values
    }
