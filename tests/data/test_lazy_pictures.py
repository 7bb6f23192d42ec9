import logging

import numpy as np
import pytest

from kgclip_jax.data import lazy_pictures
from kgclip_jax.data.evaluation_sets import Pictures
from kgclip_jax.data.images import Box, evaluation_transform
from kgclip_jax.data.lazy_pictures import (
    EncodedPicture,
    EvaluationTransform,
    LazyPictures,
    encoded_pictures,
)
from kgclip_jax.errors import BadRecord, DataError
from tests.array_pictures import all_images
from tests.data.readers.layouts import encode


def paint(number):
    """A picture that shows a number; odd negative ones are bad records, even ones missing files."""
    if number < 0:
        raise BadRecord("broken") if number % 2 else FileNotFoundError("gone")
    return np.full((3, 3, 3), number, np.uint8)


def test_pictures_are_made_batch_by_batch_and_one_by_one(monkeypatch):
    monkeypatch.setattr(lazy_pictures, "BATCH", 2)
    pictures = LazyPictures(range(10, 15), paint, size=3, name="five")
    assert isinstance(pictures, Pictures)
    assert len(pictures) == 5
    for _ in range(2):  # as often as one likes
        assert [len(images) for images, _ in pictures.batches()] == [2, 2, 1]
        assert all_images(pictures)[:, 1, 1, 0].tolist() == [10, 11, 12, 13, 14]
    assert pictures[3].tolist() == paint(13).tolist()


def test_no_more_is_held_than_two_batches(monkeypatch):
    monkeypatch.setattr(lazy_pictures, "BATCH", 2)
    made = []
    pictures = LazyPictures(range(20), lambda n: made.append(n) or paint(n), size=3, name="x")
    next(iter(pictures.batches()))
    assert len(made) <= 4


def test_what_cannot_be_made_is_black_and_counted(caplog):
    items = [1, -1, 3, -2]
    pictures = LazyPictures(items, paint, size=3, name="four", bad_share=0.5)
    with caplog.at_level(logging.WARNING):
        ((images, readable),) = pictures.batches()
    assert images[:, 0, 0, 0].tolist() == [1, 0, 3, 0]
    assert readable.tolist() == [True, False, True, False]
    assert "four: left out {'unreadable image': 2}" in caplog.text
    for index, reason in ((1, "broken"), (3, "unreadable image: -2: gone")):
        with pytest.raises(BadRecord, match=reason):
            pictures[index]
    strict = LazyPictures(items, paint, size=3, name="four", describe="item {}".format)
    with pytest.raises(DataError, match=r"four: unreadable image: 2 of 4.*: item -1, item -2"):
        list(strict.batches())


def test_encoded_pictures_are_cut_and_resized():
    pixels = np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)
    pictures = [
        EncodedPicture("whole", lambda: encode(pixels)),
        EncodedPicture("part", lambda: encode(pixels), Box(4, 10, 30, 45)),
    ]
    transform = EvaluationTransform(16, "squash", "bilinear")
    whole, part = all_images(encoded_pictures(pictures, transform, name="two"))
    expected = [evaluation_transform(p, *transform) for p in (pixels, pixels[4:34, 10:55])]
    np.testing.assert_array_equal([whole, part], expected)
