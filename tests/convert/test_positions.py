"""Resizing of position tables, against torch."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from kgclip_jax.convert.positions import resize_positions
from kgclip_jax.errors import ConversionError
from kgclip_jax.models import spec

PATCH, WIDTH = 4, 8


def shape_of(grid, **vision):
    tower = spec.Vision(
        spec.Transformer(WIDTH, 1, 1, 8), image_size=grid * PATCH, patch_size=PATCH, **vision
    )
    text = spec.Text(spec.Transformer(4, 1, 1, 8), vocabulary=9, context_length=3)
    return spec.DualEncoder(tower, text, embedding=5)


def params_of(shape):
    table = np.random.default_rng(0).standard_normal((shape.vision.length, WIDTH))
    return {"vision": {"positions": table.astype(np.float32), "other": 1}, "text": 2}


def torch_resized(patches, old, new):
    """As `open_clip.model.resize_pos_embed` does it."""
    image = torch.tensor(patches).reshape(1, old, old, -1).permute(0, 3, 1, 2)
    options = {"mode": "bicubic", "antialias": True, "align_corners": False}
    resized = torch.nn.functional.interpolate(image, size=(new, new), **options)
    return resized.permute(0, 2, 3, 1).reshape(new * new, -1).numpy()


@pytest.mark.parametrize(
    ("old", "new", "class_token"),
    [(7, 12, True), (7, 14, False), (16, 24, True), (12, 7, True), (12, 7, False), (2, 5, True)],
)
def test_as_torch_does(old, new, class_token):
    options = {"class_token": class_token, "pooling": "class" if class_token else "mean"}
    source, wanted = shape_of(old, **options), shape_of(new, **options)
    params = params_of(source)
    before = params["vision"]["positions"].copy()
    table = resize_positions(params, source, wanted)["vision"]["positions"]
    start = int(class_token)
    assert table.shape == (new * new + start, WIDTH)
    assert table.dtype == np.float32
    np.testing.assert_array_equal(table[:start], before[:start])
    expected = torch_resized(before[start:], old, new)
    np.testing.assert_allclose(table[start:], expected, atol=5e-6)
    np.testing.assert_array_equal(params["vision"]["positions"], before)  # is not changed


def test_the_rest_stays():
    resized = resize_positions(params_of(shape_of(4)), shape_of(4), shape_of(6))
    assert (resized["vision"]["other"], resized["text"]) == (1, 2)


def test_the_same_size_changes_nothing():
    params = params_of(shape_of(4))
    assert resize_positions(params, shape_of(4), shape_of(4)) is params


def test_fixed_positions_have_no_table():
    vision = {"positions": "sincos2d", "pooling": "mean", "class_token": False}
    params = {"vision": {}}
    assert resize_positions(params, shape_of(4, **vision), shape_of(6, **vision)) is params


def test_anything_else_that_differs_is_refused():
    wanted = replace(shape_of(6), embedding=7)
    with pytest.raises(ConversionError, match=r"only the image size.*\n  embedding: 5 -> 7$"):
        resize_positions(params_of(shape_of(4)), shape_of(4), wanted)
