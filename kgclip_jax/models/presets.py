"""Published dual encoders by name, with their exact dimensions, and small ones for laptops.

Dimensions and parameter counts: open_clip `model_configs/` and `docs/model_profile.csv`;
SigLIP: Zhai et al. 2023 (arXiv 2303.15343).
"""

from dataclasses import replace

from kgclip_jax.errors import ConfigError
from kgclip_jax.models.spec import DualEncoder, Text, Transformer, Vision
from kgclip_jax.schema import suggestion


def _clip(
    vision: tuple[int, int, int],
    text: tuple[int, int, int],
    patch: int,
    mlp_width: int | None = None,
) -> DualEncoder:
    """OpenAI's layout; towers are (width, depth, heads). The text width is the embedding's."""
    width, depth, heads = vision
    text_width, text_depth, text_heads = text
    return DualEncoder(
        vision=Vision(Transformer(width, depth, heads, mlp_width or 4 * width), patch_size=patch),
        text=Text(Transformer(text_width, text_depth, text_heads, 4 * text_width)),
        embedding=text_width,
    )


def _quick_gelu(model: DualEncoder) -> DualEncoder:
    """The same towers with the activation of OpenAI's own weights."""
    vision = replace(model.vision.transformer, activation="quick_gelu")
    text = replace(model.text.transformer, activation="quick_gelu")
    return replace(
        model,
        vision=replace(model.vision, transformer=vision),
        text=replace(model.text, transformer=text),
    )


def _siglip(
    blocks: tuple[int, int, int], mlp_width: int, patch: int, image_size: int = 224
) -> DualEncoder:
    """SigLIP's layout: both towers of one shape, attention pooling, bidirectional text."""
    transformer = Transformer(*blocks, mlp_width, activation="gelu_tanh", norm_eps=1e-6)
    return DualEncoder(
        vision=Vision(
            transformer,
            image_size=image_size,
            patch_size=patch,
            pooling="map",
            class_token=False,
            patch_bias=True,
            norm_pre=False,
            projection=False,
            mean=(0.5, 0.5, 0.5),
            std=(0.5, 0.5, 0.5),
            resize="squash",
        ),
        text=Text(
            transformer,
            vocabulary=32000,
            context_length=64,
            causal=False,
            pooling="last",
            eos_id=1,
            projection_bias=True,
        ),
        embedding=transformer.width,
        logit_scale=10.0,
        max_logit_scale=None,
        logit_bias=-10.0,
        initial_values="siglip",
    )


def _small(width: int, depth: int, text_depth: int, image_size: int, patch: int) -> DualEncoder:
    """Towers for laptops, in OpenAI's layout, so that any format can hold what they learn.

    Only positions of patches are fixed waves, which learn relations soonest on little data, and
    initial values are GPT-2's in both towers.
    """
    heads = max(1, width // 64)
    small = DualEncoder(
        vision=Vision(
            Transformer(width, depth, heads, 4 * width),
            image_size=image_size,
            patch_size=patch,
            positions="sincos2d",
        ),
        text=Text(Transformer(width, text_depth, heads, 4 * width), context_length=32),
        embedding=width,
        initial_values="gpt2",
    )
    return _quick_gelu(small)


_OPEN_CLIP = {
    "ViT-B-32": _clip((768, 12, 12), (512, 12, 8), 32),
    "ViT-B-16": _clip((768, 12, 12), (512, 12, 8), 16),
    "ViT-L-14": _clip((1024, 24, 16), (768, 12, 12), 14),
    "ViT-H-14": _clip((1280, 32, 16), (1024, 24, 16), 14),
    "ViT-g-14": _clip((1408, 40, 16), (1024, 24, 16), 14, mlp_width=6144),
}

PRESETS: dict[str, DualEncoder] = {
    **_OPEN_CLIP,
    **{
        f"{name}-quickgelu": _quick_gelu(_OPEN_CLIP[name])
        for name in ("ViT-B-32", "ViT-B-16", "ViT-L-14")
    },
    "SigLIP-B-16": _siglip((768, 12, 12), 3072, 16),
    "SigLIP-L-16-256": _siglip((1024, 24, 16), 4096, 16, image_size=256),
    "SigLIP-So400m-14": _siglip((1152, 27, 16), 4304, 14),
    "small": _small(width=192, depth=4, text_depth=3, image_size=128, patch=16),
    "quickstart": _small(width=128, depth=3, text_depth=2, image_size=32, patch=8),
    "tiny": _small(width=32, depth=2, text_depth=2, image_size=16, patch=8),
}


def preset(name: str) -> DualEncoder:
    """Return the preset called `name`. Raises ConfigError with the nearest names."""
    if name not in PRESETS:
        raise ConfigError(f"no model preset {name!r}{suggestion(name, PRESETS)}")
    return PRESETS[name]
