"""The use of tables: what is named when weights do not fit them."""

import jax
import numpy as np
import pytest
from flax.traverse_util import flatten_dict

from kgclip_jax.convert import huggingface_clip, open_clip
from kgclip_jax.convert.rules import (
    Rule,
    parameter_shapes,
    same,
    share_known,
    to_ours,
    to_theirs,
    weight_shapes,
)
from kgclip_jax.errors import ConversionError
from kgclip_jax.models import spec
from kgclip_jax.models.dual_encoder import Model

SHAPE = spec.DualEncoder(
    vision=spec.Vision(spec.Transformer(16, 3, 2, 32), image_size=16, patch_size=8),
    text=spec.Text(spec.Transformer(8, 2, 1, 16), vocabulary=20, context_length=6, eos_id=19),
    embedding=12,
)
RULES = open_clip.rules(SHAPE)


@pytest.fixture
def weights():
    rng = np.random.default_rng(0)
    shapes = weight_shapes(RULES, SHAPE)
    return {name: rng.random(size, np.float32) for name, size in shapes.items()}


def refusal(weights, rules=RULES, shape=SHAPE, **options):
    with pytest.raises(ConversionError) as refused:
        to_ours(rules, weights, shape, **options)
    return str(refused.value).splitlines()


def test_parameters_are_those_of_the_model(weights):
    params = to_ours(RULES, weights, SHAPE)
    expected = jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), Model(SHAPE).abstract())
    assert jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), params) == expected
    for leaf in jax.tree.leaves(params):
        assert leaf.flags.c_contiguous


def test_blocks_are_stacked_in_their_order(weights):
    params = to_ours(RULES, weights, SHAPE)
    stacked = params["vision"]["blocks"]["norm1"]["scale"]
    for layer in range(3):
        theirs = weights[f"visual.transformer.resblocks.{layer}.ln_1.weight"]
        np.testing.assert_array_equal(stacked[layer], theirs)


def test_every_missing_and_every_unused_weight_is_named(weights):
    for layer in (0, 1, 2):
        del weights[f"visual.transformer.resblocks.{layer}.ln_1.bias"]
    weights["transformer.resblocks.2.ln_1.bias"] = weights["transformer.resblocks.1.ln_1.bias"]
    weights["head.weight"] = np.zeros(3)
    assert refusal(weights) == [
        "missing weights:",
        "  visual.transformer.resblocks.{0-2}.ln_1.bias",
        "unused weights:",
        "  head.weight",
        "  transformer.resblocks.2.ln_1.bias",
    ]


def test_only_listed_weights_are_ignored(weights):
    weights |= {"position_ids": np.arange(6), "positions": np.arange(6)}
    to_ours(RULES, weights, SHAPE, ignorable={"position_ids", "positions", "absent"})
    assert refusal(weights, ignorable={"position_ids"}) == ["unused weights:", "  positions"]


def test_every_weight_that_is_not_finite_is_named(weights):
    for name, value in {"visual.proj": np.nan, "ln_final.bias": -np.inf}.items():
        weights[name].flat[-1] = value
    assert refusal(weights) == [
        "weights with numbers that are NaN or infinite:",
        "  visual.proj",
        "  ln_final.bias",
    ]


def test_parameters_that_are_not_finite_are_not_written(weights):
    params = to_ours(RULES, weights, SHAPE)
    params["heads"] = {"kernel": np.array([1, np.nan], np.float32)}
    params["text"]["blocks"]["norm1"]["scale"][1, 2] = np.inf
    with pytest.raises(ConversionError) as refused:
        to_theirs(RULES, params, SHAPE)
    assert str(refused.value).splitlines()[1:] == [
        "  text/blocks/norm1/scale",
        "  heads/kernel",
    ]


def test_every_weight_of_another_shape_is_named(weights):
    weights["visual.conv1.weight"] = np.zeros((16, 3, 4, 4), np.float32)
    weights["transformer.resblocks.1.attn.in_proj_weight"] = np.zeros((24, 9), np.float32)
    weights["text_projection"] = weights["text_projection"].T
    assert refusal(weights) == [
        "weights of another shape:",
        "  visual.conv1.weight: expected (16, 3, 8, 8), got (16, 3, 4, 4)",
        "  transformer.resblocks.1.attn.in_proj_weight: expected (24, 8), got (24, 9)",
        "  text_projection: expected (8, 12), got (12, 8)",
    ]


def test_weights_of_whole_numbers_are_named(weights):
    weights["ln_final.bias"] = np.ones(8, np.int32)
    assert refusal(weights) == [
        "weights that are no floating-point numbers:",
        "  ln_final.bias: int32",
    ]
    weights["logit_scale"] = np.zeros(2, bool)
    assert refusal(weights)[0::2] == [
        "weights of another shape:",
        "weights that are no floating-point numbers:",
        "  logit_scale: bool",
    ]


def test_the_share_of_known_names_does_not_depend_on_the_architecture(weights):
    deeper = [*weights, "visual.transformer.resblocks.77.ln_1.bias"]
    assert share_known(RULES, deeper) == 1
    assert share_known(RULES, [*weights, *("x" * k for k in range(1, len(weights) + 1))]) == 0.5
    assert share_known(huggingface_clip.rules(SHAPE), list(weights)) < 0.1
    assert share_known(RULES, []) == 0


@pytest.mark.parametrize("rank", [0, 1])
def test_scalars_may_have_an_axis(weights, rank):
    weights["logit_scale"] = np.full((1,) * rank, 3.0, np.float32)
    scale = to_ours(RULES, weights, SHAPE)["logit_scale"]
    assert scale.shape == ()
    assert scale == 3


def test_parameters_that_no_rule_gives_are_named(weights):
    without = [rule for rule in RULES if rule.ours != ("vision/class_token",)]
    del weights["visual.class_embedding"]
    assert refusal(weights, without) == [
        "parameters that the format does not hold:",
        "  vision/class_token",
    ]


def test_a_format_may_need_parameters_that_the_model_lacks(weights):
    extended = [*RULES, same("vision/patch/bias", "visual.conv1.bias")]
    message = [
        "parameters that the format needs and the architecture lacks:",
        "  vision/patch/bias",
    ]
    assert refusal(weights, extended) == message
    with pytest.raises(ConversionError, match="vision/patch/bias"):
        to_theirs(extended, to_ours(RULES, weights, SHAPE), SHAPE)


def test_names_are_compared_before_weights_are_read(weights):
    class Counting(dict):
        read = 0

        def __getitem__(self, name):
            self.read += 1
            return super().__getitem__(name)

    damaged = Counting(weights)
    del damaged["ln_final.bias"]
    refusal(damaged)
    assert damaged.read <= 1  # by the check of types


def test_parameters_without_a_place_are_left_over(weights):
    params = to_ours(RULES, weights, SHAPE)
    heads = {"knowledge": {"graph": {"kernel": np.ones((2, 3))}}, "logit_bias": np.float32(-10)}
    rules = huggingface_clip.rules(SHAPE)
    written, left = to_theirs(rules, params | heads, SHAPE)
    assert written.keys() == weight_shapes(rules, SHAPE).keys()
    assert left.keys() == {"knowledge/graph/kernel", "logit_bias"}
    np.testing.assert_array_equal(left["knowledge/graph/kernel"], np.ones((2, 3)))


def test_written_weights_share_no_memory_with_parameters(weights):
    params = to_ours(RULES, weights, SHAPE)
    written, _ = to_theirs(RULES, params, SHAPE)
    for leaf in jax.tree.leaves(params):
        assert not any(np.shares_memory(leaf, array) for array in written.values())
    assert all(array.flags.c_contiguous for array in written.values())


def test_missing_and_misshapen_parameters_are_named(weights):
    params = to_ours(RULES, weights, SHAPE)
    flat = flatten_dict(params, sep="/")
    params["vision"]["positions"] = np.zeros((4, 16))
    params["text"]["embedding"] = np.zeros((20, 9))
    with pytest.raises(ConversionError) as refused:
        to_theirs(RULES, params, SHAPE)
    assert str(refused.value).splitlines() == [
        "parameters of another shape:",
        "  vision/positions: expected (5, 16), got (4, 16)",
        "  text/embedding: expected (20, 8), got (20, 9)",
    ]
    assert flat["vision/positions"].shape == parameter_shapes(SHAPE)["vision/positions"]
    del params["logit_scale"]
    with pytest.raises(ConversionError, match=r"missing parameters:\n  logit_scale$"):
        to_theirs(RULES, params, SHAPE)


def test_rules_of_blocks_are_applied_once_a_block():
    rule = Rule(("vision/blocks/norm1/scale",), ("a.{layer}.b",))
    assert rule.stacked
    assert rule.depth(parameter_shapes(SHAPE)) == 3
    assert rule.names(2) == ["a.2.b"]
