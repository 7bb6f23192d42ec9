"""Wrong captions from files: those that authors published, and our own in the same form.

    *.json  Structure-CLIP: [{"text": ..., "neg_text": ...}, ...], or with "true_caption",
            "false_caption" and, for its scene graph, "false_triples"
    *.tsv   NegCLIP: columns `title` and `neg_caption`, a list as Python writes it; so does
            `launch/prepare.py negclip`
    *.json, *.npy   CE-CLIP: [{"caption": ..., "relation_aug_caption": ..., "adj_aug_caption": ...,
            "noun_aug_caption": ..., "verb_aug_caption": ..., "valid_caption": [1, 1, 0, 1, 1]}]

What a file has in the place of a missing caption is left out and counted. CE-CLIP's code saves its
lists as pickles, whatever the name says; these are refused, for nothing of a file is executed.
"""

import ast
import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from kgclip_jax.arrays import map_array
from kgclip_jax.data.readers.json_lists import check_object, stream_list
from kgclip_jax.data.readers.structure_clip_captions import CAPTION_FIELDS, read_triples
from kgclip_jax.errors import DataError
from kgclip_jax.knowledge.clean_captions import clean_caption
from kgclip_jax.knowledge.negatives.listed import Listed
from kgclip_jax.knowledge.triples import from_triples

LONGEST_FIELD = 2**20  # characters

_CE_CLIP = {
    "relation_aug_caption": "listed_relation",
    "adj_aug_caption": "listed_adjective",
    "noun_aug_caption": "listed_noun",
    "verb_aug_caption": "listed_verb",
}
_NOTHING = ("###", "<mask>")  # what CE-CLIP's code writes where it found no word to change


class Listing(NamedTuple):
    """A caption, its wrong ones, cleaned, and how many more its entry should have."""

    caption: str
    wrong: tuple[Listed, ...]
    missing: int


def read_listed(path: Path) -> Iterator[Listing]:
    """Read the entries of a file one by one.

    Raises:
        DataError: the file is of no known form, cannot be read or is malformed; the message names
            the entry.
    """
    match path.suffix:
        case ".tsv":
            yield from _negclip(path)
        case ".npy":
            entries = _array(path)
            yield from (_listing(path, f"[{n}]", entry) for n, entry in enumerate(entries))
        case ".json":
            for number, entry in enumerate(stream_list(path)):
                yield _listing(path, f"[{number}]", entry)
        case suffix:
            raise DataError(f"{path}: wrong captions are in .json, .tsv or .npy, not {suffix!r}")


def _listing(path: Path, key: str, entry: Mapping[str, Any]) -> Listing:
    for caption, wrong in CAPTION_FIELDS:
        if wrong in entry:
            check_object(path, key, entry, {caption: str, wrong: str})
            return _structure_clip(path, key, entry, entry[caption], entry[wrong])
    if not _CE_CLIP.keys() & entry.keys():
        known = ", ".join([*(wrong for _, wrong in CAPTION_FIELDS), *_CE_CLIP])
        raise DataError(f"{path}: {key} has no wrong caption, in none of the fields {known}")
    check_object(path, key, entry, dict.fromkeys(("caption", *_CE_CLIP), str))
    return _ce_clip(path, key, entry)


def _structure_clip(
    path: Path, key: str, entry: Mapping[str, Any], caption: str, wrong: str
) -> Listing:
    """Take a false caption, if it is made of the letters of the true one.

    Where a caption allows no swap, the authors' file holds the false caption of an earlier one.
    """
    if _letters(caption) != _letters(wrong):
        return Listing(caption, (), 1)
    graph, wrong = None, clean_caption(wrong)
    if "false_triples" in entry:
        triples = read_triples(path, f"{key}.false_triples", entry["false_triples"])
        graph = from_triples(wrong, triples)
    return Listing(caption, (Listed("listed", wrong, graph),), 0)


def _ce_clip(path: Path, key: str, entry: Mapping[str, Any]) -> Listing:
    valid = entry.get("valid_caption")
    if not isinstance(valid, list) or len(valid) != 1 + len(_CE_CLIP):
        raise DataError(
            f"{path}: {key}.valid_caption is not a list of {1 + len(_CE_CLIP)} numbers, of the "
            f"caption, {', '.join(_CE_CLIP)}"
        )
    caption = entry["caption"]
    found = [
        Listed(kind, clean_caption(entry[field]))
        for (field, kind), there in zip(_CE_CLIP.items(), valid[1:], strict=True)
        if there and _is_made_of(entry[field], caption)
    ]
    return Listing(caption, tuple(found), len(_CE_CLIP) - len(found))


def _is_made_of(wrong: str, caption: str) -> bool:
    """Tell whether a text is a caption with a change, and not what filled an empty mask."""
    return wrong not in _NOTHING and 2 * len(wrong.split()) > len(caption.split())


def _negclip(path: Path) -> Iterator[Listing]:
    for key, row in negclip_rows(path, ("title", "neg_caption")):
        wrong = strings(path, f"{key}.neg_caption", row["neg_caption"])
        found = tuple(Listed("listed", clean_caption(text)) for text in wrong)
        yield Listing(row["title"], found, int(not found))


def negclip_rows(path: Path, columns: Sequence[str]) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Read the rows of a file of NegCLIP one by one, each with what messages call it.

    Raises:
        DataError: the file cannot be read, or a row lacks one of the columns.
    """
    csv.field_size_limit(LONGEST_FIELD)
    try:
        with path.open(encoding="utf-8", newline="") as file:
            for line, row in enumerate(csv.DictReader(file, delimiter="\t"), 2):
                check_object(path, f"line {line}", row, dict.fromkeys(columns, str))
                yield f"line {line}", row
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: {error}") from error


def strings(path: Path, key: str, written: str) -> list[str]:
    """Read a list of strings as Python writes it. Raises DataError when it is none."""
    try:
        value = ast.literal_eval(written)  # literals alone: it executes nothing
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        value = None
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise DataError(f"{path}: {key} is not a list of strings as Python writes it")
    return value


def _array(path: Path) -> Iterator[dict[str, Any]]:
    """Read the records of a NumPy array of named fields, one by one."""
    try:
        array = map_array(path)
    except DataError as error:
        if "pickle" not in str(error):
            raise
        raise DataError(
            f"{error}. If you trust who made it, write it as JSON yourself:\n"
            "  python -c 'import json, numpy, sys; json.dump(numpy.load(sys.argv[1], "
            'allow_pickle=True).tolist(), open(sys.argv[2], "w"))\' '
            f"{path.name} {path.with_suffix('.json').name}"
        ) from error
    if array.dtype.names is None or array.ndim != 1:
        raise DataError(f"{path}: not a list of records with named fields")
    names = array.dtype.names
    for row in array:
        values = (row[name] for name in names)
        yield dict(zip(names, [value.tolist() for value in values], strict=True))


def _letters(text: str) -> list[str]:
    return sorted("".join(text.lower().split()))
