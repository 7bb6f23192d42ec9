"""Lists of objects in JSON files, checked; long ones are read entry by entry."""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from kgclip_jax.errors import DataError

CHUNK = 2**20  # characters


def objects(
    path: Path, key: str, entries: Any, fields: Mapping[str, Any]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Check a list of objects one by one.

    `key` is how messages call the list; `fields` has the type, or the tuple of types, of each field
    that every object must have.

    Yields:
        The key of an object, such as "images[3]", and the object.

    Raises:
        DataError: something has another type, or is missing.
    """
    if not isinstance(entries, list):
        raise DataError(f"{path}: expected a list under {key!r}")
    for number, entry in enumerate(entries):
        check_object(path, f"{key}[{number}]", entry, fields)
        yield f"{key}[{number}]", entry


def check_object(path: Path, key: str, entry: Any, fields: Mapping[str, Any]) -> None:
    """Raise DataError, naming the file and the key, unless an entry has fields of these types."""
    if not isinstance(entry, dict):
        raise DataError(f"{path}: {key} is not an object")
    for field, kinds in fields.items():
        value = entry.get(field)
        if not isinstance(value, kinds) or isinstance(value, bool):
            options: Iterable[type] = kinds if isinstance(kinds, tuple) else (kinds,)
            wanted = " or ".join(kind.__name__ for kind in options)
            raise DataError(f"{path}: {key} has no {field!r} of type {wanted}")


def stream_list(path: Path) -> Iterator[Any]:
    """Read the entries of a JSON file that holds one long list of objects, one by one.

    Memory is that of the largest entry: the files of Visual Genome are too long to read whole.

    Raises:
        DataError: the file cannot be read, is not UTF-8, not JSON, or no list of objects; the
            message names the first entry that is not whole, and the line where it begins.
    """
    try:
        with path.open(encoding="utf-8-sig") as file:
            yield from _Entries(path, file)
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from error


class _Entries:
    """Cuts a text file into the entries of a list; reads on when an entry is not yet whole."""

    def __init__(self, path: Path, file: Any) -> None:
        self._path = path
        self._file = file
        self._text = ""
        self._position = 0
        self._number = 0
        self._line = 1  # where the text begins

    def __iter__(self) -> Iterator[Any]:
        self._expect("[")
        if self._next() == "]":
            self._expect("]")
        else:
            yield self._object()
            while self._next() == ",":
                self._expect(",")
                yield self._object()
            self._expect("]")
        if self._next():
            raise self._error("text after the end of the list")

    def _next(self) -> str:
        """Return the next character that is not white space; empty at the end of the file."""
        while True:
            while self._position < len(self._text):
                character = self._text[self._position]
                if character not in " \t\r\n":
                    return character
                self._position += 1
            if not self._read(CHUNK):
                return ""

    def _expect(self, character: str) -> None:
        found = self._next()
        if found != character:
            problem = f"found {found!r}" if found else "the file ends"
            raise self._error(f"{problem} where {character!r} should be")
        self._position += 1

    def _object(self) -> Any:
        if self._next() != "{":
            raise self._error("expected an object")
        size = CHUNK
        while True:
            try:
                value, self._position = _DECODER.raw_decode(self._text, self._position)
            except json.JSONDecodeError as error:
                if not self._read(size):
                    raise self._error(f"not valid JSON ({error.msg})") from error
                size *= 2
            except (ValueError, RecursionError) as error:  # more text does not make it better
                raise self._error(f"not valid JSON ({error})") from error
            else:
                self._number += 1
                return value

    def _read(self, size: int) -> bool:
        try:
            more = self._file.read(size)
        except UnicodeDecodeError as error:
            raise self._error(f"not UTF-8 ({error.reason})") from error
        self._line += self._text.count("\n", 0, self._position)
        self._text = self._text[self._position :] + more
        self._position = 0
        return bool(more)

    def _error(self, problem: str) -> DataError:
        line = self._line + self._text.count("\n", 0, self._position)
        return DataError(
            f"{self._path}, line {line}: entry {self._number} of the list: {problem}; "
            "is the file whole?"
        )


_DECODER = json.JSONDecoder()
