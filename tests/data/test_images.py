import inspect
import io
import math
import struct
import zlib
from functools import partial

import numpy as np
import pytest
import simplejpeg
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from kgclip_jax.data import images
from kgclip_jax.data.images import (
    JPEG_SHRINKS,
    MAX_PIXELS,
    decode,
    evaluation_transform,
    image_size,
    is_picture,
    random_resized_crop,
    sample_crop,
)
from kgclip_jax.errors import BadRecord, ConfigError
from kgclip_jax.random import generator


def photograph(height, width, seed=0):
    """Smooth colours with edges and some grain, so that resampling mistakes show."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (25, 30, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC)).astype(int)
    smooth[:, width // 3 : width // 2] //= 2
    return (smooth + rng.integers(-6, 7, smooth.shape)).clip(0, 255).astype(np.uint8)


def encode(pixels, format="JPEG", mode="RGB", **options):
    buffer = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(buffer, format, **options)
    return buffer.getvalue()


def difference(a, b):
    return np.abs(a.astype(int) - b.astype(int))


def png_header(height, width):
    """A PNG that promises many pixels and holds none."""
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(b"")),
        (b"IEND", b""),
    ]
    body = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


class TestDecode:
    def test_whole_jpeg_equals_pillow(self):
        encoded = encode(photograph(120, 201))
        np.testing.assert_array_equal(decode(encoded), Image.open(io.BytesIO(encoded)))
        assert image_size(encoded) == (120, 201)

    @given(
        height=st.integers(8, 300), width=st.integers(8, 300), shrink=st.sampled_from(JPEG_SHRINKS)
    )
    def test_shrunk_jpeg_has_rounded_up_sides(self, height, width, shrink):
        shape = decode(encode(photograph(height, width)), shrink).shape
        assert shape == (math.ceil(height / shrink), math.ceil(width / shrink), 3)

    @pytest.mark.parametrize(
        ("mode", "format"),
        [
            ("RGB", "PNG"),
            ("RGB", "WEBP"),
            ("RGB", "BMP"),
            ("RGB", "TIFF"),
            ("RGBA", "PNG"),
            ("RGBA", "WEBP"),
            ("P", "PNG"),
            ("P", "GIF"),
            ("CMYK", "JPEG"),
        ],
    )
    def test_colours_survive_each_mode(self, mode, format):
        pixels = np.zeros((20, 30, 3), np.uint8)
        pixels[:, :15], pixels[:, 15:] = (204, 51, 0), (0, 102, 153)
        assert difference(decode(encode(pixels, format, mode)), pixels)[:, [5, 25]].max() <= 6

    @pytest.mark.parametrize(
        ("mode", "format"), [("L", "JPEG"), ("L", "PNG"), ("LA", "PNG"), ("L", "GIF")]
    )
    def test_grey_becomes_three_equal_channels(self, mode, format):
        pixels = np.full((16, 24, 3), 130, np.uint8)
        assert difference(decode(encode(pixels, format, mode)), pixels).max() <= 1

    def test_sixteen_bit_grey_is_scaled_not_clipped(self):
        image = Image.fromarray(np.full((4, 5), 130 * 256 + 7, np.uint16))
        for format in ("PNG", "TIFF"):
            buffer = io.BytesIO()
            image.save(buffer, format)
            assert (decode(buffer.getvalue()) == 130).all()
        assert (evaluation_transform(image, 4) == 130).all()

    def test_palette_with_transparency_keeps_its_colours(self):
        pixels = np.full((6, 6, 3), (204, 51, 0), np.uint8)
        encoded = encode(pixels, "PNG", "P", transparency=b"\x00" * 256)
        np.testing.assert_array_equal(decode(encoded), pixels)

    @pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
    def test_truncated_file_is_a_bad_record(self, format):
        encoded = encode(photograph(90, 120), format)
        for kept in (0.9, 0.5, 0.05):
            with pytest.raises(BadRecord, match="cannot decode picture"):
                decode(encoded[: int(len(encoded) * kept)])

    @pytest.mark.parametrize("shrink", JPEG_SHRINKS)
    @pytest.mark.parametrize("place", [0.5, 1.0])
    def test_jpeg_that_only_pillow_accepts_is_decoded_by_it(self, shrink, place):
        encoded = encode(photograph(201, 119))
        at = int((len(encoded) - 2) * place)
        odd = encoded[:at] + bytes(240) + encoded[at:]
        with pytest.raises(ValueError, match="Corrupt JPEG data"):
            simplejpeg.decode_jpeg(odd, strict=True)
        decoded = decode(odd, shrink)
        assert decoded.shape == (math.ceil(201 / shrink), math.ceil(119 / shrink), 3)
        if shrink == 1:
            np.testing.assert_array_equal(decoded, Image.open(io.BytesIO(odd)))
        if place == 1.0:
            np.testing.assert_array_equal(decoded, decode(encoded, shrink))

    @pytest.mark.parametrize("dtype", [np.int32, np.float32])
    def test_pixels_of_32_bits_are_refused(self, dtype):
        image = Image.fromarray((photograph(8, 9)[..., 0] * 200).astype(dtype))
        buffer = io.BytesIO()
        image.save(buffer, "TIFF")
        for transform in (decode, partial(evaluation_transform, size=4)):
            with pytest.raises(BadRecord, match="pixels of 32 bits"):
                transform(buffer.getvalue())
        with pytest.raises(BadRecord, match="pixels of 32 bits"):
            evaluation_transform(image, 4)

    def test_what_is_no_picture_is_told_without_addresses(self):
        with pytest.raises(BadRecord) as caught:
            decode(b"<html>not found</html>")
        assert str(caught.value) == (
            "unreadable image: cannot decode picture: none of JPEG, PNG, WEBP, GIF, BMP, TIFF"
        )

    @pytest.mark.parametrize("encoded", [b"", b"not a picture", b"\xff\xd8\xff", b"%!PS-Adobe-3.0"])
    def test_other_bytes_are_a_bad_record(self, encoded):
        with pytest.raises(BadRecord):
            decode(encoded)

    @pytest.mark.parametrize("side", [9000, 9600, 20000])  # Pillow: accepts, warns, refuses
    def test_image_bomb_is_refused_before_it_is_decoded(self, side):
        assert side * side > MAX_PIXELS
        with pytest.raises(BadRecord, match="pixels"):
            decode(png_header(side, side))

    def test_jpeg_bomb_is_refused(self):
        encoded = bytearray(encode(photograph(16, 16)))
        frame = encoded.index(b"\xff\xc0") + 5
        encoded[frame : frame + 4] = struct.pack(">HH", 60000, 60000)
        with pytest.raises(BadRecord, match="60000 x 60000 pixels"):
            decode(bytes(encoded))


def torchvision_crop(height, width, rng, scale, ratio):
    """RandomResizedCrop.get_params, with the draws it makes; whole crops only."""
    while True:
        area = height * width * rng.uniform(*scale)
        aspect = math.exp(rng.uniform(*np.log(ratio)))
        w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < w <= width and 0 < h <= height:
            return rng.integers(0, height - h + 1), rng.integers(0, width - w + 1), h, w


class TestCrop:
    def test_same_distribution_as_torchvision(self):
        ours, theirs = generator(0, "ours"), generator(0, "theirs")
        scale, ratio = (0.3, 1.0), (3 / 4, 4 / 3)
        a = np.array([sample_crop(90, 130, ours, scale=scale) for _ in range(4000)])
        b = np.array([torchvision_crop(90, 130, theirs, scale, ratio) for _ in range(4000)])
        for column in range(4):
            values = np.arange(131)
            shares = [(x[:, column, None] <= values).mean(0) for x in (a, b)]
            assert np.abs(shares[0] - shares[1]).max() < 0.05  # Kolmogorov-Smirnov, p = 1e-4

    @pytest.mark.parametrize(
        ("height", "width", "crop"),
        [
            (10, 1000, (0, 493, 10, 13)),  # widest ratio 4/3 -> 13 columns in the centre
            (1000, 10, (493, 0, 13, 10)),
            (1, 1, (0, 0, 1, 1)),
        ],
    )
    def test_central_crop_where_nothing_fits(self, height, width, crop):
        assert sample_crop(height, width, generator(0, "x"), scale=(0.9, 1.0)) == crop

    @given(
        height=st.integers(1, 3000),
        width=st.integers(1, 3000),
        low=st.floats(0.01, 1),
        seed=st.integers(0, 99),
    )
    def test_crop_lies_within_the_picture(self, height, width, low, seed):
        crop = sample_crop(height, width, generator(seed, "x"), scale=(low, 1.0))
        assert crop.top >= 0 <= crop.left
        assert 0 < crop.height <= height - crop.top
        assert 0 < crop.width <= width - crop.left

    @pytest.mark.parametrize(
        ("height", "width", "format", "tolerance"),
        [
            (150, 190, "JPEG", 0.5),  # decoded whole: the same kernel on the same pixels
            (150, 190, "PNG", 0.5),
            (40, 30, "JPEG", 0.5),  # enlarged
            (425, 571, "JPEG", 1.5),  # decoded at 1/2: blocks are averaged before the kernel
            (851, 1001, "JPEG", 1.5),  # at 1/4
        ],
    )
    def test_pixels_agree_with_pillow(self, height, width, format, tolerance):
        encoded = encode(photograph(height, width), format)
        for seed in range(3):
            rng, same_rng = generator(seed, "x"), generator(seed, "x")
            pixels = random_resized_crop(encoded, 96, rng, scale=(0.5, 1.0))
            top, left, rows, columns = sample_crop(height, width, same_rng, scale=(0.5, 1.0))
            image = Image.open(io.BytesIO(encoded)).crop((left, top, left + columns, top + rows))
            expected = np.asarray(image.resize((96, 96), Image.Resampling.BICUBIC))
            assert pixels.dtype == np.uint8
            assert difference(pixels, expected).mean() < tolerance

    def test_shrinking_keeps_at_least_the_size_asked_for(self, monkeypatch):
        shrinks = []
        monkeypatch.setattr(images, "decode", lambda e, s, b: shrinks.append(s) or decode(e, s, b))
        for side in (95, 96, 191, 192, 383, 384, 1000):
            encoded, whole = encode(photograph(side, side)), (1.0, 1.0)
            random_resized_crop(encoded, 96, generator(0, "x"), scale=whole, ratio=whole)
        assert shrinks == [1, 1, 1, 2, 2, 4, 8]

    @pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
    def test_a_background_is_seen_where_the_picture_is_cut_out(self, mode):
        picture = Image.new("RGBA", (40, 40), (0, 80, 0, 0))
        picture.paste((200, 200, 200, 255), (0, 0, 20, 40))
        buffer = io.BytesIO()
        picture.convert(mode).save(buffer, "PNG")
        decoded = decode(buffer.getvalue(), background=(10, 20, 30))
        assert (decoded[:, :20] == 200).all()
        assert (decoded[:, 20:] == (10, 20, 30)).all()

    def test_same_generator_same_pixels(self):
        encoded = encode(photograph(100, 100))
        a, b, c = (
            random_resized_crop(encoded, 32, generator(seed, "x"), scale=(0.5, 1.0))
            for seed in (1, 1, 2)
        )
        np.testing.assert_array_equal(a, b)
        assert (a != c).any()

    def test_corrupt_file_is_a_bad_record(self):
        with pytest.raises(BadRecord):
            random_resized_crop(b"\xff\xd8 no jpeg", 32, generator(0, "x"), scale=(0.5, 1.0))


class TestEvaluation:
    def test_centre_crop_rounds_as_torchvision(self):
        lefts = {5: 0, 6: 0, 7: 1, 8: 2, 9: 2, 10: 2}  # round half to even
        for width, left in lefts.items():
            columns = np.arange(width, dtype=np.uint8)[:, None]
            pixels = np.broadcast_to(columns, (5, width, 3)).copy()
            upright = pixels.transpose(1, 0, 2).copy()
            assert evaluation_transform(pixels, 5)[0, 0, 0] == left
            assert evaluation_transform(upright, 5)[0, 0, 0] == left

    @pytest.mark.parametrize(("width", "resized"), [(333, 149), (334, 150), (201, 90)])
    def test_shortest_side_is_scaled_and_the_longer_truncated(self, width, resized):
        pixels = photograph(223, width)  # scaled to 100 rows: 333 -> 149.3, 334 -> 149.8
        short = min(223, width)
        size = (100 * width // short, 100 * 223 // short)
        image = Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC)
        box = [round((length - 100) / 2) for length in size]
        expected = image.crop((*box, box[0] + 100, box[1] + 100))
        np.testing.assert_array_equal(evaluation_transform(pixels, 100), expected)

    def test_bytes_array_and_image_agree(self):
        pixels = photograph(70, 50)
        encoded = encode(pixels, "PNG")
        by_array = evaluation_transform(pixels, 32)
        np.testing.assert_array_equal(by_array, evaluation_transform(encoded, 32))
        np.testing.assert_array_equal(
            by_array, evaluation_transform(Image.open(io.BytesIO(encoded)).convert("RGBA"), 32)
        )

    def test_squash_keeps_the_whole_picture(self):
        pixels = np.zeros((30, 90, 3), np.uint8)
        pixels[:, 80:] = 255
        squashed = evaluation_transform(pixels, 30, "squash")
        assert squashed.shape == (30, 30, 3)
        assert squashed[:, 28].min() > 250
        assert evaluation_transform(pixels, 30).max() == 0

    @pytest.mark.parametrize("resize", ["shortest", "squash"])
    def test_bilinear_is_that_of_pillow(self, resize):
        pixels = photograph(90, 90)
        image = Image.fromarray(pixels).resize((32, 32), Image.Resampling.BILINEAR)
        resized = evaluation_transform(pixels, 32, resize, "bilinear")
        np.testing.assert_array_equal(resized, image)
        assert (resized != evaluation_transform(pixels, 32, resize, "bicubic")).any()

    def test_one_side_far_longer_than_the_other_is_refused(self):
        for shape in ((8000, 1), (1, 8000)):
            with pytest.raises(BadRecord, match="pixels once resized, more than"):
                evaluation_transform(np.zeros((*shape, 3), np.uint8), 224)
            assert evaluation_transform(np.zeros((*shape, 3), np.uint8), 32).shape == (32, 32, 3)

    def test_unknown_options_are_refused(self):
        with pytest.raises(ConfigError, match="longest"):
            inspect.unwrap(evaluation_transform)(photograph(9, 9), 8, "longest")
        with pytest.raises(ConfigError, match="nearest"):
            inspect.unwrap(evaluation_transform)(photograph(9, 9), 8, "squash", "nearest")


def test_pictures_by_their_names():
    pictures = ["a.jpg", "A.JPEG", "b.1.png", "c.tiff"]
    assert [is_picture(name) for name in pictures] == [True] * 4
    others = ["jpg", ".jpg", ".a.jpg", "a.txt", "a.jpg.part", "a"]
    assert [is_picture(name) for name in others] == [False] * 6
