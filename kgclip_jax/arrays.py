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
