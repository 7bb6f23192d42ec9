"""AdamW with groups by path, against a plain NumPy AdamW."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kgclip_jax.errors import ConfigError
from kgclip_jax.optimizer_config import Group, Optimizer, Schedule, TowerTuning, Tuning
from kgclip_jax.training.optimizer import (
    ParamGroup,
    learning_rate_schedule,
    make_optimizer,
    param_groups,
    stop_frozen,
)

MODEL = {
    "text": {"embedding": jnp.full((3, 2), 0.5), "blocks": {"norm": {"scale": jnp.ones((2, 4))}}},
    "vision": {"blocks": {"kernel": jnp.full((2, 3, 4), -1.0), "bias": jnp.ones((2, 4))}},
    "logit_scale": jnp.array(2.0),
}
PARAMS = {"model": MODEL}
EVERYTHING = Tuning()
GRADIENTS = jax.tree.map(
    lambda leaf: 0.1 * jnp.arange(1.0, leaf.size + 1).reshape(leaf.shape), PARAMS
)


def gradients_of(groups, params):
    """GRADIENTS, as far as they pass through what is not frozen."""

    def loss(params):
        products = jax.tree.map(jnp.multiply, stop_frozen(groups, params), GRADIENTS)
        return sum(product.sum() for product in jax.tree.leaves(products))

    return jax.grad(loss)(params)


def take_steps(settings, count, params=PARAMS, tuning=EVERYTHING):
    groups = param_groups(settings, tuning, params)
    rate = learning_rate_schedule(settings.schedule, settings.learning_rate, 10)
    optimizer = make_optimizer(settings, groups, rate)
    state = optimizer.init(params)
    for _ in range(count):
        updates, state = optimizer.update(gradients_of(groups, params), state, params)
        params = jax.tree.map(jnp.add, params, updates)
    return params, state


def numpy_adamw(param, gradient, count, rate, decay, settings, scale):
    param, gradient = np.float64(param), np.float64(gradient) * scale
    first = second = 0.0
    for t in range(1, count + 1):
        first = settings.b1 * first + (1 - settings.b1) * gradient
        second = settings.b2 * second + (1 - settings.b2) * gradient**2
        direction = (first / (1 - settings.b1**t)) / (
            np.sqrt(second / (1 - settings.b2**t)) + settings.eps
        )
        param = param - rate * (direction + decay * param)
    return param


def test_three_steps_are_those_of_adamw_with_decay_by_name():
    settings = Optimizer(1e-2, schedule=Schedule("constant"), weight_decay=0.3)
    params, _ = take_steps(settings, 3)
    norm = np.sqrt(sum((np.float64(g) ** 2).sum() for g in jax.tree.leaves(GRADIENTS)))
    decays = {"embedding": 0.3, "kernel": 0.3, "scale": 0.0, "bias": 0.0, "logit_scale": 0.0}
    for (keys, start), after, gradient in zip(
        jax.tree_util.tree_leaves_with_path(PARAMS),
        jax.tree.leaves(params),
        jax.tree.leaves(GRADIENTS),
        strict=True,
    ):
        expected = numpy_adamw(start, gradient, 3, 1e-2, decays[keys[-1].key], settings, 1 / norm)
        np.testing.assert_allclose(after, expected, rtol=2e-5)


def numpy_adafactor(params, gradients, rate, decay, b1, b2, *, factored):
    """Shazeer and Stern 2018, algorithms 2 and 4, with Zhai et al.'s cap and momentum."""
    moment = momentum = 0.0
    for t, gradient in enumerate(gradients, 1):
        beta = min(b2, 1 - t**-0.8)
        moment = beta * moment + (1 - beta) * (gradient**2 + 1e-30)
        rows, columns = moment.mean(-1, keepdims=True), moment.mean(-2, keepdims=True)
        mean = moment.mean((-2, -1), keepdims=True)
        second = rows * columns / mean if factored else moment
        momentum = b1 * momentum + (1 - b1) * gradient / np.sqrt(second)
        params = params - rate * (momentum + decay * params)
    return params


def test_three_steps_are_those_of_adafactor_for_each_block():
    rng = np.random.default_rng(0)
    start = {"kernel": rng.standard_normal((2, 128, 130)), "bias": rng.standard_normal((2, 130))}
    gradients = [{name: rng.standard_normal(x.shape) for name, x in start.items()} for _ in "123"]
    settings = Optimizer(
        1e-2, Schedule("constant"), b2=0.4, weight_decay=0.3, clip_norm=None, kind="adafactor"
    )
    params = jax.tree.map(jnp.float32, start)
    groups = {"kernel": ParamGroup(1.0, 0.3), "bias": ParamGroup(1.0, 0.0)}
    rate = learning_rate_schedule(settings.schedule, settings.learning_rate, 10)
    optimizer = make_optimizer(settings, groups, rate)
    state = optimizer.init(params)
    assert sum(leaf.size for leaf in jax.tree.leaves(state)) < 1.1 * sum(
        leaf.size
        for leaf in jax.tree.leaves(params)  # the momentum, and little beside it
    )
    for gradient in gradients:
        updates, state = optimizer.update(jax.tree.map(jnp.float32, gradient), state, params)
        params = jax.tree.map(jnp.add, params, updates)
    for name, decay in (("kernel", 0.3), ("bias", 0.0)):
        expected = numpy_adafactor(
            start[name],
            [gradient[name] for gradient in gradients],
            1e-2,
            decay,
            settings.b1,
            settings.b2,
            factored=name == "kernel",
        )
        np.testing.assert_allclose(params[name], expected, rtol=1e-4, atol=1e-6)


def test_groups_scale_freeze_and_decay_by_path_and_the_first_match_decides():
    groups = (
        Group("^model/text/", frozen=True),
        Group("kernel$", learning_rate=0.5, weight_decay=0.0),
        Group(".*", learning_rate=2.0),
    )
    settings = Optimizer(1e-2, schedule=Schedule("constant"), clip_norm=None, groups=groups)
    params, state = take_steps(settings, 1)
    model = params["model"]
    np.testing.assert_array_equal(model["text"]["embedding"], MODEL["text"]["embedding"])
    blocks = model["vision"]["blocks"]
    np.testing.assert_allclose(blocks["kernel"], -1 - 0.5e-2, rtol=1e-5)
    np.testing.assert_allclose(blocks["bias"], 1 - 2e-2, rtol=1e-5)
    moments = [leaf.shape for leaf in jax.tree.leaves(state) if leaf.ndim]
    assert sorted(moments) == sorted([(2, 3, 4), (2, 4)] * 2)  # none for the frozen tower


def test_frozen_parameters_have_no_gradient():
    settings = Optimizer(1.0, groups=(Group("^model/text/", frozen=True),))
    gradients = gradients_of(param_groups(settings, EVERYTHING, PARAMS), PARAMS)["model"]
    assert not np.any(gradients["text"]["embedding"])
    np.testing.assert_array_equal(
        gradients["vision"]["blocks"]["kernel"], GRADIENTS["model"]["vision"]["blocks"]["kernel"]
    )


def test_frozen_blocks_of_a_stack_stay_and_are_no_part_of_the_clipped_norm():
    settings = Optimizer(1e-2, schedule=Schedule("constant"), weight_decay=0.3)
    tuning = Tuning(TowerTuning("last", blocks=1), TowerTuning("frozen"))
    after = jax.device_get(take_steps(settings, 3, tuning=tuning)[0])["model"]
    gradients = GRADIENTS["model"]
    kernel, bias = (gradients["vision"]["blocks"][name][1] for name in ("kernel", "bias"))
    parts = [np.float64(leaf) for leaf in (kernel, bias, gradients["logit_scale"])]
    scale = 1 / np.sqrt(sum((part**2).sum() for part in parts))
    for name, gradient, decay in [("kernel", kernel, 0.3), ("bias", bias, 0.0)]:
        start, moved = MODEL["vision"]["blocks"][name], after["vision"]["blocks"][name]
        assert start[0].tobytes() == moved[0].tobytes()
        expected = numpy_adamw(start[1], gradient, 3, 1e-2, decay, settings, scale)
        np.testing.assert_allclose(moved[1], expected, rtol=2e-5)
    np.testing.assert_array_equal(after["text"]["embedding"], MODEL["text"]["embedding"])


def test_the_backward_pass_of_unrolled_frozen_blocks_is_not_computed():
    params = {"model": MODEL | {"vision": {"blocks": {"kernel": jnp.ones((4, 16, 16))}}}}
    rows = jnp.ones((64, 16))

    def products(tuning):
        """Matrix products of forward and backward pass, by count."""
        groups = param_groups(Optimizer(1.0), tuning, params)

        def loss(params):
            kernels = stop_frozen(groups, params)["model"]["vision"]["blocks"]["kernel"]
            return jax.lax.scan(lambda x, k: (jnp.tanh(x @ k), None), rows, kernels, unroll=4)[0]

        step = jax.jit(jax.grad(lambda params: loss(params).sum())).lower(params).compile()
        return step.cost_analysis()["flops"] // (2 * rows.size * 16)

    assert products(EVERYTHING) == 4 + 4 + 3  # outputs, kernels' gradients, inputs' gradients
    assert products(Tuning(TowerTuning("last", blocks=2))) == 4 + 2 + 1


def test_each_block_of_a_stack_has_its_own_learning_rate():
    settings = Optimizer(1e-2, schedule=Schedule("constant"), clip_norm=None)
    tuning = Tuning(vision=TowerTuning(layer_decay=0.5))
    params, _ = take_steps(settings, 3, tuning=tuning)
    for name, decay in [("kernel", 0.1), ("bias", 0.0)]:
        for block, factor in enumerate([0.25, 0.5]):
            start, gradient, moved = (
                tree["model"]["vision"]["blocks"][name][block]
                for tree in (PARAMS, GRADIENTS, params)
            )
            expected = numpy_adamw(start, gradient, 3, factor * 1e-2, decay, settings, 1)
            np.testing.assert_allclose(moved, expected, rtol=2e-5)


@pytest.mark.parametrize(
    ("group", "expected"),
    [
        (Group("vision", weight_decay=0.0), (0.0, 0.5)),
        (Group("vision", learning_rate=0.1), (0.0, 0.05)),
        (Group("vision", learning_rate=0.1, frozen=False), 0.1),
        (Group("vision", frozen=True), 0.0),
        (Group("text"), (0.0, 0.5)),
    ],
    ids=str,
)
def test_groups_scale_what_the_tuning_trains_or_overrule_it(group, expected):
    tuning = Tuning(TowerTuning("last", blocks=1, layer_decay=0.5))
    groups = param_groups(Optimizer(1.0, groups=(group,)), tuning, PARAMS)
    assert groups["model/vision/blocks/kernel"].learning_rate == pytest.approx(expected)
    assert groups["model/vision/blocks/kernel"].frozen == (expected == 0.0)


def test_lora_factors_are_decayed_like_kernels():
    factors = {"vision": {"blocks": {"a": jnp.ones((2, 4, 1)), "b": jnp.ones((2, 1, 4))}}}
    params = PARAMS | {"adapters": factors}
    groups = param_groups(Optimizer(1.0, weight_decay=0.3), EVERYTHING, params)
    paths = ("adapters/vision/blocks/a", "adapters/vision/blocks/b")
    assert [groups[path] for path in paths] == [(1.0, 0.3)] * 2


@pytest.mark.parametrize(("pattern", "message"), [("visoin", "matches no"), ("(", "unterminated")])
def test_a_group_that_means_nothing_is_refused(pattern, message):
    settings = Optimizer(1.0, groups=(Group(pattern),))
    with pytest.raises(ConfigError, match=message):
        param_groups(settings, EVERYTHING, PARAMS)


def test_schedules_rise_and_fall_as_described():
    cosine = learning_rate_schedule(Schedule("cosine", warmup_steps=10), 2.0, 110)
    rises = [cosine(0), cosine(4), cosine(9), cosine(10)]
    np.testing.assert_allclose(rises, [0.2, 1.0, 2.0, 2.0], rtol=1e-6)
    np.testing.assert_allclose([cosine(60), cosine(110)], [1.0, 0.0], atol=1e-6)
    rsqrt = learning_rate_schedule(Schedule("rsqrt", timescale=100, cooldown_steps=10), 1.0, 400)
    np.testing.assert_allclose([rsqrt(0), rsqrt(100)], [1.0, 0.5**0.5], rtol=1e-6)
    np.testing.assert_allclose(rsqrt(395), 0.5 * (1 + 3.95) ** -0.5, rtol=1e-5)
    constant = learning_rate_schedule(Schedule("constant", warmup_steps=2), 3.0, 5)
    np.testing.assert_allclose([constant(0), constant(1), constant(4)], [1.5, 3.0, 3.0])


def test_a_schedule_longer_than_the_run_is_refused():
    with pytest.raises(ConfigError, match=r"warmup_steps 6 .*fit into config\.total_steps 5"):
        learning_rate_schedule(Schedule(warmup_steps=6), 1.0, 5)
