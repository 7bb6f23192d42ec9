"""Low-rank factors: what they add, and that every user of a model gets the same kernels."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kgclip_jax.models.dual_encoder import Model
from kgclip_jax.models.presets import preset
from kgclip_jax.training import lora
from kgclip_jax.paths import leaves_by_path
from kgclip_jax.training.settings import TowerTuning, Tuning
from kgclip_jax.types import Batch

MODEL = Model(preset("tiny"))
TUNING = Tuning(
    TowerTuning("lora", rank=3, alpha=6.0, targets=("attention/qkv", "mlp/down")),
    TowerTuning("lora", rank=2),
)


@pytest.fixture(scope="module")
def plain():
    return jax.jit(lambda: MODEL.initialise(0))()


@pytest.fixture(scope="module")
def adapted(plain):
    """Parameters whose factors are no longer at their start."""
    params = jax.jit(lambda params: lora.adapt(params, TUNING, 0))(plain)
    rng = np.random.default_rng(0)
    return params | {
        "lora": jax.tree.map(
            lambda leaf: jnp.asarray(rng.normal(0, 0.2, leaf.shape), jnp.float32), params["lora"]
        )
    }


def assert_equal(left, right):
    assert jax.tree.structure(left) == jax.tree.structure(right)
    for mine, other in zip(jax.tree.leaves(left), jax.tree.leaves(right), strict=True):
        np.testing.assert_array_equal(mine, other)


def test_factors_stand_beside_the_kernels_that_are_targets(plain):
    adapted = lora.adapt(plain, TUNING, 0)
    shapes = {path: leaf.shape for path, leaf in leaves_by_path(adapted["lora"]).items()}
    assert {path for path in shapes if path.startswith("vision")} == {
        f"vision/blocks/{target}/{factor}"
        for target in ("attention/qkv", "mlp/down")
        for factor in "ab"
    }
    assert shapes["vision/blocks/attention/qkv/a"] == (2, 32, 3)
    assert shapes["vision/blocks/attention/qkv/b"] == (2, 3, 96)
    assert len([path for path in shapes if path.startswith("text")]) == 2 * 4


def test_fresh_factors_change_nothing_and_differ_by_layer_target_and_seed(plain):
    adapted = lora.adapt(plain, TUNING, 0)
    assert_equal(lora.merge(adapted, TUNING), plain)
    factors = leaves_by_path(adapted["lora"])
    first = factors["text/blocks/attention/qkv/a"]
    assert np.std(first) == pytest.approx((3 * 32) ** -0.5, rel=0.2)
    assert not np.any(factors["text/blocks/attention/qkv/b"])
    others = [
        factors["text/blocks/mlp/up/a"],
        lora.adapt(plain, TUNING, 1)["lora"]["text"]["blocks"]["attention"]["qkv"]["a"],
        first[::-1],
    ]
    assert all(np.abs(first - other).max() > 0.1 for other in others)


def test_shapes_are_known_without_computing(plain):
    def shape(leaf):
        return leaf.shape, leaf.dtype

    expected = jax.tree.map(shape, lora.adapt(plain, TUNING, 0))
    assert jax.tree.map(shape, lora.abstract_params(MODEL, TUNING)) == expected


def test_without_lora_nothing_is_added_and_nothing_merged(plain):
    assert lora.adapt(plain, Tuning(), 0) == plain
    assert lora.merge(plain, Tuning()) == plain


@pytest.mark.parametrize(
    ("tower", "target", "scale"),
    [("vision", "attention/qkv", 2.0), ("vision", "mlp/down", 2.0), ("text", "mlp/up", 1.0)],
)
def test_merged_kernels_are_those_of_numpy(adapted, tower, target, scale):
    kind, name = target.split("/")
    factors = adapted["lora"][tower]["blocks"][kind][name]
    kernel = np.float64(adapted[tower]["blocks"][kind][name]["kernel"])
    expected = [
        kernel[layer] + scale * np.float64(factors["a"][layer]) @ np.float64(factors["b"][layer])
        for layer in range(2)
    ]
    merged = lora.merge(adapted, TUNING)
    found = merged[tower]["blocks"][kind][name]["kernel"]
    assert np.abs(np.array(expected) - kernel).max() > 0.1
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_merging_leaves_everything_else_as_it_is(adapted, plain):
    merged, before = (leaves_by_path(tree) for tree in (lora.merge(adapted, TUNING), plain))
    assert merged.keys() == before.keys()
    changed = {path for path in before if np.any(merged[path] != before[path])}
    assert changed == {
        *(f"vision/blocks/{target}/kernel" for target in TUNING.vision.targets),
        *(f"text/blocks/{target}/kernel" for target in TUNING.text.targets),
    }


def test_a_merged_model_computes_what_the_model_in_training_does_to_the_bit(adapted):
    rng = np.random.default_rng(0)
    tokens = rng.integers(1, 49408, (4, 8)).astype(np.int32)
    batch = Batch(rng.integers(0, 256, (4, 16, 16, 3), dtype=np.uint8), tokens)
    in_training = jax.jit(lambda params: MODEL.embed(lora.merge(params, TUNING), batch))(adapted)
    merged = jax.tree.map(np.asarray, lora.merge(adapted, TUNING))
    assert_equal(jax.jit(lambda params: MODEL.embed(params, batch))(merged), in_training)
