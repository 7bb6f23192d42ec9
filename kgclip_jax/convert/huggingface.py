"""What Hugging Face's `CLIPModel` and `SiglipModel` have in common: blocks, embeddings, settings.

The classes of transformers read the settings that they declare and no others, so that unknown ones
in a `config.json`, of which old files are full, mean nothing there and here.
"""

import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from kgclip_jax import schema
from kgclip_jax.convert.family import Files
from kgclip_jax.convert.foreign_config import known
from kgclip_jax.convert.rules import Rule, fused, linear, norm, same
from kgclip_jax.convert.transforms import patches
from kgclip_jax.models import spec

T = TypeVar("T")

FILE = "config.json"
ACTIVATIONS: dict[str, spec.Activation] = {
    "quick_gelu": "quick_gelu",
    "gelu": "gelu_erf",
    "gelu_pytorch_tanh": "gelu_tanh",
}
POSITION_IDS = frozenset(
    {"text_model.embeddings.position_ids", "vision_model.embeddings.position_ids"}
)
"""Buffers that count 0, 1, 2 ...; transformers saved them until version 4.31."""


@dataclass(frozen=True)
class Blocks:
    """Settings of a stack of blocks. Attributes: as in transformers."""

    hidden_size: int
    intermediate_size: int
    num_attention_heads: int
    hidden_act: Literal["quick_gelu", "gelu", "gelu_pytorch_tanh"]
    layer_norm_eps: float
    num_hidden_layers: int = 12

    def transformer(self) -> spec.Transformer:
        """The stack, in our words."""
        return spec.Transformer(
            width=self.hidden_size,
            depth=self.num_hidden_layers,
            heads=self.num_attention_heads,
            mlp_width=self.intermediate_size,
            activation=ACTIVATIONS[self.hidden_act],
            norm_eps=self.layer_norm_eps,
        )


def blocks_settings(transformer: spec.Transformer) -> dict[str, Any]:
    """The settings of a stack of blocks, by the names of transformers."""
    return {
        "hidden_size": transformer.width,
        "intermediate_size": transformer.mlp_width,
        "num_attention_heads": transformer.heads,
        "hidden_act": {ours: name for name, ours in ACTIVATIONS.items()}[transformer.activation],
        "layer_norm_eps": transformer.norm_eps,
        "num_hidden_layers": transformer.depth,
    }


def model_type(files: Files) -> str:
    """The type of model of the `config.json`; empty where there is none or it does not say."""
    return str(files.get(FILE, {}).get("model_type") or "")


def parse(cls: type[T], config: Mapping[str, Any]) -> T:
    """Read a config of two towers as `cls` has it; raises ConfigError.

    Very old files keep a second version of a tower's settings, such as "text_config_dict", which
    replaces the first one, defaults included.
    """
    settings = known(cls, config)
    for tower in ("text_config", "vision_config"):
        if (override := config.get(f"{tower}_dict")) is not None:
            settings[tower] = known(typing.get_type_hints(cls)[tower], override)
    return schema.parse(cls, settings, path="config")


def text_rules(text: spec.Text) -> tuple[Rule, ...]:
    """The text tower without its projection."""
    return (
        same("text/embedding", "text_model.embeddings.token_embedding.weight"),
        same("text/positions", "text_model.embeddings.position_embedding.weight"),
        *_block_rules("text", text.transformer.heads),
        *norm("text/norm_post", "text_model.final_layer_norm"),
    )


def vision_rules(vision: spec.Vision) -> tuple[Rule, ...]:
    """The vision tower without class token, biases, pooling and projection."""
    embeddings = "vision_model.embeddings"
    return (
        same(
            "vision/patch/kernel",
            f"{embeddings}.patch_embedding.weight",
            patches(vision.patch_size),
        ),
        same("vision/positions", f"{embeddings}.position_embedding.weight"),
        *_block_rules("vision", vision.transformer.heads),
        *norm("vision/norm_post", "vision_model.post_layernorm"),
    )


def _block_rules(tower: str, heads: int) -> tuple[Rule, ...]:
    ours, theirs = f"{tower}/blocks", f"{tower}_model.encoder.layers.{{layer}}"
    return (
        *norm(f"{ours}/norm1", f"{theirs}.layer_norm1"),
        *fused(
            f"{ours}/attention/qkv",
            [f"{theirs}.self_attn.{part}_proj" for part in "qkv"],
            heads,
        ),
        *linear(f"{ours}/attention/out", f"{theirs}.self_attn.out_proj"),
        *norm(f"{ours}/norm2", f"{theirs}.layer_norm2"),
        *linear(f"{ours}/mlp/up", f"{theirs}.mlp.fc1"),
        *linear(f"{ours}/mlp/down", f"{theirs}.mlp.fc2"),
    )
