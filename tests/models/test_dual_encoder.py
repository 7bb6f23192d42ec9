"""The towers as a whole: shapes, invariances, precision, and ways of computing."""

import inspect
from dataclasses import replace
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kgclip_jax.batch import Images, Texts
from kgclip_jax.models.dual_encoder import Model, normalise
from kgclip_jax.models.presets import PRESETS, preset
from kgclip_jax.models.transformer import UNROLLED, Execution
from kgclip_jax.models.vision import sincos2d
from tests.models.embedded import embed

TINY = preset("tiny")


def shrunk(name):
    """A published architecture with small dimensions."""
    shape = preset(name)
    small = {"width": 32, "depth": 1, "heads": 2, "mlp_width": 48}
    vision = replace(shape.vision, image_size=16, patch_size=8)
    vision = replace(vision, transformer=replace(vision.transformer, **small))
    text = replace(shape.text, transformer=replace(shape.text.transformer, **small))
    text = replace(text, context_length=12, vocabulary=300, eos_id=299)
    return replace(shape, vision=vision, text=text, embedding=32)


@cache
def initialise(model, seed=0):
    return jax.jit(model.initialise, static_argnums=0)(seed)


def make_batch(shape, b=4, seed=0):
    rng = np.random.default_rng(seed)
    size, n = shape.vision.image_size, shape.text.context_length
    images = rng.integers(0, 256, (b, size, size, 3), dtype=np.uint8)
    tokens = np.zeros((b, n), np.int32)
    for row in tokens:
        length = rng.integers(2, 7)
        row[:length] = rng.integers(1, shape.text.eos_id, length)
        row[length] = shape.text.eos_id
    return {"image": Images(jnp.asarray(images)), "text": Texts((jnp.asarray(tokens),))}


@pytest.mark.parametrize("name", PRESETS)
def test_every_architecture_embeds_a_batch(name):
    shape = shrunk(name)
    model = Model(shape)
    params = initialise(model)
    for features in embed(model, params, make_batch(shape)).values():
        assert (features.pooled.shape, features.pooled.dtype) == ((4, 32), jnp.float32)
        np.testing.assert_allclose(jnp.linalg.norm(features.pooled, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(jnp.exp(params["logit_scale"]), shape.logit_scale, rtol=1e-5)
    assert params.get("logit_bias") == shape.logit_bias


@pytest.mark.parametrize(("size", "dtype"), [(32, "uint8"), (16, "float32"), (8, "uint8")])
def test_images_that_are_no_bytes_of_the_tower_s_size_are_refused(size, dtype):
    assert TINY.vision.image_size == 16
    images = jax.ShapeDtypeStruct((2, size, size, 3), dtype)
    model = Model(TINY)

    def embed_images(params, pixels):
        tower = model.bind(params).vision
        return inspect.unwrap(type(tower).__call__)(tower, pixels)  # annotations are not checked

    with pytest.raises(ValueError, match=rf"uint8 \(b, 16, 16, 3\), not of {dtype} \(2, {size}"):
        jax.eval_shape(embed_images, model.abstract(), images)


def test_abstract_parameters_are_those_of_initialisation():
    model = Model(TINY)
    params = initialise(model)
    same = jax.tree.map(
        lambda a, b: (a.shape, a.dtype) == (b.shape, b.dtype), params, model.abstract()
    )
    assert all(jax.tree.leaves(same))
    assert params["vision"]["blocks"]["mlp"]["up"]["kernel"].shape == (2, 32, 128)


def test_blocks_start_out_different_and_depend_on_the_seed():
    model = Model(TINY)
    kernel = initialise(model)["text"]["blocks"]["attention"]["qkv"]["kernel"]
    assert not np.allclose(kernel[0], kernel[1])
    other = initialise(model, 1)["text"]["blocks"]["attention"]["qkv"]["kernel"]
    assert not np.allclose(kernel, other)


def test_cutting_padding_off_a_causal_text_changes_nothing():
    shape = shrunk("ViT-B-32")
    model, batch = Model(shape), make_batch(shape)
    params = initialise(model)

    def loss(params, tokens):
        features = embed(model, params, batch | {"text": Texts((tokens,))})
        text = features["text"].pooled
        return (features["image"].pooled @ text.T).sum(), text

    grad = jax.jit(jax.grad(loss, has_aux=True))
    full, text_full = grad(params, batch["text"].tokens[0])
    cut, text_cut = grad(params, batch["text"].tokens[0][:, :8])
    np.testing.assert_allclose(text_full, text_cut, atol=1e-6)
    for a, b in zip(jax.tree.leaves(full), jax.tree.leaves(cut), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6 * max(1.0, float(np.abs(a).max())))


def test_a_bidirectional_text_tower_refuses_cut_texts():
    shape = shrunk("SigLIP-B-16")
    model, batch = Model(shape), make_batch(shape)
    with pytest.raises(ValueError, match="bidirectional tower of context length 12"):
        embed(model, initialise(model), Texts((batch["text"].tokens[0][:, :8],)))


@pytest.mark.parametrize(
    "execution",
    [
        Execution("float32", remat="cheap", unroll=1),
        Execution("float32", remat="dots", unroll=1),
        Execution("float32", remat="full", unroll=2),
    ],
)
def test_the_way_of_computing_does_not_change_results(execution):
    batch = make_batch(TINY)
    params = initialise(Model(TINY))

    def loss_and_gradients(model):
        def loss(params):
            features = embed(model, params, batch)
            return (features["image"].pooled * features["text"].pooled).sum()

        return jax.jit(jax.value_and_grad(loss))(params)

    plain = loss_and_gradients(Model(TINY))
    other = loss_and_gradients(Model(TINY, execution))
    for a, b in zip(jax.tree.leaves(plain), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5 * max(1e-2, float(np.abs(a).max())))


def test_cheap_recomputation_keeps_less_of_a_loop_of_blocks():
    """Of norms, activations and attention nothing; of dense layers nine widths a token."""
    batch, deep = make_batch(TINY), replace(TINY.text.transformer, depth=8)
    shape = replace(TINY, text=replace(TINY.text, transformer=deep))

    def temporary(remat):
        model = Model(shape, Execution("float32", remat=remat, unroll=1))

        def loss(params):
            return embed(model, params, batch)["text"].pooled.sum()

        compiled = jax.jit(jax.grad(loss)).lower(model.abstract()).compile()
        return compiled.memory_analysis().temp_size_in_bytes

    assert temporary("cheap") < 0.5 * temporary("none")


def test_bfloat16_stays_near_float32_and_returns_float32():
    batch = make_batch(TINY)
    params = initialise(Model(TINY))
    exact = embed(Model(TINY), params, batch)["image"]
    rough = embed(Model(TINY, Execution("bfloat16", remat="none", unroll=1)), params, batch)[
        "image"
    ]
    assert (rough.pooled.dtype, rough.tokens.dtype) == (jnp.float32, jnp.bfloat16)
    assert float((exact.pooled * rough.pooled).sum(-1).min()) > 0.999
    assert not np.array_equal(exact.pooled, rough.pooled)


def test_bfloat16_ends_where_the_projections_begin():
    shape = replace(TINY, text=replace(TINY.text, projection_bias=True))
    model, batch = Model(shape, Execution("bfloat16", remat="none", unroll=1)), make_batch(shape)
    module = model.bind(initialise(model))
    tokens = batch["text"].tokens[0]
    image, text = module.vision(batch["image"].pixels), module.text(tokens)
    for tower, output, trunk in (
        (module.vision, image, image.tokens[:, 0]),
        (module.text, text, module.text._pool(text.tokens, tokens)),
    ):
        assert trunk.dtype == jnp.bfloat16
        kernel, bias = tower.projection.kernel, tower.projection.bias
        exact = np.asarray(trunk, np.float64) @ np.asarray(kernel[...], np.float64)
        exact += 0 if bias is None else np.asarray(bias[...])
        np.testing.assert_allclose(output.pooled, exact, rtol=1e-5, atol=1e-6)
    assert "Precision.HIGHEST" in str(jax.make_jaxpr(module.text.projection)(trunk))


def test_the_logit_scale_is_kept_within_limits():
    model = Model(TINY)
    params = initialise(model)
    assert float(
        jnp.exp(model.constrain(params | {"logit_scale": jnp.array(9.0)})["logit_scale"])
    ) == (pytest.approx(100))
    unlimited = Model(replace(TINY, max_logit_scale=None))
    assert (
        float(unlimited.constrain(params | {"logit_scale": jnp.array(9.0)})["logit_scale"]) == 9.0
    )


@pytest.mark.parametrize(
    ("pooling", "class_token", "pool"),
    [
        ("class", True, lambda tokens: tokens[:, 0]),
        ("mean", True, lambda tokens: tokens[:, 1:].mean(axis=1)),
        ("mean", False, lambda tokens: tokens.mean(axis=1)),
    ],
)
def test_unpooled_tokens_come_with_the_pooled_vector(pooling, class_token, pool):
    shape = replace(TINY, vision=replace(TINY.vision, pooling=pooling, class_token=class_token))
    model, batch = Model(shape), make_batch(shape)
    module = model.bind(initialise(model))
    image, text = module.vision(batch["image"].pixels), module.text(batch["text"].tokens[0])
    assert image.tokens.shape == (4, shape.vision.length, 32)
    assert text.tokens.shape == (4, 32, 32)
    np.testing.assert_allclose(
        module.vision.projection(pool(image.tokens)), image.pooled, atol=1e-6
    )


def test_sincos_positions_tell_rows_from_columns():
    table = sincos2d(4, 16).reshape(4, 4, 16)
    np.testing.assert_array_equal(table[0, :, 8:12], np.zeros((4, 4)))
    assert len({tuple(cell) for cell in table.reshape(16, 16).tolist()}) == 16
    np.testing.assert_array_equal(table[:, 2, :8], np.broadcast_to(table[0, 2, :8], (4, 8)))


def test_normalising_zero_gives_zero_and_a_finite_gradient():
    zero = jnp.zeros((1, 4))
    np.testing.assert_array_equal(normalise(zero), zero)
    assert np.isfinite(jax.grad(lambda x: normalise(x).sum())(zero)).all()


def test_automatic_choices_depend_on_the_platform():
    assert Execution().on("cpu") == Execution("float32", "none", UNROLLED)
    assert Execution(remat="full").on("gpu") == Execution("bfloat16", "full", 1)
    assert Execution("float32", unroll=3).on("tpu") == Execution("float32", "cheap", 3)
