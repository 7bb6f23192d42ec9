"""Losses that jump: told of with their objective, and never for noise, trends or what goes on."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kgclip_jax.training.spikes import AT_ONCE, FEWEST, SpikeWatch
from tests.training.events import make_event

STEPS = 400


def told_of(losses, *, steps=STEPS, gradient=None):
    """What is said of losses by step; `losses` of objectives `a` and `b`, arrays over steps."""
    told = []
    watch = SpikeWatch(["a", "b"], lambda step: f"kept {step}", told.append)
    with jax.transfer_guard("disallow"):
        for step in range(1, steps + 1):
            values = {f"{name}/loss": losses[name][step - 1] for name in losses}
            values["gradient_norm"] = np.float32(1.0) if gradient is None else gradient[step - 1]
            metrics = {name: jax.device_put(np.float32(value)) for name, value in values.items()}
            watch.after_step(make_event(step, metrics))
        watch.close()
    return told


def noise(level=2.0, deviation=0.1, seed=0):
    return level + deviation * np.random.default_rng(seed).normal(size=STEPS)


def test_a_jump_names_its_objective_and_has_the_batch_kept():
    jump = noise(seed=1)
    jump[250] = 6.0
    (line,) = told_of({"a": noise(), "b": jump})
    assert line.startswith("step 251: b/loss jumped to 6, from about ")
    assert float(line.split(" ")[-3].rstrip(";")) == pytest.approx(2.0, abs=0.05)
    assert line.endswith("; kept 251")


def test_noise_trends_falls_and_the_first_steps_are_no_jumps():
    heavy = np.exp(0.3 * np.random.default_rng(2).normal(size=STEPS))
    falling = 6.0 * np.exp(-np.arange(STEPS) / 50) + 0.02 * noise()
    assert told_of({"a": heavy, "b": falling}) == []
    drop = noise(seed=3)
    drop[300:] -= 1.5
    early = noise(seed=4)
    early[FEWEST - 2] = 50.0
    still = np.full(STEPS, 0.5)
    assert told_of({"a": drop, "b": early}) == []
    assert told_of({"a": still, "b": still + 1e-3 * (np.arange(STEPS) == 300)}) == []


def test_a_level_that_stays_is_told_once():
    step = noise(level=0.5, deviation=0.01)
    step[300:] += 1.0
    (line,) = told_of({"a": step, "b": noise()})
    assert line.startswith("step 301: a/loss jumped")


@pytest.mark.parametrize("last", [AT_ONCE * 3, AT_ONCE * 3 + 5])
def test_what_is_no_number_is_told_of_at_the_latest_at_the_end(last):
    broken = noise()
    broken[last - 2 :] = np.nan
    both = told_of({"a": broken, "b": noise()}, steps=last)
    assert both == [f"step {last - 1}: a/loss is nan; kept {last - 1}"]


def test_gradients_that_are_not_finite_come_before_the_losses():
    gradient, broken = np.ones(STEPS), noise()
    gradient[99:], broken[100:] = np.inf, np.nan
    told = told_of({"a": broken, "b": broken}, steps=120, gradient=gradient)
    assert told == [
        "step 100: gradient_norm is inf; kept 100",
        "step 101: a/loss is nan and b/loss is nan; kept 101",
    ]


def test_no_step_waits_for_its_losses(monkeypatch):
    """Those of a step are asked for when those of the next sixteen are under way."""
    asked = []
    fetch = jax.device_get
    monkeypatch.setattr(jax, "device_get", lambda values: asked.append(now) or fetch(values))
    watch = SpikeWatch(["a"], str, pytest.fail)
    for now in range(1, 2 * AT_ONCE + 1):
        metrics = {"a/loss": jnp.array(1.0), "gradient_norm": jnp.array(1.0)}
        watch.after_step(make_event(now, metrics))
    assert asked == [2 * AT_ONCE]
