"""Parameter counts and FLOPs against the figures that open_clip publishes (model_profile.csv)."""

import numpy as np
import pytest

from kgclip_jax.batch import Images, Texts
from kgclip_jax.errors import ConfigError
from kgclip_jax.models.dual_encoder import Model
from kgclip_jax.models.flops import image_flops, parameter_count, step_work, text_flops
from kgclip_jax.models.presets import PRESETS, preset

# name: (image M parameters, text M parameters, image GFLOP, text GFLOP)
PUBLISHED = {
    "ViT-B-32": (87.85, 63.43, 8.82, 5.96),
    "ViT-B-16": (86.19, 63.43, 35.13, 5.96),
    "ViT-L-14": (303.97, 123.65, 162.03, 13.30),
    "ViT-H-14": (632.08, 354.03, 334.59, 47.09),
    "ViT-g-14": (1012.65, 354.03, 534.06, 47.09),
    "SigLIP-B-16": (92.88, 110.27, 35.42, 11.02),
    "SigLIP-L-16-256": (315.96, 336.19, 162.56, 39.06),
    # The published text tower of So400m has 64 positions at 384 px only; its figures are those.
    "SigLIP-So400m-14": (427.68, 449.73, 220.35, 53.13),
}
# B/32, B/16 and L/14 as a whole: open_clip's headline numbers.
TOTALS = {"ViT-B-32": 151.28, "ViT-B-16": 149.62, "ViT-L-14": 427.62}


@pytest.mark.parametrize("name", PUBLISHED)
def test_sizes_are_the_published_ones(name):
    shape = preset(name)
    params = Model(shape).abstract()
    image, text, image_gflop, text_gflop = PUBLISHED[name]
    assert parameter_count(params["vision"]) / 1e6 == pytest.approx(image, abs=0.0051)
    assert parameter_count(params["text"]) / 1e6 == pytest.approx(text, abs=0.0051)
    assert image_flops(shape) / 1e9 == pytest.approx(image_gflop, abs=0.0051)
    assert text_flops(shape) / 1e9 == pytest.approx(text_gflop, abs=0.0051)
    if name in TOTALS:
        assert parameter_count(params) / 1e6 == pytest.approx(TOTALS[name], abs=0.0051)


def test_quickgelu_changes_nothing_but_the_activation():
    plain, quick = preset("ViT-B-32"), preset("ViT-B-32-quickgelu")
    assert plain.vision.transformer.activation == "gelu_erf"
    assert quick.vision.transformer.activation == quick.text.transformer.activation == "quick_gelu"
    assert image_flops(plain) == image_flops(quick)


def test_shorter_texts_cost_less_in_proportion():
    shape = preset("ViT-B-32")
    short, full = text_flops(shape, 11), text_flops(shape, 77)
    assert short < full / 7 * 1.01


def test_the_work_of_a_step_is_that_of_the_inputs_that_are_read():
    shape = preset("ViT-B-32")
    batch = {
        "image": Images(np.empty((64, 224, 224, 3), np.uint8)),
        "text": Texts((np.empty((40, 11), np.int32), np.empty((24, 77), np.int32))),
        "negatives": Texts((np.empty((64, 2, 20), np.int32),)),
    }
    work = step_work(shape, batch, {"image", "text"})
    texts = 40 * text_flops(shape, 11) + 24 * text_flops(shape, 77)
    assert work == (3 * (64 * image_flops(shape) + texts), 40 * 11 + 24 * 77)
    more = step_work(shape, batch, {"image", "text", "negatives"})
    assert more.text_tokens - work.text_tokens == 64 * 2 * 20


def test_an_unknown_preset_is_answered_with_near_names():
    with pytest.raises(ConfigError, match="ViT-B-32"):
        preset("vit-b32")


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_can_be_built(name):
    assert parameter_count(Model(preset(name)).abstract()) > 0
