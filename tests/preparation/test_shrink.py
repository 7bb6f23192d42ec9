"""Sizes, crops and pixels of shrunk pictures against Pillow; pictures that cannot be used."""

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from kgclip_jax.data.images import Box, decode
from kgclip_jax.errors import BadRecord
from kgclip_jax.preparation.shrink import shrink_picture


def shrunk(encoded, short_side, box=None, quality=95):
    return shrink_picture(encoded, short_side=short_side, quality=quality, box=box)


def opened(encoded):
    return Image.open(io.BytesIO(encoded))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_what_is_small_enough_stays_as_it_is(picture, encoded, kind):
    original = encoded(picture(40, 60), kind)
    assert all(shrunk(original, short_side) == original for short_side in (0, 40, 41, 256))


@given(st.integers(1, 90), st.integers(1, 90), st.integers(1, 60))
def test_the_short_side_is_as_given_and_the_aspect_ratio_kept(picture, encoded, h, w, short_side):
    result = opened(shrunk(encoded(picture(h, w), "PNG"), short_side))
    width, height = result.size
    assert min(width, height) == min(h, w, short_side)
    scale = min(width, height) / min(h, w)
    assert abs(width - w * scale) <= 0.5
    assert abs(height - h * scale) <= 0.5


@pytest.mark.parametrize(
    ("height", "width", "kind"),
    [(90, 120, "JPEG"), (700, 500, "JPEG"), (1024, 1300, "JPEG"), (700, 500, "PNG")],
)
def test_pixels_are_those_of_a_bicubic_resize_of_the_whole_decode(
    picture, encoded, height, width, kind
):
    original = encoded(picture(height, width), kind)
    result = shrunk(original, 64)
    assert opened(result).format == "JPEG"
    oracle = opened(original).resize(opened(result).size, Image.Resampling.BICUBIC)
    error = np.abs(np.asarray(opened(result), int) - np.asarray(oracle, int))
    assert error.mean() < 1.5
    assert error.max() <= 12


def test_large_jpeg_are_decoded_small(picture, encoded, monkeypatch):
    factors = []
    monkeypatch.setattr(
        "kgclip_jax.preparation.shrink.decode",
        lambda picture, factor=1: factors.append(factor) or decode(picture, factor),
    )
    for side in (100, 127, 128, 255, 256, 511, 512, 2000):
        shrunk(encoded(picture(side, side + 40)), 32)
    assert factors == [1, 1, 2, 2, 4, 4, 8, 8]


@pytest.mark.parametrize("short_side", [0, 16])
def test_boxes_are_cut_out(encoded, short_side):
    colours = np.array([[[200, 30, 30], [30, 200, 30]], [[30, 30, 200], [200, 200, 30]]], np.uint8)
    quarters = encoded(colours.repeat(40, 0).repeat(50, 1), "PNG")
    for row in range(2):
        for column in range(2):
            box = Box(40 * row + 0.4, 50 * column + 0.4, 38.2, 48.2)  # 39 x 49 whole pixels
            part = opened(shrunk(quarters, short_side, box))
            assert part.size == ((20, 16) if short_side else (49, 39))
            assert np.abs(np.asarray(part, int)[2:-2, 2:-2] - colours[row, column]).max() < 8


def test_a_small_box_of_a_large_picture_is_not_enlarged(picture, encoded):
    part = shrunk(encoded(picture(300, 300)), 64, Box(10, 20, 30, 40))
    assert opened(part).size == (40, 30)


def test_a_box_around_the_whole_picture_changes_nothing(picture, encoded):
    original = encoded(picture(40, 60))
    assert shrunk(original, 40, Box(-3, -3, 100, 100)) == original


def test_quality_is_that_of_the_jpeg(picture, encoded):
    noise = np.random.default_rng(0).integers(0, 256, (90, 90, 3), dtype=np.uint8)
    sizes = [len(shrunk(encoded(noise, "PNG"), 64, quality=quality)) for quality in (50, 80, 95)]
    assert sizes[0] * 1.5 < sizes[1] < sizes[2] / 1.5


@pytest.mark.parametrize("short_side", [16, 256])
def test_a_torn_picture_is_bad_even_where_nothing_is_to_do(picture, encoded, short_side):
    for kind in ("JPEG", "PNG"):
        original = encoded(picture(40, 60), kind)
        with pytest.raises(BadRecord, match="cannot decode"):
            shrunk(original[: len(original) // 2], short_side)


def test_a_box_outside_of_the_picture_is_bad(picture, encoded):
    with pytest.raises(BadRecord, match=r"outside of the picture of 60 x 40 pixels"):
        shrunk(encoded(picture(40, 60)), 16, Box(40, 0, 10, 10))


@pytest.mark.parametrize("side", [9000, 100_000])
def test_an_image_bomb_is_bad_before_it_goes_off(side):
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(100))), (b"IEND", b"")]
    bomb = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )
    with pytest.raises(BadRecord, match=r"9000 x 9000 pixels|10000000000 pixels"):
        shrunk(bomb, 256)


def test_a_strip_that_is_too_long_for_jpeg_is_bad():
    strip = io.BytesIO()
    Image.new("1", (70_000, 300)).save(strip, "PNG")
    with pytest.raises(BadRecord, match="70000 x 300 pixels is too long for JPEG"):
        shrunk(strip.getvalue(), 299)
    assert opened(shrunk(strip.getvalue(), 100)).size == (23_333, 100)
