"""Small albums of smooth pictures, on disk and in memory."""

import io

import numpy as np
import pytest
from PIL import Image

from kgclip_jax.data.records import Record
from kgclip_jax.errors import BadRecord


def smooth_picture(height, width, seed=0):
    """An RGB picture of slow waves, which survives JPEG and any kernel nearly unchanged."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    waves = [np.sin(a * rows + b * columns + c) for a, b, c in rng.uniform(1, 6, (3, 3))]
    return np.uint8(np.stack(waves, -1) * 100 + 128)


def encode(pixels, kind="JPEG", **options):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()


class Album:
    """Records in memory; bytes that are None cannot be read, nor can records that are None."""

    name = "album"

    def __init__(self, records, pictures, skipped=None):
        self._records = records
        self._pictures = pictures
        self.skipped = skipped or {}

    def __len__(self):
        return len(self._records)

    def record(self, index):
        if self._records[index] is None:
            raise BadRecord("no caption")
        return self._records[index]

    def encoded(self, index):
        if self._pictures[index] is None:
            raise BadRecord("file is gone")
        return self._pictures[index]


@pytest.fixture(scope="session")
def make_album():
    def make(count=10, changes=(), **options):
        """An album of `count` pictures of 40 x 60 pixels; `changes`: index -> (record, bytes)."""
        records = [Record(f"{i}.jpg", [f"picture {i}", f"number {i}"]) for i in range(count)]
        pictures = [encode(smooth_picture(40, 60, seed)) for seed in range(count)]
        for index, (record, picture) in dict(changes).items():
            records[index], pictures[index] = record, picture
        return Album(records, pictures, **options)

    return make


@pytest.fixture(scope="session")
def picture():
    return smooth_picture


@pytest.fixture(scope="session")
def encoded():
    return encode
