"""Hugging Face's `preprocessor_config.json`: how a picture becomes the input of a vision tower."""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from kgclip_jax.convert.family import Files
from kgclip_jax.convert.foreign_config import reading
from kgclip_jax.models import spec
from kgclip_jax.schema import check

FILE = "preprocessor_config.json"
PROCESSOR_FILE = "processor_config.json"
RESAMPLING: dict[int, Literal["bicubic", "bilinear"]] = {3: "bicubic", 2: "bilinear"}
"""Pillow's numbers of the filters."""


class Preprocessing(NamedTuple):
    """The fields of `spec.Vision` that are not about the tower itself."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    resize: Literal["shortest", "squash"]
    interpolation: Literal["bicubic", "bilinear"]


CLIP = Preprocessing(spec.CLIP_MEAN, spec.CLIP_STD, "shortest", "bicubic")
HALF = (0.5, 0.5, 0.5)
SIGLIP = Preprocessing(HALF, HALF, "squash", "bicubic")


def stored(files: Files) -> tuple[str, Mapping[str, Any]]:
    """Return the settings of the preprocessing, empty where there are none, and their file's name.

    transformers 4 writes `preprocessor_config.json`, transformers 5 writes the same settings into
    `processor_config.json`.
    """
    if settings := files.get(FILE):
        return FILE, settings
    return PROCESSOR_FILE, files.get(PROCESSOR_FILE, {}).get("image_processor") or {}


def read(files: Files, image_size: int, default: Preprocessing) -> Preprocessing:
    """Return the preprocessing of a model.

    Args:
        files: JSON files by name.
        image_size: of the vision tower.
        default: of the family, where the files do not say.

    Raises:
        ConversionError: for steps that are not done here, or another size than the tower's.
    """
    file, settings = stored(files)
    with reading(file):
        for step in ("do_resize", "do_rescale", "do_normalize"):
            check(settings.get(step, True) is True, f"{step} must be true")
        factor = settings.get("rescale_factor", 1 / 255)
        check(abs(factor * 255 - 1) < 1e-6, f"rescale_factor must be 1/255, not {factor}")
        resample = settings.get("resample", 3)
        check(resample in RESAMPLING, f"resample must be 3 or 2, not {resample!r}")
        return Preprocessing(
            mean=_triple(settings.get("image_mean", default.mean)),
            std=_triple(settings.get("image_std", default.std)),
            resize=_resize(settings, image_size, default),
            interpolation=RESAMPLING[resample],
        )


def _resize(
    settings: Mapping[str, Any], image_size: int, default: Preprocessing
) -> Literal["shortest", "squash"]:
    """Tell apart "shortest side, then centre crop" and "straight to a square"."""
    size = settings.get("size")
    if size is None:
        return default.resize
    square = {"height": image_size, "width": image_size}
    if size in ({"shortest_edge": image_size}, image_size):
        crops = settings.get("do_center_crop", default.resize == "shortest")
        check(crops is True, "size is a shortest edge, but do_center_crop is not true")
        crop = settings.get("crop_size", square)
        check(crop in (square, image_size), f"crop_size {crop} is not the tower's {image_size}")
        return "shortest"
    check(size == square, f"size {size} is not the tower's image_size {image_size}")
    return "squash"


def write(vision: spec.Vision) -> dict[str, Any]:
    """Return a `preprocessor_config.json`; the class follows the kind of resizing."""
    size, resample = vision.image_size, {name: number for number, name in RESAMPLING.items()}
    square = {"height": size, "width": size}
    settings: dict[str, Any]
    if vision.resize == "shortest":
        settings = {
            "image_processor_type": "CLIPImageProcessor",
            "size": {"shortest_edge": size},
            "do_center_crop": True,
            "crop_size": square,
        }
    else:
        settings = {"image_processor_type": "SiglipImageProcessor", "size": square}
    return settings | {
        "do_convert_rgb": True,
        "do_resize": True,
        "resample": resample[vision.interpolation],
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(vision.mean),
        "image_std": list(vision.std),
    }


def _triple(values: Any) -> tuple[float, float, float]:
    first, second, third = values  # raises ValueError for any other number of channels
    return float(first), float(second), float(third)
