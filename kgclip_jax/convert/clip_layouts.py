"""What CLIP's and SigLIP's layouts mean in our words, whichever library keeps them."""

from typing import Any

CLIP_VOCABULARY = 49408
SIGLIP_EOS = 1

SIGLIP_VISION: dict[str, Any] = {
    "pooling": "map",
    "class_token": False,
    "patch_bias": True,
    "norm_pre": False,
    "projection": False,
}
"""Of SigLIP's vision tower, as fields of `spec.Vision`."""

SIGMOID: dict[str, Any] = {"logit_scale": 10.0, "max_logit_scale": None, "logit_bias": -10.0}
"""Where training with SigLIP's loss starts, as fields of `spec.DualEncoder`.

A trained model does not say where its training started.
"""


def highest_id(vocabulary: int) -> dict[str, Any]:
    """The pooling of OpenAI's CLIP, at the token of the highest id, as fields of `spec.Text`.

    The end of text is the last token, and tokens added to CLIP's vocabulary stand above it.
    """
    return {"pooling": "argmax", "eos_id": min(vocabulary, CLIP_VOCABULARY) - 1}
