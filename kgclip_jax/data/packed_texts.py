"""Many strings in little memory."""

from collections.abc import Iterable

import numpy as np


class PackedTexts:
    """An immutable list of strings in two buffers, so that workers receive and hold it cheaply."""

    def __init__(self, texts: Iterable[str]) -> None:
        encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
        self._bytes = b"".join(encoded)
        self._bounds = np.cumsum([0, *map(len, encoded)])

    def __len__(self) -> int:
        return len(self._bounds) - 1

    def __getitem__(self, index: int) -> str:
        if not 0 <= index < len(self):
            raise IndexError(f"text {index} of {len(self)}")
        start, end = self._bounds[index], self._bounds[index + 1]
        return self._bytes[start:end].decode("utf-8", "surrogatepass")
