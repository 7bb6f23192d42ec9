"""Pictures made small for storage: what their captions describe, at a given short side, as JPEG."""

import numpy as np
import simplejpeg
from PIL import Image

from kgclip_jax.data.images import JPEG_SHRINKS, Box, decode, image_size, whole_pixels
from kgclip_jax.errors import BadRecord

LONGEST_SIDE = 65_500  # of a JPEG that libjpeg-turbo writes
JPEG_HEADER = b"\xff\xd8"
ANTIALIASED = 2  # times the wanted size, below which a picture is never decoded


def shrink_picture(
    encoded: bytes, *, short_side: int, quality: int, box: Box | None = None
) -> bytes:
    """Cut out a part of a picture and scale its shorter side down; never up.

    A picture that needs neither is returned as it is, byte for byte, after a whole decode has shown
    that it can be used. Others become JPEG with 4:2:0 chroma. Large JPEG are decoded at a half, a
    quarter or an eighth of their size, as long as that is at least twice the wanted size, so that
    the final reduction is always an antialiased bicubic one.

    Args:
        encoded: the bytes of a JPEG, PNG, WebP, GIF, BMP or TIFF file.
        short_side: largest length of the shorter side, in pixels; 0 keeps every size.
        quality: of the JPEG, 1 to 100.
        box: the part to keep, in pixels; edges are rounded outwards and cut to the picture.

    Raises:
        BadRecord: the picture cannot be decoded, has more than MAX_PIXELS, is longer than JPEG
            allows, or the box lies outside of it.
    """
    height, width = image_size(encoded)
    whole = Box(0, 0, height, width)
    top, left, rows, columns = whole_pixels(box or whole, height, width)
    side = min(rows, columns)
    wanted = min(side, short_side or side)
    if wanted == side and (rows, columns) == (height, width):
        decode(encoded)
        return encoded
    if max(rows, columns) * wanted > LONGEST_SIDE * side:
        raise BadRecord("picture too long for JPEG", detail=f"{columns} x {rows} pixels")
    size = round(columns * wanted / side), round(rows * wanted / side)
    factor = _decoder_factor(encoded, side, wanted)
    edges = left / factor, top / factor, (left + columns) / factor, (top + rows) / factor
    picture = Image.fromarray(decode(encoded, factor))
    resized = picture.resize(size, Image.Resampling.BICUBIC, box=edges)
    jpeg: bytes = simplejpeg.encode_jpeg(
        np.asarray(resized), quality=quality, colorspace="RGB", colorsubsampling="420"
    )
    return jpeg


def _decoder_factor(encoded: bytes, side: int, wanted: int) -> int:
    """Return the largest factor by which a JPEG may shrink while it is decoded; 1 for others."""
    if not encoded.startswith(JPEG_HEADER):
        return 1
    return max(f for f in JPEG_SHRINKS if f == 1 or side >= ANTIALIASED * wanted * f)
