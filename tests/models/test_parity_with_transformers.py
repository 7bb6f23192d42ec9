"""The towers against Hugging Face `transformers`: random twins with the same weights."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from transformers import CLIPConfig, CLIPModel, SiglipConfig, SiglipModel

from kgclip_jax.models.dual_encoder import Model
from kgclip_jax.models.presets import preset
from kgclip_jax.types import Batch

WIDTH, MLP, HEADS, DEPTH, EMBEDDING = 32, 48, 4, 3, 24
IMAGE, PATCH, CONTEXT, VOCABULARY = 24, 8, 10, 300
END = VOCABULARY - 1

BLOCKS = {
    "hidden_size": WIDTH,
    "intermediate_size": MLP,
    "num_attention_heads": HEADS,
    "num_hidden_layers": DEPTH,
}
VISION = BLOCKS | {"image_size": IMAGE, "patch_size": PATCH}
TEXT = BLOCKS | {"vocab_size": VOCABULARY, "max_position_embeddings": CONTEXT}


def perturbed(model):
    """Move every parameter away from its initial value, zeros and ones above all."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=generator)
    return model.eval()


def clip_twin(activation, eos_token_id):
    text = TEXT | {"hidden_act": activation, "eos_token_id": eos_token_id}
    vision = VISION | {"hidden_act": activation}
    settings = CLIPConfig(text_config=text, vision_config=vision, projection_dim=EMBEDDING)
    return perturbed(CLIPModel(settings))


def siglip_twin():
    text = TEXT | {"projection_size": WIDTH}
    return perturbed(SiglipModel(SiglipConfig(text_config=text, vision_config=VISION)))


def shape_like(name, embedding):
    """A published architecture with the dimensions of the twins."""
    small = {"width": WIDTH, "depth": DEPTH, "heads": HEADS, "mlp_width": MLP}
    shape = preset(name)
    vision = replace(shape.vision, transformer=replace(shape.vision.transformer, **small))
    vision = replace(vision, image_size=IMAGE, patch_size=PATCH)
    text = replace(shape.text, transformer=replace(shape.text.transformer, **small))
    text = replace(text, vocabulary=VOCABULARY, context_length=CONTEXT, eos_id=END)
    return replace(shape, vision=vision, text=text, embedding=embedding)


def linear(weights, name):
    bias = {"bias": weights[f"{name}.bias"]} if f"{name}.bias" in weights else {}
    return {"kernel": weights[f"{name}.weight"].T} | bias


def norm(weights, name):
    return {"scale": weights[f"{name}.weight"], "bias": weights[f"{name}.bias"]}


def mlp(weights, name):
    return {"up": linear(weights, f"{name}.fc1"), "down": linear(weights, f"{name}.fc2")}


def fused(parts):
    """Join projections so that the columns are ordered (head, projection, feature)."""
    kernels = [part["kernel"].reshape(WIDTH, HEADS, -1) for part in parts]
    biases = [part["bias"].reshape(HEADS, -1) for part in parts]
    return {
        "kernel": np.stack(kernels, axis=2).reshape(WIDTH, -1),
        "bias": np.stack(biases, axis=1).reshape(-1),
    }


def blocks(weights, tower):
    def block(number):
        name = f"{tower}.encoder.layers.{number}"
        heads = [linear(weights, f"{name}.self_attn.{part}_proj") for part in "qkv"]
        return {
            "norm1": norm(weights, f"{name}.layer_norm1"),
            "attention": {
                "qkv": fused(heads),
                "out": linear(weights, f"{name}.self_attn.out_proj"),
            },
            "norm2": norm(weights, f"{name}.layer_norm2"),
            "mlp": mlp(weights, f"{name}.mlp"),
        }

    return jax.tree.map(lambda *layers: np.stack(layers), *map(block, range(DEPTH)))


def patch(weights):
    name = "vision_model.embeddings.patch_embedding"
    kernel = weights[f"{name}.weight"].transpose(2, 3, 1, 0).reshape(-1, WIDTH)
    bias = {"bias": weights[f"{name}.bias"]} if f"{name}.bias" in weights else {}
    return {"kernel": kernel} | bias


def pool(weights):
    """SigLIP's MAP head; torch keeps the three input projections in one matrix."""
    name = "vision_model.head"
    kernels = np.split(weights[f"{name}.attention.in_proj_weight"], 3)
    biases = np.split(weights[f"{name}.attention.in_proj_bias"], 3)
    q, k, v = (
        {"kernel": kernel.T, "bias": bias} for kernel, bias in zip(kernels, biases, strict=True)
    )
    return {
        "probe": weights[f"{name}.probe"].reshape(-1),
        "query": q,
        "key_value": fused([k, v]),
        "out": linear(weights, f"{name}.attention.out_proj"),
        "norm": norm(weights, f"{name}.layernorm"),
        "mlp": mlp(weights, f"{name}.mlp"),
    }


def text_params(weights, projection):
    return {
        "embedding": weights["text_model.embeddings.token_embedding.weight"],
        "positions": weights["text_model.embeddings.position_embedding.weight"],
        "blocks": blocks(weights, "text_model"),
        "norm_post": norm(weights, "text_model.final_layer_norm"),
        "projection": linear(weights, projection),
    }


def vision_params(weights):
    return {
        "patch": patch(weights),
        "positions": weights["vision_model.embeddings.position_embedding.weight"],
        "blocks": blocks(weights, "vision_model"),
        "norm_post": norm(weights, "vision_model.post_layernorm"),
    }


def numpy_weights(twin):
    return {name: value.numpy() for name, value in twin.state_dict().items()}


def clip_params(twin):
    weights = numpy_weights(twin)
    vision = vision_params(weights) | {
        "class_token": weights["vision_model.embeddings.class_embedding"],
        "norm_pre": norm(weights, "vision_model.pre_layrnorm"),
        "projection": linear(weights, "visual_projection"),
    }
    text = text_params(weights, "text_projection")
    return {"vision": vision, "text": text, "logit_scale": weights["logit_scale"]}


def siglip_params(twin):
    weights = numpy_weights(twin)
    vision = vision_params(weights) | {"pool": pool(weights)}
    text = text_params(weights, "text_model.head")
    scalars = {name: weights[name].reshape(()) for name in ("logit_scale", "logit_bias")}
    return {"vision": vision, "text": text, **scalars}


@pytest.fixture(scope="module")
def batch():
    """Texts of different lengths, padded with zeros after their end; pictures of noise."""
    rng = np.random.default_rng(0)
    tokens = np.zeros((5, CONTEXT), np.int32)
    for row, length in zip(tokens, (1, 3, 4, 8, CONTEXT - 1), strict=True):
        row[:length] = rng.integers(3, END, length)
        row[length] = END
    return Batch(rng.integers(0, 256, (5, IMAGE, IMAGE, 3), dtype=np.uint8), tokens)


def features_of_twin(twin, batch, shape):
    """(image features, text features, logits) in torch, features not normalised."""
    mean, std = np.float32(shape.vision.mean), np.float32(shape.vision.std)
    pixels = (batch.images.astype(np.float32) / 255 - mean) / std
    pixels = torch.tensor(pixels.transpose(0, 3, 1, 2))
    tokens = torch.tensor(batch.tokens).long()
    with torch.no_grad():
        image = twin.vision_model(pixels).pooler_output
        text = twin.text_model(tokens).pooler_output
        if isinstance(twin, CLIPModel):  # SigLIP's text projection is part of its text model
            image, text = twin.visual_projection(image), twin.text_projection(text)
        logits = twin(tokens, pixels).logits_per_image
    return image.numpy(), text.numpy(), logits.numpy()


def assert_parity(twin, params, shape, batch):
    model = Model(shape)
    expected = jax.tree.map(lambda leaf: leaf.shape, model.abstract())
    assert jax.tree.map(np.shape, params) == expected  # each parameter is given, no other is
    params, on_device = jax.tree.map(jnp.asarray, (params, batch))

    @jax.jit
    def features(params, batch):
        module = model.bind(params)
        return module.vision(batch.images).pooled, module.text(batch.tokens).pooled

    image, text, logits = features_of_twin(twin, batch, shape)
    for mine, theirs in zip(features(params, on_device), (image, text), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-5 * np.abs(theirs).max(), rtol=0)
        assert np.std(theirs, axis=0).max() > 0.1  # inputs make a difference
    embeddings = jax.jit(model.embed)(params, on_device)
    mine = embeddings.logit_scale * embeddings.image @ embeddings.text.T + embeddings.logit_bias
    np.testing.assert_allclose(mine, logits, atol=1e-5 * np.abs(logits).max(), rtol=0)


@pytest.mark.parametrize(
    ("name", "activation"), [("ViT-B-32-quickgelu", "quick_gelu"), ("ViT-B-32", "gelu")]
)
@pytest.mark.parametrize("eos_token_id", [2, END], ids=["legacy id", "real id"])
def test_clip(name, activation, eos_token_id, batch):
    twin = clip_twin(activation, eos_token_id)
    assert_parity(twin, clip_params(twin), shape_like(name, EMBEDDING), batch)


def test_siglip(batch):
    twin = siglip_twin()
    assert twin.config.text_config.hidden_act == "gelu_pytorch_tanh"
    assert_parity(twin, siglip_params(twin), shape_like("SigLIP-B-16", WIDTH), batch)


def test_another_activation_is_noticed(batch):
    twin = clip_twin("gelu", END)
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        assert_parity(twin, clip_params(twin), shape_like("ViT-B-32-quickgelu", EMBEDDING), batch)
