"""open_clip's own vision transformers: OpenAI's layout, LAION's and DataComp's sizes, CLIPA."""

from dataclasses import dataclass
from typing import Literal

from kgclip_jax.convert import open_clip_config
from kgclip_jax.convert.family import Family, Files, canonical, refuse_what_is_lost
from kgclip_jax.convert.foreign_config import reading
from kgclip_jax.convert.open_clip_config import TextCfg, Tower
from kgclip_jax.convert.open_clip_rules import block_rules, temperature_rules, text_rules
from kgclip_jax.convert.rules import Rule, norm, same
from kgclip_jax.convert.transforms import patches
from kgclip_jax.models import spec
from kgclip_jax.schema import check


@dataclass(frozen=True)
class VisionCfg(Tower):
    """Settings of the vision tower. Attributes: as in open_clip.

    A table of sine-cosine positions is among the weights like a learned one, and is read as such.
    """

    width: int = 768
    head_width: int = 64
    patch_size: int = 16
    image_size: int = 224
    no_ln_pre: bool = False
    final_ln_after_pool: bool = False
    pool_type: Literal["tok", "avg"] = "tok"
    pos_embed_type: Literal["learnable", "sin_cos_2d"] = "learnable"
    attentional_pool: Literal[False] = False
    timm_model_name: Literal[None] = None


@dataclass(frozen=True)
class Model:
    """Settings of both towers. Attributes: as in open_clip."""

    embed_dim: int
    vision_cfg: VisionCfg
    text_cfg: TextCfg
    quick_gelu: bool = False
    init_logit_bias: float | None = None


def describe(files: Files) -> spec.DualEncoder:
    """Return the architecture that a folder's JSON files describe."""
    with reading(open_clip_config.FILE):
        model = open_clip_config.parse(Model, files)
        vision, mean = model.vision_cfg, model.vision_cfg.pool_type == "avg"
        check(0 < vision.head_width <= vision.width, "head_width must be at most the width")
        heads = vision.width // vision.head_width
        shape = spec.DualEncoder(
            vision=spec.Vision(
                vision.transformer(heads, quick_gelu=model.quick_gelu),
                image_size=vision.image_size,
                patch_size=vision.patch_size,
                pooling="mean" if mean else "class",
                pool_before_norm=mean and vision.final_ln_after_pool,
                norm_pre=not vision.no_ln_pre,
                **open_clip_config.preprocessing(files),
            ),
            text=model.text_cfg.text(quick_gelu=model.quick_gelu),
            embedding=model.embed_dim,
            **open_clip_config.temperature(model.init_logit_bias),
        )
    return canonical(shape)


def files(shape: spec.DualEncoder) -> Files:
    """Return the JSON files of a folder, the tokenizer's excepted."""
    vision, transformer = shape.vision, shape.vision.transformer
    vision_cfg = {
        "image_size": vision.image_size,
        "patch_size": vision.patch_size,
        "head_width": transformer.width // transformer.heads,
        **open_clip_config.tower_settings(transformer),
        "no_ln_pre": not vision.norm_pre,
        "pool_type": "avg" if vision.pooling == "mean" else "tok",
        "final_ln_after_pool": vision.pool_before_norm,
    }
    quick_gelu = transformer.activation == "quick_gelu"
    written = open_clip_config.config(
        shape, vision_cfg=vision_cfg, embed_dim=shape.embedding, quick_gelu=quick_gelu
    )
    refuse_what_is_lost("an open_clip ViT", shape, describe(written))
    return written


def rules(shape: spec.DualEncoder) -> tuple[Rule, ...]:
    """The table of weights."""
    vision = shape.vision
    return (
        same("vision/class_token", "visual.class_embedding"),
        same("vision/positions", "visual.positional_embedding"),
        same("vision/patch/kernel", "visual.conv1.weight", patches(vision.patch_size)),
        *(norm("vision/norm_pre", "visual.ln_pre") if vision.norm_pre else ()),
        *block_rules("vision", "visual.", vision.transformer.heads),
        *norm("vision/norm_post", "visual.ln_post"),
        same("vision/projection/kernel", "visual.proj"),
        *text_rules(shape.text),
        *temperature_rules(shape),
    )


FAMILY = Family(
    name="open_clip ViT",
    format="open_clip",
    recognises=lambda files: (
        open_clip_config.FILE in files and not open_clip_config.is_siglip(files)
    ),
    describe=describe,
    files=files,
    rules=rules,
    canonical=lambda name: name.removeprefix("text."),  # with "custom_text"
)
