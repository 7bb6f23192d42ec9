"""Layer-wise rates beside those of open_clip, parameter by parameter.

`SCALES` are the `lr_scale`s that `create_optimizer` of open_clip_train/optim.py in
github.com/mlfoundations/open_clip gives, commit 89fb801 (4.2.0.dev0; the version on PyPI has no
layer decay), for a CLIP of these settings, with image_layer_decay .5 and text_layer_decay .8.
"""

import numpy as np
from flax.traverse_util import flatten_dict

from kgclip_jax.convert.open_clip import FAMILY
from kgclip_jax.convert.rules import to_ours, weight_shapes
from kgclip_jax.optimizer_config import TowerTuning, Tuning
from kgclip_jax.training.tuning import learning_rate_factors

MODEL = {
    "embed_dim": 16,
    "vision_cfg": {
        "layers": 2,
        "width": 64,
        "head_width": 32,
        "patch_size": 16,
        "image_size": 32,
    },
    "text_cfg": {"context_length": 8, "vocab_size": 20, "width": 32, "heads": 2, "layers": 3},
}
SCALES = {
    "visual.class_embedding": 0.125,
    "visual.positional_embedding": 0.125,
    "visual.conv1": 0.125,
    "visual.ln_pre": 0.125,
    "visual.transformer.resblocks.0": 0.25,
    "visual.transformer.resblocks.1": 0.5,
    "visual.ln_post": 0.5,
    "visual.proj": 1.0,
    "token_embedding": 0.4096,
    "positional_embedding": 0.4096,
    "transformer.resblocks.0": 0.512,
    "transformer.resblocks.1": 0.64,
    "transformer.resblocks.2": 0.8,
    "ln_final": 0.8,
    "text_projection": 1.0,
    "logit_scale": 1.0,
}
# open_clip counts these to the last block. Here, as in BEiT, they stand above the blocks.
NORMS = {"model/vision/norm_post": 0.5, "model/text/norm_post": 0.8}


def test_every_parameter_learns_as_fast_as_in_open_clip():
    shape = FAMILY.describe({"open_clip_config.json": {"model_cfg": MODEL}})
    rules = FAMILY.rules(shape)
    weights = {
        name: np.full(size, *(scale for start, scale in SCALES.items() if name.startswith(start)))
        for name, size in weight_shapes(rules, shape).items()
    }
    params = {"model": to_ours(rules, weights, shape)}
    tuning = Tuning(vision=TowerTuning(layer_decay=0.5), text=TowerTuning(layer_decay=0.8))
    factors = learning_rate_factors(tuning, params)
    for path, theirs in flatten_dict(params, sep="/").items():
        ours = np.array(factors[path]) * NORMS.get(path.rpartition("/")[0], 1)
        ours = ours.reshape(
            ours.shape + (1,) * (theirs.ndim - ours.ndim)
        )  # a factor for each block
        np.testing.assert_allclose(np.broadcast_to(ours, theirs.shape), theirs, rtol=1e-6)
