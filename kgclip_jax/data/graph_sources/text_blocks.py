"""Large text files, plain or gzip, as blocks of whole lines, and the columns in them."""

import gzip
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.csv as pa_csv

from kgclip_jax.errors import DataError
from kgclip_jax.files import decode

BLOCK_BYTES = 16 * 1024 * 1024


class TextBlock(NamedTuple):
    """Some whole lines of a file."""

    path: Path
    line: int  # number of the first, from 1
    content: bytes


def text_blocks(path: Path) -> Iterator[TextBlock]:
    """Read a file block by block; ".gz" is decompressed.

    Raises:
        DataError: it cannot be read, ends in the midst of compressed data, or has a line that is
            longer than a block.
    """
    line, rest = 1, b""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            while content := file.read(BLOCK_BYTES):
                end = content.rfind(b"\n") + 1
                if not end and len(rest) + len(content) > BLOCK_BYTES:
                    raise DataError(f"{path}, line {line}: longer than {BLOCK_BYTES:,} bytes")
                if end:
                    block = TextBlock(path, line, rest + content[:end])
                    line += block.content.count(b"\n")
                    yield block
                    rest = content[end:]
                else:
                    rest += content
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}, after line {line}: cannot be read on: {error}") from error
    if rest:
        yield TextBlock(path, line, rest)


def lines_of(path: Path) -> Iterator[tuple[int, str]]:
    """Read a file line by line, with their numbers from 1, without the ends of lines.

    Raises:
        DataError: as `text_blocks`, or it is not UTF-8.
    """
    for block in text_blocks(path):
        text = decode(block.content, path, line=block.line)
        yield from enumerate(text.removesuffix("\n").split("\n"), block.line)


def table_of(
    block: TextBlock, columns: Sequence[str], include: Sequence[str] | None = None
) -> pa.Table:
    """Return columns between tabs, as text.

    Args:
        block: of such lines; quotes mean nothing.
        columns: names of all columns.
        include: those that are wanted; None for all.

    Raises:
        DataError: a line has more or fewer columns, or is not UTF-8.
    """
    refused: list[pa_csv.InvalidRow] = []

    def refuse(row: pa_csv.InvalidRow) -> str:  # what it raises itself does not arrive
        refused.append(row)
        return "error"

    try:
        return pa_csv.read_csv(
            pa.BufferReader(block.content),
            pa_csv.ReadOptions(use_threads=False, column_names=list(columns)),
            pa_csv.ParseOptions(
                delimiter="\t",
                quote_char=False,
                invalid_row_handler=refuse,
                ignore_empty_lines=True,
            ),
            pa_csv.ConvertOptions(
                column_types={name: pa.string() for name in columns},
                include_columns=list(include or columns),
                strings_can_be_null=False,
            ),
        )
    except pa.ArrowInvalid as error:
        for row in refused:
            raise DataError(
                f"{block.path}, line {_line_of(row, block)}: {row.actual_columns} columns between "
                f"tabs, {row.expected_columns} were expected ({', '.join(columns)}): {row.text!r}"
            ) from error
        decode(block.content, block.path, line=block.line)
        raise DataError(f"{block.path}, line {block.line} ff.: {error}") from error


def _line_of(row: pa_csv.InvalidRow, block: TextBlock) -> int:
    """Return the number of a row's line; empty lines are no rows."""
    lines = enumerate(block.content.split(b"\n"), block.line)
    return [number for number, line in lines if line.strip(b"\r")][row.number - 1]
