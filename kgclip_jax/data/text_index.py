"""Rows of texts, found by the text itself: sorted hashes in a memory-mapped file."""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64, UInt64

from kgclip_jax.arrays import map_array
from kgclip_jax.errors import DataError
from kgclip_jax.files import atomic_file, writing

_EXAMPLES = 3


def hashes_of(texts: Iterable[str]) -> UInt64[np.ndarray, " n"]:
    """Hash texts to 64 bits: of a hundred million, two meet by accident once in 4,000 folders.

    A text may have half a surrogate pair, though no folder holds such a one.
    """
    encoded = (text.encode("utf-8", "surrogatepass") for text in texts)
    digests = (hashlib.blake2b(text, digest_size=8).digest() for text in encoded)
    return np.frombuffer(b"".join(digests), "<u8")


def write_index(path: Path, hashes: UInt64[np.ndarray, " rows"]) -> int:
    """Write which row has which text; of equal ones the first counts. Return how many differ.

    Raises:
        UserError: the disk refuses.
    """
    distinct, rows = np.unique(hashes, return_index=True)
    with atomic_file(path) as temporary, writing(path), temporary.open("wb") as file:
        np.save(file, np.stack([distinct, rows.astype(np.uint64)]))
    return len(distinct)


class TextIndex:
    """An index that `write_index` has made. It pickles as its path.

    Attributes:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        """Map the file. Raises DataError when it is missing or no index."""
        self.path = path
        found = map_array(path)
        if found.ndim != 2 or len(found) != 2 or found.dtype != np.uint64:
            raise DataError(f"{path}: is no index of texts")
        self._hashes, self._rows = found.view(np.ndarray)

    def __reduce__(self) -> tuple[Any, ...]:
        return TextIndex, (self.path,)

    def __len__(self) -> int:
        return len(self._hashes)

    def rows_of(self, texts: Sequence[str]) -> Int64[np.ndarray, " n"]:
        """Return the row of each text.

        Raises:
            DataError: some are not here; the message tells how many, and the first ones.
        """
        wanted = hashes_of(texts)
        places = np.minimum(np.searchsorted(self._hashes, wanted), len(self._hashes) - 1)
        missing = np.flatnonzero(self._hashes[places] != wanted)
        if len(missing):
            examples = ", ".join(repr(texts[place]) for place in missing[:_EXAMPLES])
            raise DataError(
                f"{self.path.parent}: {len(missing):,} of {len(texts):,} texts are not in it: "
                f"{examples}; make it again from the same texts"
            )
        return self._rows[places].astype(np.int64)
