"""The training step: a pure function from (state, batch, fixed) to (state, metrics)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax

from kgclip_jax.batch import Batch
from kgclip_jax.models.dual_encoder import Params
from kgclip_jax.training.loss import Fixed, LossFunction, Metrics
from kgclip_jax.training.optimizer import ParamGroup, stop_frozen, where_trained

Step = Callable[["TrainState", Batch, Fixed], tuple["TrainState", Metrics]]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class TrainState:
    """Everything that a step changes; as a tree, also its shapes and its shardings.

    Attributes:
        step: steps taken so far, an int32 scalar.
        params: {"model": ..., "adapters": ..., "heads": ...}, nested dicts of float32 arrays, the
            last two empty where there are none.
        optimizer: its state.
        average: exponential moving average of the parameters, or None.
    """

    step: Any
    params: Any
    optimizer: Any
    average: Any


def checkpoint_items(state: TrainState) -> dict[str, Any]:
    """Return the named items of a checkpoint; `from_checkpoint_items` is the inverse."""
    return {
        **state.params,
        "optimizer": {"step": state.step, "state": state.optimizer},
        "average": {} if state.average is None else state.average,
    }


def from_checkpoint_items(items: Mapping[str, Any]) -> TrainState:
    """Rebuild a state from the items of a checkpoint."""
    return TrainState(
        step=items["optimizer"]["step"],
        params={name: items[name] for name in ("model", "adapters", "heads")},
        optimizer=items["optimizer"]["state"],
        average=items["average"] or None,
    )


def initial_state(
    params: Params, optimizer: optax.GradientTransformation, *, averaged: bool
) -> TrainState:
    """The state around parameters that no step has changed yet."""
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        params=params,
        optimizer=optimizer.init(params),
        average=params if averaged else None,
    )


def make_step(
    loss: LossFunction,
    optimizer: optax.GradientTransformation,
    groups: Mapping[str, ParamGroup],
    rate: optax.Schedule,
    ema_decay: float | None,
    mesh: jax.sharding.Mesh,
) -> Step:
    """Return the step; jit it with the shardings of the state."""

    def trained_loss(params: Params, *rest: Any) -> tuple[jax.Array, Metrics]:
        return loss(stop_frozen(groups, params), *rest)

    def step(state: TrainState, batch: Batch, fixed: Fixed) -> tuple[TrainState, Metrics]:
        with jax.sharding.use_abstract_mesh(mesh.abstract_mesh):
            differentiate = jax.value_and_grad(trained_loss, has_aux=True)
            (value, metrics), gradients = differentiate(state.params, batch, fixed, state.step)
        updates, optimizer_state = optimizer.update(gradients, state.optimizer, state.params)
        params = optax.apply_updates(state.params, updates)
        params |= {"model": loss.model.constrain(params["model"])}
        params = where_trained(groups, params, state.params)
        average = state.average
        if average is not None and ema_decay is not None:
            moved = optax.incremental_update(params, average, 1 - ema_decay)
            average = where_trained(groups, moved, average)
        metrics |= {
            "loss": value,
            "gradient_norm": optax.tree.norm(gradients),
            "learning_rate": rate(state.step),
        }
        return TrainState(state.step + 1, params, optimizer_state, average), metrics

    return step
