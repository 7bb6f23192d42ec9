"""All families of foreign models, and the files that their libraries keep them in."""

from typing import NamedTuple

from kgclip_jax.convert import (
    huggingface,
    huggingface_clip,
    huggingface_preprocessing,
    huggingface_siglip,
    open_clip,
    open_clip_config,
    open_clip_siglip,
    openai,
)
from kgclip_jax.convert.family import Family, Format

FAMILIES: tuple[Family, ...] = (
    huggingface_clip.FAMILY,
    huggingface_siglip.FAMILY,
    open_clip.FAMILY,
    open_clip_siglip.FAMILY,
    openai.FAMILY,
)

DESCRIPTIONS = (
    huggingface.FILE,
    huggingface_preprocessing.FILE,
    huggingface_preprocessing.PROCESSOR_FILE,
    open_clip_config.FILE,
)
"""JSON files that describe a model."""


class WeightFiles(NamedTuple):
    """Names of files of weights, the one to prefer first."""

    safetensors: tuple[str, ...]
    pickles: tuple[str, ...]


WEIGHT_FILES: dict[Format, WeightFiles] = {
    "huggingface": WeightFiles(
        ("model.safetensors", "model.safetensors.index.json"),
        ("pytorch_model.bin", "pytorch_model.bin.index.json"),
    ),
    "open_clip": WeightFiles(
        ("open_clip_model.safetensors", "open_clip_pytorch_model.safetensors", "model.safetensors"),
        ("open_clip_pytorch_model.bin", "open_clip_pytorch_model.pth", "pytorch_model.bin"),
    ),
    "openai": WeightFiles((), ("model.pt",)),
}

_ONE_TOWER = "it is one tower alone; give the folder of the whole model"
UNKNOWN_TYPES = {
    "clip_text_model": _ONE_TOWER,
    "clip_vision_model": _ONE_TOWER,
    "siglip_text_model": _ONE_TOWER,
    "siglip_vision_model": _ONE_TOWER,
    "siglip2": "SigLIP 2 of variable resolution (NaFlex) is not known here; those of fixed "
    "resolution are, whose model_type is siglip",
}
"""What to say of types of Hugging Face models that are near to those that can be had."""
