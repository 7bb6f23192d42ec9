"""Many strings in little memory."""

from array import array
from collections.abc import Iterable
from itertools import pairwise


class PackedTexts:
    """A list of strings in two buffers, so that workers receive and hold it cheaply."""

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self._bytes = bytearray()
        self._bounds = array("q", [0])
        for text in texts:
            self.append(text)

    def append(self, text: str) -> None:
        """Add a string at the end."""
        self._bytes += text.encode("utf-8", "surrogatepass")
        self._bounds.append(len(self._bytes))

    def __len__(self) -> int:
        return len(self._bounds) - 1

    def __getitem__(self, index: int) -> str:
        if not 0 <= index < len(self):
            raise IndexError(f"text {index} of {len(self)}")
        return self.between(index, index + 1)[0]

    def between(self, start: int, stop: int) -> list[str]:
        """Return the strings from one to before another; both are within the list."""
        bounds = pairwise(self._bounds[start : stop + 1])
        return [self._bytes[a:b].decode("utf-8", "surrogatepass") for a, b in bounds]
