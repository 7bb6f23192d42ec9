"""Tables of pictures and captions: a line a caption, columns with names.

    image,caption                            CSV, as Flickr8k is shared; Hugging Face's metadata.csv
    filepath<TAB>title                       open_clip and NegCLIP; commas do too
    image_name| comment_number| comment      Flickr30k on Kaggle
    {"file_name": "1.jpg", "text": "a cat"}  lines of JSON (.jsonl), as Hugging Face has them; the
                                             text may be a list
    1.jpg#0<TAB>a cat                        Flickr8k.token.txt, results_20130124.token: no header

Other columns mean nothing. Captions between commas or tabs may stand between double quotes.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from kgclip_jax.errors import DataError
from kgclip_jax.files import parse_json, read_text

PICTURES = ("image", "filepath", "file_name", "filename", "image_name", "image_path", "path")
CAPTIONS = ("caption", "title", "text", "comment")

_TOKEN_LINE = re.compile(r"([^\t]+)#\d+\t(.*)")
_QUOTED: dict[str, Any] = {"strict": True}
_SEPARATORS: Mapping[str, dict[str, Any]] = {
    ",": _QUOTED,
    "\t": _QUOTED,
    "|": {"quoting": csv.QUOTE_NONE, "skipinitialspace": True},
}


class Columns(NamedTuple):
    """The names of the columns that count; None for the one that has a usual name."""

    image: str | None = None
    caption: str | None = None


def read_table(path: Path, columns: Columns) -> dict[str, list[str]]:
    """Read a table. Returns the captions of each picture, in the order of the lines.

    Raises:
        DataError: the file is not UTF-8 or malformed, has no such columns, or several that may be
            meant; the message names the line.
    """
    captions: dict[str, list[str]] = {}
    for picture, texts in _rows(path, read_text(path), columns):
        captions.setdefault(picture, []).extend(texts)
    return captions


def _rows(path: Path, text: str, columns: Columns) -> Iterator[tuple[str, Sequence[str]]]:
    first = text.partition("\n")[0].rstrip("\r")
    if path.suffix == ".jsonl":
        yield from _json_rows(path, text, columns)
    elif _TOKEN_LINE.fullmatch(first):
        yield from _token_rows(path, text)
    else:
        yield from _separated_rows(path, text, _separator(path, first, columns), columns)


def _json_rows(path: Path, text: str, columns: Columns) -> Iterator[tuple[str, Sequence[str]]]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        place = f"{path}, line {number}"
        entry = parse_json(line, path, line=number)
        if not isinstance(entry, dict):
            raise DataError(f"{place}: expected an object")
        found = _find(place, list(entry), columns)
        if found is None:
            raise _no_columns(place, ", ".join(map(repr, entry)), columns)
        picture, texts = (list(entry.values())[index] for index in found)
        texts = [texts] if isinstance(texts, str) else texts
        are_texts = isinstance(texts, list) and all(isinstance(text, str) for text in texts)
        if not isinstance(picture, str) or not are_texts:
            raise DataError(f"{place}: expected the name of a picture, and texts of it")
        yield picture, texts


def _token_rows(path: Path, text: str) -> Iterator[tuple[str, Sequence[str]]]:
    for number, line in enumerate(text.split("\n"), 1):
        match = _TOKEN_LINE.fullmatch(line.rstrip("\r"))
        if match is not None:
            yield match[1], [match[2]]
        elif line.strip():
            raise DataError(f"{path}, line {number}: expected PICTURE#NUMBER, a tab and a caption")


def _separator(path: Path, header: str, columns: Columns) -> str:
    for separator in _SEPARATORS:
        try:
            (names,) = _reader([header], separator)
        except (csv.Error, ValueError):
            continue
        if _find(f"{path}, line 1", names, columns) is not None:
            return separator
    raise _no_columns(f"{path}, line 1", repr(header[:200]), columns)


def _reader(lines: Iterable[str], separator: str) -> Any:
    return csv.reader(lines, delimiter=separator, **_SEPARATORS[separator])


def _separated_rows(
    path: Path, text: str, separator: str, columns: Columns
) -> Iterator[tuple[str, Sequence[str]]]:
    reader = _reader(io.StringIO(text, newline=""), separator)
    names: list[str] = []
    picture = caption = 0
    line = 1
    try:
        for row in reader:
            if line == 1:
                names = row
                picture, caption = _find(f"{path}, line 1", names, columns) or (0, 0)
            elif row:  # blank lines are empty rows
                if len(row) != len(names):
                    raise DataError(
                        f"{path}, line {line}: {len(row)} fields between {separator!r}, and "
                        f"{len(names)} in the header" + _hint(separator)
                    )
                yield row[picture], [row[caption]]
            line = reader.line_num + 1
    except csv.Error as error:
        raise DataError(
            f"{path}, line {line}: not valid CSV ({error}); double the quotes within a caption, "
            "and put it between quotes"
        ) from error


def _hint(separator: str) -> str:
    if _SEPARATORS[separator] is not _QUOTED:
        return ""
    return f"; put a caption that holds {separator!r} between double quotes"


def _find(place: str, names: Sequence[str], columns: Columns) -> tuple[int, int] | None:
    """Return where the picture and the caption stand in a row, if both do."""
    known = [name.strip().lower() for name in names]
    pictures = _places(known, columns.image, PICTURES)
    captions = _places(known, columns.caption, CAPTIONS)
    if not pictures or not captions:
        return None
    for setting, places in (("image_column", pictures), ("caption_column", captions)):
        if len(places) > 1:
            several = ", ".join(repr(names[index]) for index in places)
            raise DataError(f"{place}: {several} may be meant; set {setting} to one of them")
    return pictures[0], captions[0]


def _places(names: Sequence[str], wanted: str | None, usual: Sequence[str]) -> list[int]:
    candidates = usual if wanted is None else [wanted.strip().lower()]
    return [index for index, name in enumerate(names) if name in candidates]


def _no_columns(place: str, got: str, columns: Columns) -> DataError:
    picture, caption = (
        repr(wanted) if wanted is not None else ", ".join(usual)
        for wanted, usual in ((columns.image, PICTURES), (columns.caption, CAPTIONS))
    )
    return DataError(
        f"{place}: expected a column of pictures ({picture}) and one of captions ({caption}) "
        f"between commas, tabs or '|', got {got}; image_column and caption_column say which"
    )
