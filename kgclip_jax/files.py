"""Small files, read and written safely.

What cannot be read is an error that names the file, the line and what is wrong. What is written is
there whole or not at all, whoever is killed and when, and is on the disk when the call returns.
"""

import hashlib
import itertools
import json
import os
import re
import socket
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from kgclip_jax.errors import ConfigError, DataError, UserError
from kgclip_jax.processes import is_running

# In containers, a process has the number of the one before it.
_PROCESS = uuid.uuid4().hex[:8]
_numbers = itertools.count()


def expanded(path: str) -> str:
    """Return a path as a user means it: "~" is the home folder. Paths of users all pass here.

    Raises:
        ConfigError: it leads to no file system of this machine, like gs://BUCKET/FOLDER.
    """
    if scheme := re.match(r"([A-Za-z][A-Za-z0-9+.-]*)://", path):
        raise ConfigError(
            f"{path}: {scheme[1]}:// cannot be read or written yet; mount it as a folder (a bucket "
            "by gcsfuse, for instance), and name that"
        )
    try:
        return str(Path(path).expanduser()) if path.startswith("~") else path
    except RuntimeError as error:  # no such user
        raise ConfigError(f"{path}: {error}") from error


def is_plain_name(name: str) -> bool:
    """Tell whether a name found in a file can only be that of a file beside it."""
    return name.isprintable() and "/" not in name and name not in ("", ".", "..")


def read_text(path: Path, error: type[Exception] = DataError) -> str:
    """Read a UTF-8 file, with or without a byte order mark.

    Args:
        path: the file.
        error: what to raise.

    Raises:
        error: it cannot be read, is not UTF-8, or holds a NUL byte; the message names the line.
    """
    return decode(read_bytes(path, error), path, error=error)


def read_bytes(path: Path, error: type[Exception] = DataError) -> bytes:
    """Read a file. Raises `error`, which names the path, where it cannot be read."""
    try:
        return path.read_bytes()
    except (OSError, ValueError) as problem:  # ValueError: a NUL in the path
        raise error(f"{path}: {_reason(problem)}") from problem


def sha256(path: Path, error: type[Exception] = DataError) -> str:
    """Return the hash of a file's content, in hexadecimal digits. Raises `error`."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as problem:
        raise error(f"{path}: {_reason(problem)}") from problem


def read_json(path: Path, error: type[Exception] = DataError) -> Any:
    """Read a JSON file. Raises `error`, as `read_text` and `parse_json` do."""
    return parse_json(read_bytes(path, error), path, error=error)


def read_json_object(path: Path, error: type[Exception] = DataError) -> dict[str, Any]:
    """Read a JSON file that holds an object. Raises `error`, as `read_json` does."""
    value = read_json(path, error)
    if not isinstance(value, dict):
        raise error(f"{path}: expected a JSON object")
    return value


def decode(
    content: bytes, where: Path | str, *, line: int = 1, error: type[Exception] = DataError
) -> str:
    """Return UTF-8 bytes as text, without a byte order mark.

    Args:
        content: of a file, or of a part of one.
        where: how messages call the file.
        line: number of the first line in the file.
        error: what to raise.

    Raises:
        error: they are not UTF-8, or hold a NUL, as files do that a crash or UTF-16 has left.
    """
    try:
        text = content.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as problem:
        line += content.count(b"\n", 0, problem.start)
        raise error(
            f"{where}, line {line}: byte {problem.start} (0x{content[problem.start]:02x}) is not "
            "UTF-8; convert the file, for instance with iconv -f latin1 -t utf-8"
        ) from problem
    if "\0" in text:
        line += text.count("\n", 0, text.index("\0"))
        raise error(f"{where}, line {line}: a NUL byte, so no text in UTF-8; is the file whole?")
    return text


def parse_json(
    content: str | bytes,
    where: Path | str,
    *,
    line: int = 1,
    error: type[Exception] = DataError,
) -> Any:
    """Return the value of a JSON text. Arguments as for `decode`.

    Raises:
        error: it is not JSON, is nested too deeply, or has a number of more digits than Python
            reads; the message names line and column.
    """
    text = content if isinstance(content, str) else decode(content, where, line=line, error=error)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as problem:
        at, reason = _what_is_wrong(text, problem)
        line += text.count("\n", 0, at)
        column = at - text.rfind("\n", 0, at)
        place = f"{where}, line {line}, column {column}"
        raise error(f"{place}: not valid JSON ({reason})") from problem


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file by `write_atomically`; pure ASCII, which holds half surrogates too."""
    write_atomically(path, json.dumps(value, indent=2) + "\n")


def write_atomically(path: Path, content: str | bytes) -> None:
    """Replace a file by a new version, whole or not at all. Raises UserError when the disk refuses.

    Args:
        path: the file; its folder exists.
        content: bytes, or a text to be written in UTF-8.
    """
    with atomic_file(path) as temporary, writing(path):
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield the path of a file to write, which takes the place of `path` when the block ends.

    When the block raises, nothing stays, and what was at `path` is untouched. No other process or
    thread writes to the yielded path, so that of several writers the last one to end wins.

    Raises:
        UserError: when the disk refuses; but what the block raises passes as it is.
    """
    temporary = temporary_path(path)
    try:
        yield temporary
        with writing(path):
            sync(temporary)
            os.replace(temporary, path)
            sync(path.parent)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Wait until a file, or the list of names in a folder, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:
        if not path.is_dir():  # not every file system can do that for folders
            raise
    finally:
        os.close(descriptor)


@contextmanager
def writing(path: Path, *others: type[Exception]) -> Iterator[None]:
    """Turn an error of the disk into a UserError that names `path`.

    Args:
        path: what is written.
        *others: what a library raises instead of OSError.
    """
    errors: tuple[type[Exception], ...] = (OSError, *others)
    try:
        yield
    except errors as error:
        raise UserError(f"cannot write {path}: {_reason(error)}") from error


def temporary_path(path: Path) -> Path:
    """Return a hidden path beside `path` that nobody else uses, and that tells whose it is."""
    owner = f"{socket.gethostname()}-{os.getpid()}-{_PROCESS}"
    return path.with_name(f".{path.name}.{owner}-{next(_numbers)}.partial")


def abandoned_paths(folder: Path, name: str | None = None) -> list[Path]:
    """Return the temporary paths in a folder that killed processes of this machine have left.

    Args:
        folder: where.
        name: of what was to be written there; None: anything.
    """
    target, host = ".+" if name is None else re.escape(name), re.escape(socket.gethostname())
    pattern = re.compile(rf"\.{target}\.{host}-(\d+)-([0-9a-f]{{8}})-\d+\.partial")

    def is_abandoned(match: re.Match[str]) -> bool:
        number, process = int(match[1]), match[2]
        return process != _PROCESS if number == os.getpid() else not is_running(number)

    found = [(path, pattern.match(path.name)) for path in folder.iterdir()]
    return [path for path, match in found if match and is_abandoned(match)]


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


_STRING = r'"(?:[^"\\]|\\.)*+"?'
_BRACKETS = re.compile(rf"{_STRING}|[\[\]{{}}]", re.DOTALL)
_WHOLE_NUMBERS = re.compile(rf"{_STRING}|(?<![.\d])\d++(?![.eE])", re.DOTALL)


def _what_is_wrong(text: str, error: Exception) -> tuple[int, str]:
    """Return the place at which a JSON text cannot be read on, and why."""
    if isinstance(error, json.JSONDecodeError):
        return error.pos, error.msg
    if isinstance(error, RecursionError):
        return _deepest(text), "nested too deeply"
    numbers = [match for match in _WHOLE_NUMBERS.finditer(text) if match[0][0] != '"']
    longest = max(numbers, key=lambda match: len(match[0]))
    return longest.start(), f"a number of {len(longest[0])} digits"


def _deepest(text: str) -> int:
    """Return the place of the bracket within most others."""
    place = depth = greatest = 0
    for match in _BRACKETS.finditer(text):
        depth += (match[0] in "[{") - (match[0] in "]}")
        if depth > greatest:
            place, greatest = match.start(), depth
    return place
