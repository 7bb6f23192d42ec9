"""Hugging Face's `CLIPModel` (`model_type: clip`)."""

from dataclasses import dataclass, field
from typing import Any, Literal

from kgclip_jax.convert import huggingface, huggingface_preprocessing
from kgclip_jax.convert.clip_layouts import highest_id
from kgclip_jax.convert.family import Family, Files, canonical, refuse_what_is_lost
from kgclip_jax.convert.foreign_config import reading
from kgclip_jax.convert.rules import Rule, linear, norm, same
from kgclip_jax.models import spec

LEGACY_EOS = 2
"""In configs older than transformers 4.31: pool the token of the highest id, whichever that is."""


@dataclass(frozen=True)
class TextConfig(huggingface.Blocks):
    """Settings of the text tower. Attributes: as in transformers."""

    hidden_size: int = 512
    intermediate_size: int = 2048
    num_attention_heads: int = 8
    hidden_act: Literal["quick_gelu", "gelu", "gelu_pytorch_tanh"] = "quick_gelu"
    layer_norm_eps: float = 1e-5
    vocab_size: int = 49408
    max_position_embeddings: int = 77
    eos_token_id: int = 49407


@dataclass(frozen=True)
class VisionConfig(huggingface.Blocks):
    """Settings of the vision tower. Attributes: as in transformers."""

    hidden_size: int = 768
    intermediate_size: int = 3072
    num_attention_heads: int = 12
    hidden_act: Literal["quick_gelu", "gelu", "gelu_pytorch_tanh"] = "quick_gelu"
    layer_norm_eps: float = 1e-5
    num_channels: Literal[3] = 3
    image_size: int = 224
    patch_size: int = 32


@dataclass(frozen=True)
class Config:
    """`config.json`. Attributes: as in transformers; a model with code of its own is refused."""

    text_config: TextConfig = field(default_factory=TextConfig)
    vision_config: VisionConfig = field(default_factory=VisionConfig)
    projection_dim: int = 512
    auto_map: Literal[None] = None


def describe(files: Files) -> spec.DualEncoder:
    """Return the architecture that a folder's JSON files describe."""
    with reading(huggingface.FILE):
        config = huggingface.parse(Config, files[huggingface.FILE])
        text, vision = config.text_config, config.vision_config
        preprocessing = huggingface_preprocessing.read(
            files, vision.image_size, huggingface_preprocessing.CLIP
        )
        shape = spec.DualEncoder(
            vision=spec.Vision(
                vision.transformer(),
                image_size=vision.image_size,
                patch_size=vision.patch_size,
                **preprocessing._asdict(),
            ),
            text=spec.Text(
                text.transformer(),
                vocabulary=text.vocab_size,
                context_length=text.max_position_embeddings,
                **_pooling(text),
            ),
            embedding=config.projection_dim,
        )
    return canonical(shape)


def _pooling(text: TextConfig) -> dict[str, Any]:
    if text.eos_token_id == LEGACY_EOS:
        return highest_id(text.vocab_size)
    return {"pooling": "eos", "eos_id": text.eos_token_id}


def files(shape: spec.DualEncoder) -> Files:
    """Return the JSON files of a folder, the tokenizer's excepted."""
    text, vision = shape.text, shape.vision
    by_highest_id = canonical(shape).text.pooling == "argmax"
    written = {
        huggingface.FILE: {
            "model_type": "clip",
            "architectures": ["CLIPModel"],
            "projection_dim": shape.embedding,
            "text_config": {
                **huggingface.blocks_settings(text.transformer),
                "vocab_size": text.vocabulary,
                "max_position_embeddings": text.context_length,
                "eos_token_id": LEGACY_EOS if by_highest_id else text.eos_id,
                "projection_dim": shape.embedding,
            },
            "vision_config": {
                **huggingface.blocks_settings(vision.transformer),
                "image_size": vision.image_size,
                "patch_size": vision.patch_size,
                "projection_dim": shape.embedding,
            },
        },
        huggingface_preprocessing.FILE: huggingface_preprocessing.write(vision),
    }
    refuse_what_is_lost("a Hugging Face CLIPModel", shape, describe(written))
    return written


def rules(shape: spec.DualEncoder) -> tuple[Rule, ...]:
    """The table of weights."""
    return (
        same("vision/class_token", "vision_model.embeddings.class_embedding"),
        *huggingface.vision_rules(shape.vision),
        *norm("vision/norm_pre", "vision_model.pre_layrnorm"),  # so spelled
        *linear("vision/projection", "visual_projection", bias=False),
        *huggingface.text_rules(shape.text),
        *linear("text/projection", "text_projection", bias=False),
        same("logit_scale", "logit_scale"),
    )


FAMILY = Family(
    name="Hugging Face CLIP",
    format="huggingface",
    recognises=lambda files: huggingface.model_type(files) == "clip",
    describe=describe,
    files=files,
    rules=rules,
    ignorable=huggingface.POSITION_IDS,
)
