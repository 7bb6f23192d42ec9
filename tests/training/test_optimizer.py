"""AdamW with groups by path, against a plain NumPy AdamW."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kgclip_jax import config
from kgclip_jax.errors import ConfigError
from kgclip_jax.training.optimizer import (
    learning_rate_schedule,
    make_optimizer,
    stop_frozen,
    treatments,
)

PARAMS = {
    "text": {"embedding": jnp.full((3, 2), 0.5), "norm": {"scale": jnp.ones((2, 4))}},
    "vision": {"kernel": jnp.full((2, 3, 4), -1.0), "bias": jnp.ones((2, 4))},
    "logit_scale": jnp.array(2.0),
}
GRADIENTS = jax.tree.map(
    lambda leaf: 0.1 * jnp.arange(1.0, leaf.size + 1).reshape(leaf.shape), PARAMS
)


def take_steps(settings, count, params=PARAMS):
    plan = treatments(settings, params)
    rate = learning_rate_schedule(settings.schedule, settings.learning_rate, 10)
    optimizer = make_optimizer(settings, plan, rate)
    state = optimizer.init(params)
    for _ in range(count):
        updates, state = optimizer.update(GRADIENTS, state, params)
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
    settings = config.Optimizer(1e-2, schedule=config.Schedule("constant"), weight_decay=0.3)
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


def test_groups_scale_freeze_and_decay_by_path_and_the_first_match_decides():
    groups = (
        config.Group("^text/", frozen=True),
        config.Group("kernel$", learning_rate=0.5, weight_decay=0.0),
        config.Group(".*", learning_rate=2.0),
    )
    settings = config.Optimizer(
        1e-2, schedule=config.Schedule("constant"), clip_norm=None, groups=groups
    )
    params, state = take_steps(settings, 1)
    np.testing.assert_array_equal(params["text"]["embedding"], PARAMS["text"]["embedding"])
    np.testing.assert_allclose(params["vision"]["kernel"], -1 - 0.5e-2, rtol=1e-5)
    np.testing.assert_allclose(params["vision"]["bias"], 1 - 2e-2, rtol=1e-5)
    moments = [leaf.shape for leaf in jax.tree.leaves(state) if leaf.ndim]
    assert sorted(moments) == sorted([(2, 3, 4), (2, 4)] * 2)  # none for the frozen tower


def test_frozen_parameters_have_no_gradient():
    plan = treatments(config.Optimizer(1.0, groups=(config.Group("^text/", frozen=True),)), PARAMS)

    def loss(params):
        return sum(leaf.sum() for leaf in jax.tree.leaves(stop_frozen(plan, params)))

    gradients = jax.grad(loss)(PARAMS)
    assert not np.any(gradients["text"]["embedding"])
    assert np.all(gradients["vision"]["kernel"] == 1)


@pytest.mark.parametrize(("pattern", "message"), [("visoin", "matches no"), ("(", "unterminated")])
def test_a_group_that_means_nothing_is_refused(pattern, message):
    settings = config.Optimizer(1.0, groups=(config.Group(pattern),))
    with pytest.raises(ConfigError, match=message):
        treatments(settings, PARAMS)


def test_schedules_rise_and_fall_as_described():
    cosine = learning_rate_schedule(config.Schedule("cosine", warmup_steps=9), 2.0, 109)
    np.testing.assert_allclose([cosine(0), cosine(4), cosine(9)], [0.2, 1.0, 2.0], rtol=1e-6)
    np.testing.assert_allclose([cosine(59), cosine(109)], [1.0, 0.0], atol=1e-6)
    rsqrt = learning_rate_schedule(
        config.Schedule("rsqrt", timescale=100, cooldown_steps=10), 1.0, 400
    )
    np.testing.assert_allclose([rsqrt(0), rsqrt(100)], [1.0, 0.5**0.5], rtol=1e-6)
    np.testing.assert_allclose(rsqrt(395), 0.5 * (1 + 3.95) ** -0.5, rtol=1e-5)
    constant = learning_rate_schedule(config.Schedule("constant", warmup_steps=1), 3.0, 5)
    np.testing.assert_allclose([constant(0), constant(1), constant(4)], [1.5, 3.0, 3.0])


def test_a_schedule_longer_than_the_run_is_refused():
    with pytest.raises(ConfigError, match="do not fit into 5 steps"):
        learning_rate_schedule(config.Schedule(warmup_steps=6), 1.0, 5)
