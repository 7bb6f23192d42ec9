"""Released models give the numbers that their publishers print; anyone can run it.

    KGCLIP_RELEASED=FOLDER python -m pytest tests/convert/test_released.py

FOLDER has the picture 000000039769.jpg of COCO's val2017, and the models as they are on the Hugging
Face hub, in folders called after them: clip-vit-base-patch32, siglip-base-patch16-224. One that is
not there is taken from the hub.
"""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import kgclip_jax
from kgclip_jax.convert.export import export
from kgclip_jax.data.tokenization.tokenizer_config import Tokenizers
from kgclip_jax.models.presets import preset
from tests.convert.small_models import SIDE, make_params, siglip, word_tokenizer
from tests.convert.torch_reader import read_huggingface

PICTURE = "000000039769.jpg"  # two cats on a sofa
PUBLISHED = {
    "openai/clip-vit-base-patch32": {"a photo of a cat": 24.5701, "a photo of a dog": 19.3049},
    "google/siglip-base-patch16-224": {
        "a photo of 2 cats": -0.7567,
        "a photo of 2 dogs": -10.3354,
    },
}


@pytest.fixture
def released():
    if "KGCLIP_RELEASED" not in os.environ:
        pytest.skip(
            "set KGCLIP_RELEASED to a folder with released models, see the file's beginning"
        )
    folder = Path(os.environ["KGCLIP_RELEASED"]).expanduser()
    if not (folder / PICTURE).is_file():
        pytest.fail(
            f"{folder / PICTURE} is missing: http://images.cocodataset.org/val2017/{PICTURE}"
        )
    return folder


def logits(source, picture, texts):
    """What the model would hand to a softmax or a sigmoid, for one picture."""
    encoder = kgclip_jax.load(source)
    scale, bias = (encoder.params.get(f"logit_{name}", 0.0) for name in ("scale", "bias"))
    return np.exp(scale) * encoder.similarity([picture], texts)[0] + bias


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_logits(released, name):
    here = released / name.partition("/")[2]
    picture = Image.open(released / PICTURE).convert("RGB")
    found = logits(here if here.is_dir() else f"hf-hub:{name}", picture, [*PUBLISHED[name]])
    np.testing.assert_allclose(found, [*PUBLISHED[name].values()], rtol=0, atol=1e-3)


@pytest.mark.parametrize("name", ["clip", "siglip"])
def test_the_same_way_leads_to_the_logits_of_small_models(name, tmp_path):
    """As transformers computes them, of folders as those of the released models."""
    shape, tokenizers = preset("quickstart"), Tokenizers()
    if name == "siglip":
        shape, tokenizers = siglip(), Tokenizers(word_tokenizer(tmp_path))
    folder = tmp_path / name
    export(make_params(shape), shape, tokenizers, folder, format="huggingface", card=str)
    pixels = np.random.default_rng(2).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    picture, texts = Image.fromarray(pixels), ["a dog", "two cats to the left of a house"]
    with torch.no_grad():
        expected = read_huggingface(folder, [picture], texts)["logits"][0]
    np.testing.assert_allclose(logits(folder, picture, texts), expected, rtol=0, atol=1e-3)
