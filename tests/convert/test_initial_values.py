"""Fresh models spread as those that the originals' code builds."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from open_clip.model import CLIP

from kgclip_jax.convert.families import FAMILIES
from kgclip_jax.convert.rules import to_ours
from kgclip_jax.models.dual_encoder import Model
from kgclip_jax.models.presets import preset
from kgclip_jax.paths import leaves_by_path

WIDTH, DEPTH, MLP = 96, 3, 384


def spreads(params):
    """Root mean square of each parameter."""
    return {path: np.sqrt(np.mean(np.square(x))) for path, x in leaves_by_path(params).items()}


def fresh(shape):
    return spreads(jax.device_get(Model(shape).initialise(1)))


def test_clip_starts_as_open_clip_does():
    vision = {"layers": DEPTH, "width": WIDTH, "head_width": 32, "patch_size": 16, "image_size": 96}
    text = {"context_length": 24, "vocab_size": 500, "width": 80, "heads": 2, "layers": 2}
    model = CLIP(64, vision, text)
    family = next(family for family in FAMILIES if family.name == "open_clip ViT")
    files = {
        "open_clip_config.json": {
            "model_cfg": {"embed_dim": 64, "vision_cfg": vision, "text_cfg": text}
        }
    }
    shape = family.describe(files)
    weights = {name: value.numpy() for name, value in model.state_dict().items()}
    theirs = spreads(to_ours(family.rules(shape), weights, shape))
    ours = fresh(shape)
    assert ours.keys() == theirs.keys()
    for path, expected in theirs.items():
        # Of n numbers a spread is known to 1 / sqrt(2 n).
        entries = leaves_by_path(Model(shape).abstract())[path].size
        assert ours[path] == pytest.approx(expected, rel=5 * (2 / entries) ** 0.5 + 1e-6), path


def test_siglip_starts_as_big_vision_does():
    shape = preset("SigLIP-B-16")
    small = {"width": WIDTH, "depth": DEPTH, "heads": 2, "mlp_width": MLP}
    vision = replace(shape.vision, transformer=replace(shape.vision.transformer, **small))
    text = replace(shape.text, transformer=replace(shape.text.transformer, **small), vocabulary=500)
    ours = fresh(replace(shape, vision=vision, text=text, embedding=WIDTH))
    xavier = (2 / (WIDTH + MLP)) ** 0.5
    expected = {
        "vision/patch/kernel": (3 * 16**2) ** -0.5,  # nn.Conv: LeCun
        "vision/positions": WIDTH**-0.5,
        "vision/pool/probe": (2 / (1 + WIDTH)) ** 0.5,
        "vision/pool/key_value/kernel": WIDTH**-0.5,
        "vision/pool/mlp/down/kernel": xavier,
        "text/embedding": WIDTH**-0.5,  # nn.Embed
        "text/positions": WIDTH**-0.5,
        "text/projection/kernel": WIDTH**-0.5,  # nn.Dense: LeCun
    }
    for tower in ("vision", "text"):
        expected |= {
            f"{tower}/blocks/attention/qkv/kernel": WIDTH**-0.5,
            f"{tower}/blocks/attention/out/kernel": WIDTH**-0.5,
            f"{tower}/blocks/mlp/up/kernel": xavier,
            f"{tower}/blocks/mlp/down/kernel": xavier,
            f"{tower}/blocks/mlp/up/bias": 1e-6,
        }
    for path, spread in expected.items():
        assert ours[path] == pytest.approx(spread, rel=0.25 if "probe" in path else 0.06), path
    assert ours["vision/patch/bias"] == ours["text/projection/bias"] == 0
