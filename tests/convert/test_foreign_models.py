"""What is refused of the architecture that a foreign folder describes, whatever its family."""

import json
from pathlib import Path

import pytest

from kgclip_jax.convert import huggingface_clip
from kgclip_jax.convert.foreign_models import describe
from kgclip_jax.errors import ConversionError
from kgclip_jax.models.presets import preset


@pytest.mark.parametrize(
    ("file", "place", "value", "message"),
    [
        ("config.json", "vision_config.layer_norm_eps", -1.0, "vision.transformer.norm_eps must"),
        ("config.json", "text_config.num_hidden_layers", 0, "text.transformer.depth must be at"),
        ("config.json", "projection_dim", -512, "embedding must be at least 1, not -512"),
        (
            "preprocessor_config.json",
            "image_std",
            [0.5, 0.0, 0.5],
            r"vision.std\[1\] must be",
        ),
    ],
)
def test_numbers_out_of_range_are_named(file, place, value, message):
    files = json.loads(json.dumps(huggingface_clip.FAMILY.files(preset("ViT-B-32-quickgelu"))))
    *sections, key = place.split(".")
    settings = files[file]
    for section in sections:
        settings = settings[section]
    settings[key] = value
    with pytest.raises(ConversionError, match=f"^mine: model.{message}"):
        describe(huggingface_clip.FAMILY, files, Path("mine"))
