"""Reading the annotation files of benchmarks; errors say where a missing one is to be had."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kgclip_jax.data.readers.json_lists import check_object
from kgclip_jax.errors import DataError
from kgclip_jax.files import parse_json, read_json, read_text


def read_objects(
    path: Path, fields: Mapping[str, Any], home: str
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Read a JSON file of objects: a list, an object of objects, or one a line.

    Args:
        path: the file. If its name ends in .jsonl, each line is an object.
        fields: the type, or the tuple of types, of each field that every object must have.
        home: where to get the file, for the message when it is missing.

    Yields:
        The place of an object, such as "[3]" or "line 4", and the object.

    Raises:
        DataError: the file is missing or malformed; the message names the record.
    """
    for place, entry in read_entries(path, home):
        check_object(path, place, entry, fields)
        yield place, entry


def read_entries(path: Path, home: str) -> Iterator[tuple[str, Any]]:
    """Read the entries of a JSON list, of a JSON object, or of lines, with their places.

    Raises:
        DataError: the file is missing, not JSON, or holds no list and no object.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file; get it from {home}")
    if path.suffix == ".jsonl":
        yield from read_lines(path, home)
        return
    content = read_json(path)
    if isinstance(content, dict):
        yield from ((f"[{key!r}]", entry) for key, entry in content.items())
    elif isinstance(content, list):
        yield from ((f"[{index}]", entry) for index, entry in enumerate(content))
    else:
        raise DataError(f"{path}: expected a list of records")


def read_lines(path: Path, home: str) -> Iterator[tuple[str, Any]]:
    """Read a file with a JSON value on each line; blank lines mean nothing.

    Raises:
        DataError: the file is missing, or a line is not JSON.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file; get it from {home}")
    for number, line in enumerate(read_text(path).split("\n"), 1):
        if line.strip():
            yield f"line {number}", parse_json(line, path, line=number)


def json_files(folder: Path, home: str) -> list[Path]:
    """Return the .json files in a folder and those within it, in alphabetical order.

    Raises:
        DataError: there is none.
    """
    files = sorted(path for path in folder.rglob("*.json") if not path.name.startswith("."))
    if not files:
        raise DataError(f"{folder}: no .json files in it; get them from {home}")
    return files
