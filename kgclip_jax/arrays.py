"""NumPy's files of an array, which may come from anybody."""

from pathlib import Path
from tokenize import TokenError

import numpy as np

from kgclip_jax.errors import DataError

# What NumPy, and the parser of Python that it reads headers by, raise on files that are no array.
NO_ARRAY = (
    *(OSError, ValueError, EOFError, SyntaxError, TokenError),
    *(MemoryError, OverflowError, RecursionError),
)


def map_array(path: Path) -> np.ndarray:
    """Return the array of a `.npy` file, left on disk until it is looked at.

    Nothing of the file is executed, and no memory is taken for numbers that it does not hold.

    Raises:
        DataError: it cannot be read, is no such file, a part of one, or holds a pickle.
    """
    try:
        return np.lib.format.open_memmap(path, mode="r")
    except NO_ARRAY as error:
        if "Python objects" in str(error):
            raise DataError(
                f"{path} holds a pickle, which could execute anything, and is not read"
            ) from error
        reason = str(error) or type(error).__name__
        raise DataError(f"{path}: no whole NumPy array ({reason[:200]})") from error


def map_array_of(path: Path, shape: tuple[int, ...], dtype: type, *, again: str) -> np.ndarray:
    """Return the array of a `.npy` file, as `map_array`, if it has this shape and dtype.

    `again` is what to do where it has not.

    Raises:
        DataError: as `map_array`, or it has another one.
    """
    array = map_array(path)
    if array.shape != shape or array.dtype != dtype:
        raise DataError(
            f"{path}: expected {shape} numbers, found {array.shape}; as {np.dtype(dtype)}, found "
            f"{array.dtype}; {again}"
        )
    return array.view(np.ndarray)
