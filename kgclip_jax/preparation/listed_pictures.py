"""Similar pictures as NegCLIP's authors list them: the column `neg_image` of their TSV.

A row has the path of a picture, `filepath`, and the paths of similar ones, a list as Python writes
it. Pictures are known by their file names alone: folders are those of the authors' machine. The
output is as that of `nearest_pictures`.
"""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from kgclip_jax.data.readers.listed_captions import negclip_rows, strings
from kgclip_jax.data.records import Records, readable_records
from kgclip_jax.data.streams.neighbours import NONE
from kgclip_jax.errors import DataError
from kgclip_jax.preparation.nearest_pictures import check_name, write_neighbours


class Found(NamedTuple):
    """How many pictures there are and have similar ones, and how many listed names are unknown."""

    pictures: int
    listed: int
    unknown: int


def store_listed(records: Records, listing: Path, output: Path, *, bad_share: float) -> Found:
    """Find the listed pictures among the records and write the file, whole or not at all.

    Where a picture has fewer similar ones than another, its own are repeated.

    Raises:
        ConfigError: the file is called otherwise.
        DataError: the list is malformed, names none of the pictures, or two have one name; or too
            many records cannot be read.
        UserError: the disk refuses.
    """
    check_name(output)
    numbers = _numbers_by_name(records, bad_share)
    similar: dict[int, dict[int, None]] = {}  # in the order of the list, each once
    unknown = 0
    for key, row in negclip_rows(listing, ("filepath", "neg_image")):
        others = strings(listing, f"{key}.neg_image", row["neg_image"])
        found = [numbers.get(_name(path)) for path in (row["filepath"], *others)]
        unknown += found.count(None)
        picture, *beside = found
        if picture is not None:
            known = dict.fromkeys(n for n in beside if n is not None and n != picture)
            similar.setdefault(picture, {}).update(known)
    count = max(map(len, similar.values()), default=0)
    if not count:
        raise DataError(f"{listing}: no picture of {records.name} has a similar one there")
    rows = np.full((len(records), count), NONE, np.int32)
    for picture, listed in similar.items():
        if listed:
            rows[picture] = np.resize([*listed], count)
    write_neighbours(output, rows)
    return Found(len(records), int(np.count_nonzero(rows[:, 0] != NONE)), unknown)


def _numbers_by_name(records: Records, bad_share: float) -> Mapping[str, int]:
    """Return the numbers of records by the file names of their pictures."""
    numbers: dict[str, int] = {}
    for number, record in readable_records(records, bad_share):
        name = _name(record.key)
        if numbers.setdefault(name, number) != number:
            raise DataError(f"{records.name}: 2 pictures are called {name}")
    return numbers


def _name(path: str) -> str:
    return PurePosixPath(path).name
