"""Files of NumPy arrays that are written piece by piece."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

import numpy as np
from jaxtyping import Shaped
from numpy.lib import format as npy

from kgclip_jax.files import atomic_file, writing

Append = Callable[[Mapping[str, Shaped[np.ndarray, " _"]]], None]


@contextmanager
def growing_columns(folder: Path, types: Mapping[str, type]) -> Iterator[Append]:
    """Yield a function that appends numbers to the columns that it names.

    They become `NAME.npy` when the block ends; when it raises, nothing stays.

    Args:
        folder: of the files; it exists.
        types: of the numbers of each column, by name.

    Raises:
        UserError: the disk refuses.
    """
    files: dict[str, IO[bytes]] = {}
    lengths = dict.fromkeys(types, 0)

    def append(columns: Mapping[str, Shaped[np.ndarray, " _"]]) -> None:
        for name, numbers in columns.items():
            files[name].write(np.ascontiguousarray(numbers, types[name]).data)
            lengths[name] += len(numbers)

    def write_heads() -> None:
        for name, file in files.items():
            file.seek(0)
            described = npy.dtype_to_descr(np.dtype(types[name]))
            head = {"descr": described, "fortran_order": False, "shape": (lengths[name],)}
            npy.write_array_header_1_0(file, head)  # as long for any length

    with ExitStack() as stack:
        for name in types:
            temporary = stack.enter_context(atomic_file(folder / f"{name}.npy"))
            files[name] = stack.enter_context(temporary.open("wb"))
        with writing(folder):
            write_heads()
            yield append
            write_heads()
