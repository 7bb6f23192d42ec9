"""Lists and matrices as AWA2 and CUB write them: numbers from 1, and a row of numbers a class.

1	antelope          or         1 001.Black_footed_Albatross
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from kgclip_jax.data.graph_sources.text_blocks import lines_of
from kgclip_jax.errors import DataError


def numbered_lines(path: Path) -> dict[int, str]:
    """Read lines of a number and what it stands for; blank lines mean nothing.

    Raises:
        DataError: the file cannot be read, or a line has no number, nothing behind it, or the
            number of another.
    """
    found: dict[int, str] = {}
    for line, text in lines_of(path):
        number, _, rest = text.strip().replace("\t", " ").partition(" ")
        if not number:
            continue
        if not number.isdecimal() or not rest.strip():
            raise DataError(f"{path}, line {line}: expected a number and a text, not {text!r}")
        if int(number) in found:
            raise DataError(f"{path}, line {line}: a second line of number {number}")
        found[int(number)] = rest.strip()
    return found


def numbered_list(path: Path) -> list[str]:
    """Read lines that are numbered from 1 in their order.

    Raises:
        DataError: as `numbered_lines`, or a number is another than its place.
    """
    lines = numbered_lines(path)
    for place, number in enumerate(lines, 1):
        if number != place:
            raise DataError(f"{path}: number {number} is in place {place}")
    if not lines:
        raise DataError(f"{path}: no lines")
    return list(lines.values())


def numbers_of(path: Path, named: Sequence[int], numbers: range) -> list[int]:
    """Read the number that belongs to each of the `named` ones.

    Raises:
        DataError: as `numbered_lines`, one of `named` has no line, or its number is not among
            `numbers`.
    """
    lines = numbered_lines(path)
    known = {str(number): number for number in numbers}
    for name in named:
        if lines.get(name) not in known:
            found = f"has {lines[name]!r}" if name in lines else "is missing"
            raise DataError(
                f"{path}: number {name} {found}; expected a number from {numbers.start} to "
                f"{numbers.stop - 1}"
            )
    return [known[lines[name]] for name in named]


def number_rows(
    path: Path, rows: int, columns: int, allows: Callable[[float], bool], wanted: str
) -> Float[np.ndarray, "rows columns"]:
    """Read a matrix, a row a line, with spaces between numbers; blank lines mean nothing.

    Args:
        path: the file.
        rows: that it must have.
        columns: likewise.
        allows: tells whether a number may stand there.
        wanted: what messages call such numbers.

    Raises:
        DataError: the file cannot be read, or has other rows, columns or numbers.
    """
    found = []
    for line, text in lines_of(path):
        fields = text.split()
        if not fields:
            continue
        try:
            row = [float(field) for field in fields]
        except ValueError:
            row = []
        if len(row) != columns or not all(map(allows, row)):
            raise DataError(
                f"{path}, line {line}: expected {columns} numbers, {wanted}, not {len(fields)} "
                f"fields {text[:40]!r}"
            )
        found.append(row)
    if len(found) != rows:
        raise DataError(f"{path}: {len(found)} rows for {rows} classes")
    return np.array(found)
