"""Hugging Face's `preprocessor_config.json`: how a picture becomes the input of a vision tower."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from kgclip_jax import schema
from kgclip_jax.convert.family import Files
from kgclip_jax.convert.foreign_config import known, reading, section
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


@dataclass(frozen=True)
class Settings:
    """Settings that mean the same whatever the resizing. Attributes: as in transformers."""

    do_resize: Literal[True] = True
    do_rescale: Literal[True] = True
    do_normalize: Literal[True] = True
    rescale_factor: float = 1 / 255
    resample: Literal[3, 2] = 3
    image_mean: tuple[float, float, float] | None = None
    image_std: tuple[float, float, float] | None = None

    def __post_init__(self) -> None:
        factor = self.rescale_factor
        check(abs(factor * 255 - 1) < 1e-6, f"rescale_factor must be 1/255, not {factor}")


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
    with reading(PROCESSOR_FILE):
        return PROCESSOR_FILE, section(files.get(PROCESSOR_FILE, {}), "image_processor")


def read(files: Files, image_size: int, default: Preprocessing) -> Preprocessing:
    """Return the preprocessing of a model.

    `default` is that of the family, where the files do not say.

    Raises:
        ConversionError: for steps that are not done here, or another size than the tower's.
    """
    file, settings = stored(files)
    with reading(file):
        parsed = schema.parse(Settings, known(Settings, settings), path="settings")
        return Preprocessing(
            mean=parsed.image_mean or default.mean,
            std=parsed.image_std or default.std,
            resize=_resize(settings, image_size, default),
            interpolation=RESAMPLING[parsed.resample],
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
