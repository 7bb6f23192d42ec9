"""Records in the order of their keys, however many there are: the first half of a sort on disk."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from jaxtyping import Int64, Shaped

from kgclip_jax.files import writing

RANGE = 2**21  # records that are held in memory at a time
_SAMPLED = 2**17  # keys that decide on the ranges

Records = Shaped[np.ndarray, " records"]  # structured, with a field "key" of 64 bits


def in_key_ranges(
    parts: Callable[[], Iterator[Records]], count: int, folder: Path
) -> Iterator[Records]:
    """Yield all records, the smallest keys first, about RANGE of them at a time.

    Records of one key are yielded together, in the order in which they came.

    Args:
        parts: yields all records, every time that it is called.
        count: their number.
        folder: where they are kept meanwhile, if they are more.

    Raises:
        UserError: the disk refuses.
    """
    if count <= RANGE:
        found = list(parts())
        if found:
            yield np.concatenate(found)
        return
    bounds = _bounds(parts, count)
    place = folder / "ranges"
    files = [place / str(number) for number in range(len(bounds) + 1)]
    with writing(place):
        shutil.rmtree(place, ignore_errors=True)  # what a kill has left
        place.mkdir()
        try:
            dtype = _distribute(parts(), bounds, files)
            for file in files:
                yield np.fromfile(file, dtype)
                file.unlink()
        finally:
            shutil.rmtree(place, ignore_errors=True)


def _bounds(parts: Callable[[], Iterator[Records]], count: int) -> Int64[np.ndarray, " bounds"]:
    """Return the keys at which ranges begin, but for the first one."""
    every = -(-count // _SAMPLED)
    sampled = np.sort(np.concatenate([part["key"][::every].copy() for part in parts()]))
    ranges = -(-count // RANGE)
    return np.unique(sampled[len(sampled) * np.arange(1, ranges) // ranges])


def _distribute(
    parts: Iterator[Records], bounds: Int64[np.ndarray, " bounds"], files: list[Path]
) -> np.dtype:
    with ExitStack() as stack:
        opened = [stack.enter_context(file.open("wb")) for file in files]
        for part in parts:
            places = np.searchsorted(bounds, part["key"], side="right")
            ordered = part[np.argsort(places, kind="stable")]
            ends = np.cumsum(np.bincount(places, minlength=len(files)))
            for file, records in zip(opened, np.split(ordered, ends[:-1]), strict=True):
                file.write(records.data)
    return part.dtype
