"""Checkpoints of a run: what is never saved."""

import jax.numpy as jnp
import pytest

from kgclip_jax.errors import DivergedError
from kgclip_jax.store.checkpoints import Checkpoints
from kgclip_jax.training.hooks import SaveCheckpoints
from kgclip_jax.training.step import TrainState


def state(step, *, weight=1.0, moment=0.0, average=1.0):
    params = {"model": {"w": jnp.array([1.0, weight])}, "adapters": {}, "heads": {}}
    average = {"model": {"w": jnp.array([1.0, average])}}
    return TrainState(jnp.array(step), params, {"mu": jnp.array(moment)}, average)


@pytest.mark.parametrize(
    "broken", [{"weight": jnp.nan}, {"moment": jnp.inf}, {"average": jnp.nan}], ids=str
)
def test_a_state_that_is_not_finite_is_never_saved(tmp_path, broken):
    checkpoints = Checkpoints(tmp_path)
    saver = SaveCheckpoints(checkpoints, {}, dict, every=1)
    with pytest.raises(DivergedError, match="at step 1; none is saved yet"):
        saver.save(1, state(1, **broken))
    for step in (2, 3):
        saver.save(step, state(step))
    with pytest.raises(DivergedError, match=r"at step 4; the checkpoint of step \d is the newest"):
        saver.save(4, state(4, **broken))
    saver.close()
    with pytest.raises(DivergedError, match=r"at step 5; the checkpoint of step 3 .* --from-step"):
        SaveCheckpoints(Checkpoints(tmp_path), {}, dict, every=1).save(5, state(5, **broken))
    assert checkpoints.steps() == [2, 3]
