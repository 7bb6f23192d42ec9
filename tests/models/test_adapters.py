"""Low-rank factors: what they add, and that every user of a model gets the same kernels."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kgclip_jax.batch import Images
from kgclip_jax.models.adapters import Lora, abstract_adapters, init_adapters, merge_adapters
from kgclip_jax.models.dual_encoder import Model
from kgclip_jax.models.encode import encode
from kgclip_jax.models.presets import preset
from kgclip_jax.paths import leaves_by_path

MODEL = Model(preset("tiny"))
ADAPTERS = {
    "vision": Lora(rank=3, alpha=6.0, targets=("attention/qkv", "mlp/down")),
    "text": Lora(rank=2),
}


@pytest.fixture(scope="module")
def params():
    return jax.jit(lambda: MODEL.initialise(0))()


@pytest.fixture(scope="module")
def fresh(params):
    return init_adapters(params, ADAPTERS, 0)


@pytest.fixture(scope="module")
def trained(fresh):
    """Factors that are no longer at their start."""
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda leaf: jnp.asarray(rng.normal(0, 0.2, leaf.shape), "float32"), fresh)


def assert_equal(left, right):
    assert jax.tree.structure(left) == jax.tree.structure(right)
    jax.tree.map(np.testing.assert_array_equal, left, right)


def test_factors_stand_where_the_kernels_of_the_targets_do(fresh):
    shapes = {path: leaf.shape for path, leaf in leaves_by_path(fresh).items()}
    assert {path for path in shapes if path.startswith("vision")} == {
        f"vision/blocks/{target}/{factor}"
        for target in ("attention/qkv", "mlp/down")
        for factor in "ab"
    }
    assert shapes["vision/blocks/attention/qkv/a"] == (2, 32, 3)
    assert shapes["vision/blocks/attention/qkv/b"] == (2, 3, 96)
    assert len([path for path in shapes if path.startswith("text")]) == 2 * 4


def test_fresh_factors_change_nothing_and_differ_by_layer_target_and_seed(params, fresh):
    assert_equal(merge_adapters(params, fresh, ADAPTERS), params)
    factors = leaves_by_path(fresh)
    first = factors["text/blocks/attention/qkv/a"]
    assert np.std(first) == pytest.approx((3 * 32) ** -0.5, rel=0.2)
    assert not np.any(factors["text/blocks/attention/qkv/b"])
    other = leaves_by_path(init_adapters(params, ADAPTERS, 1))
    others = [
        factors["text/blocks/mlp/up/a"],
        other["text/blocks/attention/qkv/a"],
        first[::-1],
    ]
    assert all(np.abs(first - other).max() > 0.1 for other in others)


def test_shapes_are_known_without_computing(fresh):
    def shape(leaf):
        return leaf.shape, leaf.dtype

    expected = jax.tree.map(shape, fresh)
    assert jax.tree.map(shape, abstract_adapters(MODEL, ADAPTERS)) == expected


def test_without_adapters_nothing_is_added_and_nothing_merged(params):
    assert init_adapters(params, {}, 0) == {}
    assert merge_adapters(params, {}, {}) == params


@pytest.mark.parametrize(
    ("tower", "target", "scale"),
    [("vision", "attention/qkv", 2.0), ("vision", "mlp/down", 2.0), ("text", "mlp/up", 1.0)],
)
def test_merged_kernels_are_those_of_numpy(params, trained, tower, target, scale):
    layer, name = target.split("/")
    factors = trained[tower]["blocks"][layer][name]
    kernel = np.float64(params[tower]["blocks"][layer][name]["kernel"])
    expected = [
        kernel[block] + scale * np.float64(factors["a"][block]) @ np.float64(factors["b"][block])
        for block in range(2)
    ]
    found = merge_adapters(params, trained, ADAPTERS)[tower]["blocks"][layer][name]["kernel"]
    assert np.abs(np.array(expected) - kernel).max() > 0.1
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_merging_leaves_everything_else_as_it_is(params, trained):
    before = leaves_by_path(params)
    merged = leaves_by_path(merge_adapters(params, trained, ADAPTERS))
    assert merged.keys() == before.keys()
    assert {path for path in before if np.any(merged[path] != before[path])} == {
        f"{tower}/blocks/{target}/kernel"
        for tower, adapters in ADAPTERS.items()
        for target in adapters.targets
    }


def test_a_merged_model_computes_what_the_model_in_training_does_to_the_bit(params, trained):
    pixels = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), np.uint8)
    images = Images(jnp.asarray(pixels))

    def embed(params):
        return encode(MODEL.bind(params), images).pooled

    def in_training(params, factors):
        return embed(merge_adapters(params, factors, ADAPTERS))

    merged = jax.tree.map(np.asarray, merge_adapters(params, trained, ADAPTERS))
    assert_equal(jax.jit(embed)(merged), jax.jit(in_training)(params, trained))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rank": 1, "targets": ("mlp/up", "mlp/up")}, "each once"),
        ({"rank": 1, "targets": ()}, "at least one"),
    ],
    ids=str,
)
def test_settings_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Lora(**settings)
