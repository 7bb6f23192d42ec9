"""Pictures as uint8 RGB arrays: decoding, the random crop of training, the transform of evaluation.

JPEG are decoded with libjpeg-turbo, for training at half size or less where the crop allows it;
those that it finds fault with, and all other formats, with Pillow, which decides what is a picture.
Training resizes with a SIMD implementation of the antialiased bicubic kernel that torchvision and
Pillow use: the same picture within a few grey levels, about three times as fast. Evaluation uses
Pillow itself, so that it agrees with the preprocessing of the PyTorch libraries to the last bit.

Transparency is dropped and EXIF orientation ignored, as those libraries do. Of 16 bits the upper
eight are kept, where those libraries make nearly all of a grey picture white. Pixels of 32 bits are
refused: no file says which of their numbers are black and white.
"""

import io
import math
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Literal, NamedTuple, get_args

import numpy as np
import simplejpeg
from cykooz_resizer import (
    CropBox,
    FilterType,
    ImageData,
    PixelType,
    ResizeAlg,
    ResizeOptions,
    Resizer,
)
from jaxtyping import UInt8
from PIL import Image, UnidentifiedImageError

from kgclip_jax.data.skips import EMPTY_BOX, TOO_MANY_PIXELS, UNREADABLE_IMAGE
from kgclip_jax.errors import BadRecord, ConfigError

MAX_PIXELS = 2**26  # 67 million, 200 MB decoded: above any photograph, below what exhausts a worker

JPEG_SHRINKS = (1, 2, 4, 8)

Colour = tuple[int, int, int]  # red, green, blue
Resize = Literal["shortest", "squash"]
Interpolation = Literal["bicubic", "bilinear"]

# Of files that are pictures by their names, the one to prefer first.
PICTURE_SUFFIXES = ("jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff")

# Not EPS and the like, which run programs.
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
_BICUBIC = ResizeAlg.convolution(FilterType.catmull_rom)  # bicubic with a = -0.5, as in Pillow


class Box(NamedTuple):
    """A rectangle, in pixels."""

    top: float
    left: float
    height: float
    width: float


def random_resized_crop(
    encoded: bytes,
    size: int,
    rng: np.random.Generator,
    *,
    scale: tuple[float, float],
    ratio: tuple[float, float] = (3 / 4, 4 / 3),
    box: Box | None = None,
    background: Colour | None = None,
) -> UInt8[np.ndarray, "{size} {size} 3"]:
    """Decode a picture and resize a random part of it, or of a box in it, to a square.

    Args:
        encoded: the bytes of a JPEG, PNG, WebP, GIF, BMP or TIFF file.
        size: side of the result in pixels.
        rng: decides on the crop.
        scale: range of the crop's area as a share of the picture's.
        ratio: range of the crop's width divided by its height.
        box: the part of the picture to crop from; None for all of it.
        background: as for `decode`.

    Raises:
        BadRecord: the file is truncated, corrupt, of another format, or has more than MAX_PIXELS,
            or the box lies outside of the picture.
    """
    height, width = image_size(encoded)
    top, left, height, width = whole_pixels(box or Box(0, 0, height, width), height, width)
    part = sample_crop(height, width, rng, scale=scale, ratio=ratio)
    side = min(part.height, part.width)
    shrink = max(factor for factor in JPEG_SHRINKS if factor == 1 or side >= factor * size)
    shrink = shrink if _is_jpeg(encoded) else 1
    part = part._replace(top=part.top + top, left=part.left + left)
    return _resize(
        decode(encoded, shrink, background), Box(*(edge / shrink for edge in part)), size
    )


def crop(
    pixels: UInt8[np.ndarray, "height width 3"], box: Box
) -> UInt8[np.ndarray, "box_height box_width 3"]:
    """Cut out the pixels that a box touches.

    Raises:
        BadRecord: the box lies outside of the picture.
    """
    top, left, height, width = whole_pixels(box, *pixels.shape[:2])
    return pixels[top : top + height, left : left + width]


def whole_pixels(box: Box, height: int, width: int) -> tuple[int, int, int, int]:
    """Return top, left, height and width of the pixels of a picture that a box touches.

    Raises:
        BadRecord: the box lies outside of the picture.
    """
    top, left = max(0, math.floor(box.top)), max(0, math.floor(box.left))
    bottom = min(height, math.ceil(box.top + box.height))
    right = min(width, math.ceil(box.left + box.width))
    if top >= bottom or left >= right:
        raise BadRecord(
            EMPTY_BOX, f"{box} lies outside of the picture of {width} x {height} pixels"
        )
    return top, left, bottom - top, right - left


def sample_crop(
    height: int,
    width: int,
    rng: np.random.Generator,
    *,
    scale: tuple[float, float],
    ratio: tuple[float, float] = (3 / 4, 4 / 3),
) -> Box:
    """Draw a crop from the distribution of torchvision's `RandomResizedCrop`.

    Area is uniform, the logarithm of the aspect ratio is uniform, and so is the position among
    those that fit. After ten draws that do not fit, the largest central crop of an allowed ratio is
    taken.
    """
    low, high = math.log(ratio[0]), math.log(ratio[1])
    for draw in rng.random((10, 4)).tolist():
        area = height * width * (scale[0] + (scale[1] - scale[0]) * draw[0])
        aspect = math.exp(low + (high - low) * draw[1])
        rows, columns = round(math.sqrt(area / aspect)), round(math.sqrt(area * aspect))
        if 0 < rows <= height and 0 < columns <= width:
            top, left = int(draw[2] * (height - rows + 1)), int(draw[3] * (width - columns + 1))
            return Box(top, left, rows, columns)
    rows = min(height, max(1, round(width / ratio[0])))
    columns = min(width, max(1, round(height * ratio[1])))
    return Box((height - rows) // 2, (width - columns) // 2, rows, columns)


def evaluation_transform(
    image: Image.Image | bytes | UInt8[np.ndarray, "height width 3"],
    size: int,
    resize: Resize = "shortest",
    interpolation: Interpolation = "bicubic",
) -> UInt8[np.ndarray, "{size} {size} 3"]:
    """Resize a picture to a square as CLIP (`shortest`) or SigLIP (`squash`) does for evaluation.

    Sizes and offsets are rounded as torchvision does, for OpenAI's CLIP and for open_clip: half a
    pixel of margin goes to the even side. transformers rounds it down, so that where the margin is
    3, 7, 11 ... pixels its crop starts a pixel earlier.

    Args:
        image: what to resize; grey and transparent pictures become RGB first.
        size: side of the square in pixels.
        resize: `shortest` scales the shorter side to `size` and cuts out the centre; `squash`
            ignores the aspect ratio.
        interpolation: the kernel, widened against aliasing where the picture shrinks.

    Raises:
        BadRecord: the bytes cannot be decoded, the pixels have 32 bits, or the resized picture
            would have more than MAX_PIXELS before it is cut, because one side is far longer.
        ConfigError: `resize` or `interpolation` is none of those.
    """
    if resize not in get_args(Resize):
        raise ConfigError(f"resize must be 'shortest' or 'squash', not {resize!r}")
    if interpolation not in get_args(Interpolation):
        raise ConfigError(f"interpolation must be 'bicubic' or 'bilinear', not {interpolation!r}")
    kernel = Image.Resampling[interpolation.upper()]
    if isinstance(image, bytes):
        image = decode(image)
    picture = Image.fromarray(image) if isinstance(image, np.ndarray) else _to_rgb(image)
    if resize == "squash":
        return np.asarray(picture.resize((size, size), kernel))
    side = min(picture.size)
    width, height = (size if length == side else size * length // side for length in picture.size)
    _check_pixels(height, width, " once resized")
    resized = picture.resize((width, height), kernel)
    left, top = round((width - size) / 2), round((height - size) / 2)  # half to even
    return np.asarray(resized.crop((left, top, left + size, top + size)))


def image_size(encoded: bytes) -> tuple[int, int]:
    """Return (height, width) from the header, without decoding.

    Raises:
        BadRecord: the header cannot be read, or promises more than MAX_PIXELS.
    """
    size = _jpeg_size(encoded)
    if size is None:
        with _opened(encoded) as image:
            size = image.height, image.width
    _check_pixels(*size)
    return size


def decode(
    encoded: bytes, shrink: int = 1, background: Colour | None = None
) -> UInt8[np.ndarray, "height width 3"]:
    """Decode a picture, a JPEG perhaps at 1/2, 1/4 or 1/8 of its size.

    Shrinking happens within the inverse cosine transform: averages over blocks, for less than the
    price of a whole decode. (Factors between one and two exist too, but take longer than none.)

    Args:
        encoded: the bytes of a JPEG, PNG, WebP, GIF, BMP or TIFF file.
        shrink: one of JPEG_SHRINKS; 1 for other formats. Sides are rounded up.
        background: what is seen through transparent pixels; None: the colour that they have.

    Raises:
        BadRecord: the file is truncated, corrupt, of another format, or has more than MAX_PIXELS or
            pixels of 32 bits.
    """
    height, width = image_size(encoded)  # refuses huge dimensions before memory is taken
    if _is_jpeg(encoded):
        with suppress(ValueError):
            pixels: np.ndarray = simplejpeg.decode_jpeg(
                encoded, min_height=-(-height // shrink), min_width=-(-width // shrink), strict=True
            )
            return pixels
    with _opened(encoded) as image:
        if shrink > 1:
            image.draft("RGB", (width // shrink, height // shrink))
        if background is not None and image.has_transparency_data:
            image = Image.alpha_composite(
                Image.new("RGBA", image.size, background), image.convert("RGBA")
            )
        return np.asarray(_to_rgb(image))


def _jpeg_size(encoded: bytes) -> tuple[int, int] | None:
    """Return the height and width of a JPEG that libjpeg-turbo finds no fault with."""
    if _is_jpeg(encoded):
        with suppress(ValueError):
            height, width = simplejpeg.decode_jpeg_header(encoded)[:2]
            return height, width
    return None


def _check_pixels(height: int, width: int, when: str = "") -> None:
    if height * width > MAX_PIXELS:
        raise BadRecord(
            TOO_MANY_PIXELS,
            f"picture of {width} x {height} pixels{when}, more than {MAX_PIXELS} in all",
        )


def _resize(
    pixels: UInt8[np.ndarray, "height width 3"], box: Box, size: int
) -> UInt8[np.ndarray, "{size} {size} 3"]:
    """Resize the part within a box with fractional edges to a square."""
    top, left = math.floor(box.top), math.floor(box.left)
    bottom, right = math.ceil(box.top + box.height), math.ceil(box.left + box.width)
    part = pixels[top:bottom, left:right]
    source = ImageData(right - left, bottom - top, PixelType.U8x3, part.tobytes())
    target = ImageData(size, size, PixelType.U8x3)
    options = ResizeOptions(
        resize_alg=_BICUBIC,
        crop_box=CropBox(box.left - left, box.top - top, box.width, box.height),
        use_alpha=False,
    )
    Resizer().resize(source, target, options)
    return np.frombuffer(target.get_buffer(), np.uint8).reshape(size, size, 3)


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode in ("I", "F"):
        raise BadRecord(
            UNREADABLE_IMAGE,
            "pixels of 32 bits, and nothing says which are black and white; save it with 8 or 16",
        )
    if image.mode.startswith("I;16"):  # Pillow would clip everything above 255 to white
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    elif image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")  # the same colours, without Pillow's warning
    return image.convert("RGB")


def is_picture(file: str) -> bool:
    """Whether a file is a picture by its name, and not hidden."""
    stem, _, suffix = file.lower().rpartition(".")
    return suffix in PICTURE_SUFFIXES and stem != "" and not file.startswith(".")


def _is_jpeg(encoded: bytes) -> bool:
    return encoded.startswith(b"\xff\xd8")


@contextmanager
def _opened(encoded: bytes) -> Iterator[Image.Image]:
    """Open a picture with Pillow; what it raises on hostile bytes (ten kinds) is a BadRecord."""
    try:
        with Image.open(io.BytesIO(encoded), formats=_FORMATS) as image:
            yield image
    except BadRecord:
        raise
    except UnidentifiedImageError as error:  # its text has an address in memory
        known = ", ".join(_FORMATS)
        raise BadRecord(UNREADABLE_IMAGE, f"cannot decode picture: none of {known}") from error
    except Exception as error:
        raise BadRecord(UNREADABLE_IMAGE, f"cannot decode picture: {error}") from error
