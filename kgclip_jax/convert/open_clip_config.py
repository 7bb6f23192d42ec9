"""`open_clip_config.json`: the settings that all models of open_clip share.

open_clip hands unknown settings to constructors that refuse them, and so they are refused here.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from kgclip_jax import schema
from kgclip_jax.convert.clip_layouts import SIGMOID, highest_id
from kgclip_jax.convert.family import Files
from kgclip_jax.convert.foreign_config import known, section
from kgclip_jax.errors import ConfigError
from kgclip_jax.models import spec

T = TypeVar("T")

FILE = "open_clip_config.json"

HARMLESS = frozenset(
    {
        # of training, or of a fresh start
        "init_logit_scale",
        "patch_dropout",
        "timm_drop",
        "timm_drop_path",
        "timm_model_pretrained",
        # of parts that are refused when they are there
        "attn_pooler_heads",
        "attn_pooler_queries",
        "hf_model_pretrained",
        "hf_pooler_type",
        "hf_proj_type",
        "pad_id",
        "timm_pool",
        "timm_proj",
        "timm_proj_bias",
        # of the tokenizer
        "hf_tokenizer_name",
        "tokenizer_kwargs",
        "tokenizer_mode",
        # of how modules are nested, scalars shaped and outputs wrapped
        "custom_text",
        "nonscalar_logit_scale",
        "output_dict",
        "output_tokens",
    }
)
"""Settings that do not change what a trained model computes, where nobody asks for them."""


@dataclass(frozen=True)
class ActKwargs:
    """Arguments of torch's GELU."""

    approximate: Literal["none", "tanh"] = "none"


@dataclass(frozen=True)
class NormKwargs:
    """Arguments of torch's layer norm."""

    eps: float = 1e-5


@dataclass(frozen=True)
class Tower:
    """Settings of open_clip's own transformers. Attributes: as there.

    Those that take a single value are variants of the block that have no counterpart here.
    """

    width: int
    layers: int = 12
    mlp_ratio: float = 4.0
    act_kwargs: ActKwargs | None = None
    norm_kwargs: NormKwargs | None = None
    ls_init_value: Literal[None] = None
    block_type: Literal[None, "default"] = None
    qk_norm: Literal[False] = False
    scaled_cosine_attn: Literal[False] = False
    scale_heads: Literal[False] = False
    scale_attn_inner: Literal[False] = False
    scale_attn: Literal[False] = False
    scale_fc: Literal[False] = False

    def transformer(self, heads: int, *, quick_gelu: bool) -> spec.Transformer:
        """The stack of blocks. Raises ValueError for two activations at once."""
        schema.check(
            not (quick_gelu and self.act_kwargs), "quick_gelu takes no act_kwargs; choose one"
        )
        tanh = self.act_kwargs is not None and self.act_kwargs.approximate == "tanh"
        return spec.Transformer(
            width=self.width,
            depth=self.layers,
            heads=heads,
            mlp_width=int(self.width * self.mlp_ratio),
            activation="quick_gelu" if quick_gelu else "gelu_tanh" if tanh else "gelu_erf",
            norm_eps=(self.norm_kwargs or NormKwargs()).eps,
        )


@dataclass(frozen=True)
class TextCfg(Tower):
    """Settings of the text tower. Attributes: as in open_clip."""

    width: int = 512
    heads: int = 8
    vocab_size: int = 49408
    context_length: int = 77
    no_causal_mask: bool = False
    pool_type: Literal["argmax", "eos", "last"] = "argmax"
    eos_id: int = 2
    proj_bias: bool = False
    proj_type: Literal["linear"] = "linear"
    embed_cls: Literal[False] = False
    final_ln_after_pool: bool = False  # open_clip has no use for it in texts
    hf_model_name: Literal[None] = None

    def text(self, *, quick_gelu: bool) -> spec.Text:
        """The text tower, in our words."""
        pooling: dict[str, Any] = {"pooling": self.pool_type, "eos_id": self.eos_id}
        return spec.Text(
            self.transformer(self.heads, quick_gelu=quick_gelu),
            vocabulary=self.vocab_size,
            context_length=self.context_length,
            causal=not self.no_causal_mask,
            projection_bias=self.proj_bias,
            **highest_id(self.vocab_size) if self.pool_type == "argmax" else pooling,
        )


@dataclass(frozen=True)
class PreprocessCfg:
    """Settings of the preprocessing of pictures. Attributes: as in open_clip."""

    mean: tuple[float, float, float] = spec.CLIP_MEAN
    std: tuple[float, float, float] = spec.CLIP_STD
    interpolation: Literal["bicubic", "bilinear"] = "bicubic"
    resize_mode: Literal["shortest", "squash"] = "shortest"
    mode: Literal["RGB"] = "RGB"


def is_siglip(files: Files) -> bool:
    """Whether the vision tower is one of timm's for SigLIP."""
    try:
        vision = section(_model(files.get(FILE, {})), "vision_cfg")
    except ConfigError:  # which describing it says, with the name of the file
        return False
    return "siglip" in str(vision.get("timm_model_name"))


def parse(cls: type[T], files: Files) -> T:
    """Read the settings of the model as `cls` has them. Raises ConfigError."""
    settings = known(cls, _model(files[FILE]), droppable=HARMLESS)
    return schema.parse(cls, settings, path="model_cfg")


def preprocessing(files: Files) -> dict[str, Any]:
    """Read the preprocessing, as fields of `spec.Vision`. Raises ConfigError."""
    given = section(files[FILE], "preprocess_cfg")
    chosen = {key: value for key, value in known(PreprocessCfg, given).items() if value is not None}
    settings = schema.parse(PreprocessCfg, chosen, path="preprocess_cfg")
    return {
        "mean": settings.mean,
        "std": settings.std,
        "resize": settings.resize_mode,
        "interpolation": settings.interpolation,
    }


def temperature(init_logit_bias: float | None) -> dict[str, Any]:
    """Where training starts, as fields of `spec.DualEncoder`: like SigLIP's with a logit bias."""
    return {} if init_logit_bias is None else SIGMOID


def _model(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The model's settings, which in the files of the library itself stand alone."""
    return section(config, "model_cfg") if "model_cfg" in config else config


def tower_settings(transformer: spec.Transformer) -> dict[str, Any]:
    """Write the settings of a stack of blocks, heads excepted."""
    settings: dict[str, Any] = {
        "width": transformer.width,
        "layers": transformer.depth,
        "mlp_ratio": _mlp_ratio(transformer),
    }
    if transformer.activation == "gelu_tanh":
        settings["act_kwargs"] = {"approximate": "tanh"}
    if transformer.norm_eps != NormKwargs().eps:
        settings["norm_kwargs"] = {"eps": transformer.norm_eps}
    return settings


def _mlp_ratio(transformer: spec.Transformer) -> float:
    """The ratio from which open_clip computes the hidden width, rounding down."""
    ratio = transformer.mlp_width / transformer.width
    exact = int(transformer.width * ratio) == transformer.mlp_width
    return ratio if exact else math.nextafter(ratio, math.inf)


def text_settings(text: spec.Text) -> dict[str, Any]:
    """Write the settings of the text tower."""
    highest = text.pooling == "argmax" or (
        text.pooling == "eos" and text.eos_id == text.vocabulary - 1
    )
    pooling = {} if text.pooling == "last" or highest else {"eos_id": text.eos_id}
    return {
        "context_length": text.context_length,
        "vocab_size": text.vocabulary,
        "heads": text.transformer.heads,
        **tower_settings(text.transformer),
        "no_causal_mask": not text.causal,
        "proj_bias": text.projection_bias,
        "pool_type": "argmax" if highest else text.pooling,
        **pooling,
    }


def config(
    shape: spec.DualEncoder, *, vision_cfg: Mapping[str, Any], **settings: Any
) -> dict[str, dict[str, Any]]:
    """Write the JSON file, given the settings of the vision tower and of the model as a whole."""
    vision, bias = shape.vision, shape.logit_bias
    model = {
        **settings,
        **({} if bias is None else {"init_logit_bias": bias}),
        "vision_cfg": dict(vision_cfg),
        "text_cfg": text_settings(shape.text),
    }
    preprocess = {
        "mean": list(vision.mean),
        "std": list(vision.std),
        "interpolation": vision.interpolation,
        "resize_mode": vision.resize,
    }
    return {FILE: {"model_cfg": model, "preprocess_cfg": preprocess}}
