"""Pictures of an array in the place of lazy ones, and back."""

from collections.abc import Iterable

import numpy as np

from kgclip_jax.data.evaluation_sets import Pictures
from kgclip_jax.errors import BadRecord


class ArrayPictures:
    """The pictures of an array, three at a time; some cannot be read."""

    def __init__(self, images: np.ndarray, unreadable: Iterable[int] = ()) -> None:
        self.images = images
        self.readable = ~np.isin(np.arange(len(images)), list(unreadable))

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> np.ndarray:
        if not self.readable[index]:
            raise BadRecord(f"picture {index}")
        return self.images[index]

    def names(self):
        return map(str, range(len(self.images)))

    def batches(self):
        for start in range(0, len(self.images), 3):
            rows = slice(start, start + 3)
            yield self.images[rows] * self.readable[rows, None, None, None], self.readable[rows]


def all_images(pictures: Pictures) -> np.ndarray:
    """All pictures of a set, which must be readable, in one array."""
    batches, readable = zip(*pictures.batches(), strict=True)
    assert np.concatenate(readable).all()
    return np.concatenate(batches)
