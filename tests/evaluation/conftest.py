"""Encoders and sets whose right answers are known."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import pytest

from tests.array_pictures import ArrayPictures


class TableEncoder:
    """Looks embeddings up: a picture by the number in its first pixels, a text by itself."""

    def __init__(self, images, texts: Mapping[str, Sequence[float]]):
        self.images = unit(images)
        self.texts = {text: unit([vector])[0] for text, vector in texts.items()}
        self.seen_texts: list[list[str]] = []
        self.seen_images: list[int] = []

    def encode_image(self, images):
        self.seen_images.append(len(images))
        numbers = images[:, 0, 0, :2].astype(int) @ [1, 256]
        return self.images[numbers]

    def encode_text(self, texts):
        self.seen_texts.append(list(texts))
        return np.stack([self.texts[text] for text in texts])


def unit(vectors) -> np.ndarray:
    vectors = np.asarray(vectors, dtype=np.float64)
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


def numbered_pictures(count: int, unreadable: Iterable[int] = ()) -> ArrayPictures:
    """Pictures that `TableEncoder` recognises as 0, 1, ..."""
    images = np.zeros((count, 2, 2, 3), dtype=np.uint8)
    images[:, 0, 0, 0] = np.arange(count) % 256
    images[:, 0, 0, 1] = np.arange(count) // 256
    return ArrayPictures(images, unreadable)


@pytest.fixture
def table_encoder() -> type[TableEncoder]:
    return TableEncoder


@pytest.fixture
def pictures() -> Callable[..., ArrayPictures]:
    return numbered_pictures


@pytest.fixture
def random_units() -> Callable[..., np.ndarray]:
    """Draw unit vectors: (seed, *shape) -> float32."""
    return lambda seed, *shape: unit(np.random.default_rng(seed).normal(size=shape))
