"""Small models of the PyTorch libraries with random weights, one for each layout that they have.

Widths, depths, heads and activations of the two towers differ wherever the library lets them, so
that nothing can be mixed up unnoticed.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import torch
from open_clip.model import CLIP, CustomTextCLIP
from timm.models import register_model
from timm.models.vision_transformer import _create_vision_transformer
from transformers import CLIPConfig, CLIPModel, SiglipConfig, SiglipModel

from kgclip_jax.convert import (
    huggingface,
    huggingface_preprocessing,
    open_clip_config,
    openai,
)
from kgclip_jax.convert.clip_layouts import CLIP_VOCABULARY
from kgclip_jax.convert.open_clip_siglip import TRUNKS, Trunk
from kgclip_jax.models import spec
from kgclip_jax.models.dual_encoder import Model

IMAGE, PATCH, CONTEXT, VOCABULARY, EMBEDDING = 24, 8, 10, 300, 40
LAST = VOCABULARY - 1
END = 280  # of a text, where the tower looks for it by its id; some tokens have higher ids

MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.3, 0.25)


class Twin(NamedTuple):
    """A model of PyTorch with its description.

    Attributes:
        family: that it belongs to.
        files: its JSON files.
        model: the module.
        build: from JSON files to a module of the same class.
    """

    family: str
    files: dict[str, Any]
    model: torch.nn.Module
    build: Callable[[dict[str, Any]], torch.nn.Module]

    def weights(self):
        return {name: value.numpy() for name, value in self.model.state_dict().items()}


def perturbed(model):
    """Move every parameter away from its initial value, zeros and ones above all."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=generator)
    return model.eval()


def huggingface_twin(family, model, settings, text, vision, **top):
    def build(files):
        return model(settings.from_dict(files[huggingface.FILE]))

    config = settings(
        text_config={
            "hidden_size": 24,
            "num_hidden_layers": 2,
            "num_attention_heads": 3,
            "intermediate_size": 56,
            "vocab_size": VOCABULARY,
            "max_position_embeddings": CONTEXT,
            "bos_token_id": None,
            **text,
        },
        vision_config={
            "hidden_size": 32,
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
            "intermediate_size": 48,
            "image_size": IMAGE,
            "patch_size": PATCH,
            **vision,
        },
        **top,
    )
    files = {
        huggingface.FILE: config.to_dict(),
        huggingface_preprocessing.FILE: {"image_mean": MEAN, "image_std": STD, "resample": 2},
    }
    return Twin(family, files, perturbed(build(files)), build)


def huggingface_clip(act="gelu", eos=LAST, vocabulary=VOCABULARY, **vision):
    return huggingface_twin(
        "Hugging Face CLIP",
        CLIPModel,
        CLIPConfig,
        {
            "hidden_act": act,
            "eos_token_id": eos,
            "vocab_size": vocabulary,
            "layer_norm_eps": 1e-3,
        },
        {"hidden_act": act, **vision},
        projection_dim=EMBEDDING,
    )


def huggingface_siglip(act="gelu_pytorch_tanh", **vision):
    return huggingface_twin(
        "Hugging Face SigLIP",
        SiglipModel,
        SiglipConfig,
        {"hidden_act": act, "projection_size": 32, "eos_token_id": 1},
        {"hidden_act": act, **vision},
    )


def build_open_clip(files):
    config = dict(files[open_clip_config.FILE]["model_cfg"])
    return (CustomTextCLIP if config.pop("custom_text", False) else CLIP)(**config)


def open_clip_twin(family="open_clip ViT", text=None, vision=None, **model):
    config = {
        "embed_dim": EMBEDDING,
        **model,
        "text_cfg": {
            "width": 24,
            "layers": 2,
            "heads": 3,
            "vocab_size": VOCABULARY,
            "context_length": CONTEXT,
            **(text or {}),
        },
        "vision_cfg": vision
        if "timm_model_name" in (vision or {})
        else {
            "width": 32,
            "layers": 3,
            "head_width": 8,
            "mlp_ratio": 1.7,  # 54.4 hidden features: rounded down
            "image_size": IMAGE,
            "patch_size": PATCH,
            **(vision or {}),
        },
    }
    preprocess = {"mean": MEAN, "std": STD, "resize_mode": "squash", "interpolation": "bilinear"}
    files = {open_clip_config.FILE: {"model_cfg": config, "preprocess_cfg": preprocess}}
    return Twin(family, files, perturbed(build_open_clip(files)), build_open_clip)


CLIPA_TEXT = {"pool_type": "last", "no_causal_mask": True}
CLIPA_VISION = {"no_ln_pre": True, "pool_type": "avg", "final_ln_after_pool": True}
SIGLIP_TEXT = {
    "no_causal_mask": True,
    "proj_bias": True,
    "pool_type": "last",
    "norm_kwargs": {"eps": 1e-6},
}
TINY_TRUNKS = {
    "vit_tiny_patch8_siglip_24": "gelu_erf",
    "vit_tiny_patch8_siglip_tanh_24": "gelu_tanh",
}


def _register(name, activation):
    def build(pretrained=False, **settings):
        return _create_vision_transformer(
            name,
            pretrained,
            img_size=IMAGE,
            patch_size=PATCH,
            embed_dim=32,
            depth=3,
            num_heads=4,
            mlp_ratio=1.5,
            class_token=False,
            act_layer={"gelu_erf": "gelu", "gelu_tanh": "gelu_tanh"}[activation],
            **settings,
        )

    build.__name__ = name
    register_model(build)


for name, activation in TINY_TRUNKS.items():
    _register(name, activation)


def know_tiny_trunks(monkeypatch):
    """Make the tiny towers of timm known for one test."""
    for name, activation in TINY_TRUNKS.items():
        transformer = spec.Transformer(32, 3, 4, 48, activation, norm_eps=1e-6)
        monkeypatch.setitem(TRUNKS, name, Trunk(transformer, PATCH, IMAGE))


def open_clip_siglip(trunk="vit_tiny_patch8_siglip_24", **text):
    vision = {
        "timm_model_name": trunk,
        "timm_pool": "map",
        "timm_proj": "none",
        "image_size": IMAGE,
    }
    return open_clip_twin(
        "open_clip SigLIP",
        {**SIGLIP_TEXT, **text},
        vision,
        embed_dim=32,
        custom_text=True,
        init_logit_bias=-10,
    )


def openai_clip():
    def build(_=None):
        tower = {"width": 64, "layers": 2}
        text = {**tower, "heads": 1, "vocab_size": VOCABULARY, "context_length": CONTEXT}
        vision = {"width": 128, "layers": 3, "image_size": IMAGE, "patch_size": PATCH}
        return CLIP(EMBEDDING, vision, text, quick_gelu=True)

    model = perturbed(build())
    shapes = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    return Twin("OpenAI CLIP", {openai.SHAPES: shapes}, model, build)


TWINS = {
    "Hugging Face CLIP, quick_gelu": lambda: huggingface_clip("quick_gelu"),
    "Hugging Face CLIP, gelu": huggingface_clip,
    "Hugging Face CLIP, legacy end of text": lambda: huggingface_clip(eos=2),
    "Hugging Face CLIP, legacy with tokens above the end": lambda: huggingface_clip(
        eos=2, vocabulary=CLIP_VOCABULARY + 3
    ),
    "Hugging Face CLIP, tokens above the end": lambda: huggingface_clip(eos=END),
    "Hugging Face CLIP, eps": lambda: huggingface_clip(layer_norm_eps=1e-2),
    "Hugging Face SigLIP": huggingface_siglip,
    "Hugging Face SigLIP, gelu": lambda: huggingface_siglip("gelu"),
    "Hugging Face SigLIP, pixels beyond the patches": lambda: huggingface_siglip(image_size=29),
    "open_clip ViT, gelu": open_clip_twin,
    "open_clip ViT, quick_gelu": lambda: open_clip_twin(quick_gelu=True),
    "open_clip ViT, tanh": lambda: open_clip_twin(
        text={"act_kwargs": {"approximate": "tanh"}}, vision={"norm_kwargs": {"eps": 1e-2}}
    ),
    "open_clip ViT, tokens above the end": lambda: open_clip_twin(
        text={"pool_type": "eos", "eos_id": END}
    ),
    "open_clip ViT, mean": lambda: open_clip_twin(vision={"pool_type": "avg"}),
    "open_clip ViT, CLIPA": lambda: open_clip_twin(text=CLIPA_TEXT, vision=CLIPA_VISION),
    "open_clip ViT, biases": lambda: open_clip_twin(text={"proj_bias": True}, init_logit_bias=-10),
    "open_clip ViT, custom_text": lambda: open_clip_twin(custom_text=True),
    "open_clip SigLIP": open_clip_siglip,
    "open_clip SigLIP, tanh": lambda: open_clip_siglip(
        "vit_tiny_patch8_siglip_tanh_24", act_kwargs={"approximate": "tanh"}
    ),
    "OpenAI CLIP": openai_clip,
}
"""The layouts that published models have, and what else the libraries' settings can say."""


class Pairs(NamedTuple):
    """Pictures and texts for both libraries."""

    images: np.ndarray
    tokens: np.ndarray


def batch_for(shape):
    """Pictures of noise, and texts of different lengths, padded with zeros after their end.

    Where tokens stand above the end of text, one of them is in the longest text.
    """
    rng, highest = np.random.default_rng(0), shape.text.vocabulary - 1
    end = highest if shape.text.pooling == "last" else shape.text.eos_id
    tokens = np.zeros((5, CONTEXT), np.int32)
    for row, length in zip(tokens, (1, 3, 4, 8, CONTEXT - 1), strict=True):
        row[:length] = rng.choice(np.delete(np.arange(3, highest + 1), end - 3), length)
        row[length] = end
    tokens[-1, 2] = highest if end < highest else 3
    size = shape.vision.image_size
    return Pairs(rng.integers(0, 256, (5, size, size, 3), dtype=np.uint8), tokens)


class Features(NamedTuple):
    """Features are not normalised; the logits are of each image with each text."""

    image: np.ndarray
    text: np.ndarray
    logits: np.ndarray


def torch_features(model, batch, shape):
    """What a model of PyTorch makes of a batch."""
    pixels = (batch.images / np.float32(255) - np.float32(shape.vision.mean)) / np.float32(
        shape.vision.std
    )
    pixels = torch.tensor(pixels.transpose(0, 3, 1, 2))
    tokens = torch.tensor(batch.tokens).long()
    with torch.no_grad():
        if isinstance(model, CLIP | CustomTextCLIP):
            image, text = model.encode_image(pixels), model.encode_text(tokens)
            logits = model.get_logits(pixels, tokens)[0]
        else:
            image = model.get_image_features(pixels).pooler_output
            text = model.get_text_features(tokens).pooler_output
            logits = model(tokens, pixels).logits_per_image
    return Features(image.numpy(), text.numpy(), logits.numpy())


def jax_features(params, batch, shape):
    """What our model makes of a batch."""
    model = Model(shape)

    @jax.jit
    def towers(params, batch):
        module = model.bind(params)
        return module.vision(batch.images).pooled, module.text(batch.tokens).pooled

    image, text = jax.device_get(towers(*jax.tree.map(jnp.asarray, (params, batch))))
    cosines = unit(image) @ unit(text).T
    bias = params.get("logit_bias", 0)
    return Features(image, text, np.exp(params["logit_scale"]) * cosines + bias)


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)
