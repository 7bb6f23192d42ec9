"""Hugging Face's `SiglipModel` (`model_type: siglip`): SigLIP, and SigLIP 2 of fixed resolution."""

from dataclasses import dataclass, field
from typing import Literal

from kgclip_jax.convert import huggingface, huggingface_preprocessing
from kgclip_jax.convert.clip_layouts import SIGLIP_EOS, SIGLIP_VISION, SIGMOID
from kgclip_jax.convert.family import Family, Files, refuse_what_is_lost
from kgclip_jax.convert.foreign_config import reading
from kgclip_jax.convert.rules import Rule, linear, norm, same
from kgclip_jax.convert.transforms import TRANSPOSE, beside, chain, fuse, reshape, unpack
from kgclip_jax.models import spec


@dataclass(frozen=True)
class TextConfig(huggingface.Blocks):
    """Settings of the text tower. Attributes: as in transformers."""

    hidden_size: int = 768
    intermediate_size: int = 3072
    num_attention_heads: int = 12
    hidden_act: Literal["quick_gelu", "gelu", "gelu_pytorch_tanh"] = "gelu_pytorch_tanh"
    layer_norm_eps: float = 1e-6
    vocab_size: int = 32000
    max_position_embeddings: int = 64
    projection_size: int | None = None


@dataclass(frozen=True)
class VisionConfig(huggingface.Blocks):
    """Settings of the vision tower. Attributes: as in transformers."""

    hidden_size: int = 768
    intermediate_size: int = 3072
    num_attention_heads: int = 12
    hidden_act: Literal["quick_gelu", "gelu", "gelu_pytorch_tanh"] = "gelu_pytorch_tanh"
    layer_norm_eps: float = 1e-6
    num_channels: Literal[3] = 3
    image_size: int = 224
    patch_size: int = 16
    vision_use_head: Literal[True] = True


@dataclass(frozen=True)
class Config:
    """`config.json`. Attributes: as in transformers; a model with code of its own is refused."""

    text_config: TextConfig = field(default_factory=TextConfig)
    vision_config: VisionConfig = field(default_factory=VisionConfig)
    auto_map: Literal[None] = None


def describe(files: Files) -> spec.DualEncoder:
    """Return the architecture that a folder's JSON files describe."""
    with reading(huggingface.FILE):
        config = huggingface.parse(Config, files[huggingface.FILE])
        text, vision = config.text_config, config.vision_config
        preprocessing = huggingface_preprocessing.read(
            files, vision.image_size, huggingface_preprocessing.SIGLIP
        )
        return spec.DualEncoder(
            vision=spec.Vision(
                vision.transformer(),
                image_size=vision.image_size,
                patch_size=vision.patch_size,
                **SIGLIP_VISION,
                **preprocessing._asdict(),
            ),
            text=spec.Text(
                text.transformer(),
                vocabulary=text.vocab_size,
                context_length=text.max_position_embeddings,
                causal=False,
                pooling="last",
                eos_id=SIGLIP_EOS,
                projection_bias=True,
            ),
            embedding=text.projection_size or text.hidden_size,
            initial_values="siglip",
            **SIGMOID,
        )


def files(shape: spec.DualEncoder) -> Files:
    """Return the JSON files of a folder, the tokenizer's excepted."""
    text, vision = shape.text, shape.vision
    written = {
        huggingface.FILE: {
            "model_type": "siglip",
            "architectures": ["SiglipModel"],
            "text_config": {
                **huggingface.blocks_settings(text.transformer),
                "vocab_size": text.vocabulary,
                "max_position_embeddings": text.context_length,
                "projection_size": vision.transformer.width,  # is the embedding, or nothing fits
                "eos_token_id": text.eos_id,
                "bos_token_id": None,
            },
            "vision_config": {
                **huggingface.blocks_settings(vision.transformer),
                "image_size": vision.image_size,
                "patch_size": vision.patch_size,
            },
        },
        huggingface_preprocessing.FILE: huggingface_preprocessing.write(vision),
    }
    refuse_what_is_lost("a Hugging Face SiglipModel", shape, describe(written))
    return written


def rules(shape: spec.DualEncoder) -> tuple[Rule, ...]:
    """The table of weights."""
    return (
        *huggingface.vision_rules(shape.vision),
        same("vision/patch/bias", "vision_model.embeddings.patch_embedding.bias"),
        *_pool_rules(shape.vision.transformer),
        *huggingface.text_rules(shape.text),
        *linear("text/projection", "text_model.head"),
        same("logit_scale", "logit_scale", reshape((), (1,))),
        same("logit_bias", "logit_bias", reshape((), (1,))),
    )


def _pool_rules(transformer: spec.Transformer) -> tuple[Rule, ...]:
    """The attention pooling; torch keeps the maps to query, key and value in one matrix."""
    ours, theirs, width = "vision/pool", "vision_model.head", transformer.width
    split = chain(unpack(3), beside(TRANSPOSE, fuse(2, transformer.heads)))
    return (
        same(f"{ours}/probe", f"{theirs}.probe", reshape((width,), (1, 1, width))),
        Rule(
            (f"{ours}/query/kernel", f"{ours}/key_value/kernel"),
            (f"{theirs}.attention.in_proj_weight",),
            split,
        ),
        Rule(
            (f"{ours}/query/bias", f"{ours}/key_value/bias"),
            (f"{theirs}.attention.in_proj_bias",),
            split,
        ),
        *linear(f"{ours}/out", f"{theirs}.attention.out_proj"),
        *norm(f"{ours}/norm", f"{theirs}.layernorm"),
        *linear(f"{ours}/mlp/up", f"{theirs}.mlp.fc1"),
        *linear(f"{ours}/mlp/down", f"{theirs}.mlp.fc2"),
    )


FAMILY = Family(
    name="Hugging Face SigLIP",
    format="huggingface",
    recognises=lambda files: huggingface.model_type(files) == "siglip",
    describe=describe,
    files=files,
    rules=rules,
    ignorable=huggingface.POSITION_IDS,
)
