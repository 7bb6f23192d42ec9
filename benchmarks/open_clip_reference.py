"""open_clip as the benchmarks measure it: imported without CUDA, built from our descriptions.

Needs `pip install torch==2.13.0 ftfy regex huggingface_hub safetensors` and, since torchvision has
no CPU build, `pip install --no-deps torchvision==0.28.0 open-clip-torch timm`. The compiled
operators of torchvision cannot be loaded without CUDA. What is measured does not use them, so they
are declared by name, which lets the real Python code be imported. Never do so in a product.
"""

import importlib.metadata
import re
import sys
from pathlib import Path
from typing import Any

from kgclip_jax.models import spec

_libraries: list[Any] = []  # operators vanish with the object that declared them


def make_importable() -> None:
    """Make `import open_clip` work, whether or not torchvision's operators can be loaded."""
    try:
        import torchvision  # noqa: F401
    except RuntimeError:  # "operator torchvision::nms does not exist"
        _declare_torchvision_operators()


def _declare_torchvision_operators() -> None:
    import torch

    for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
        del sys.modules[name]
    package = importlib.metadata.distribution("torchvision")
    source = Path(str(package.locate_file("torchvision/_meta_registrations.py"))).read_text()
    library = torch.library.Library("torchvision", "DEF")
    for name in set(re.findall(r'register_(?:meta|fake)\("(?:torchvision::)?(\w+)"', source)):
        library.define(f"{name}() -> ()")
    _libraries.append(library)


def build(shape: spec.DualEncoder) -> Any:
    """Return open_clip's `CLIP` of the same architecture, freshly initialised.

    Raises:
        ValueError: when the architecture is not one of OpenAI's layout.
    """
    make_importable()
    from open_clip.model import CLIP

    vision, text = shape.vision.transformer, shape.text.transformer
    activation = vision.activation
    if shape.vision.pooling != "class" or activation not in ("gelu_erf", "quick_gelu"):
        raise ValueError("only models of OpenAI's layout are compared; choose a ViT-*")
    return CLIP(
        embed_dim=shape.embedding,
        vision_cfg={
            "image_size": shape.vision.image_size,
            "patch_size": shape.vision.patch_size,
            "layers": vision.depth,
            "width": vision.width,
            "head_width": vision.width // vision.heads,
            "mlp_ratio": vision.mlp_width / vision.width,
        },
        text_cfg={
            "context_length": shape.text.context_length,
            "vocab_size": shape.text.vocabulary,
            "layers": text.depth,
            "width": text.width,
            "heads": text.heads,
        },
        quick_gelu=activation == "quick_gelu",
    )
