"""From the settings of an experiment to its compiled parts, for any arrangement of devices."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import jax

from kgclip_jax import config
from kgclip_jax.models.dual_encoder import Model
from kgclip_jax.training import sharding
from kgclip_jax.training.optimizer import (
    Treatment,
    learning_rate_schedule,
    make_optimizer,
    treatments,
)
from kgclip_jax.training.step import Metrics, TrainState, initial_state, make_step
from kgclip_jax.types import Batch


@dataclass(frozen=True)
class Setup:
    """Everything that the loop needs beside data.

    Attributes:
        model: pure functions of the parameters.
        mesh: the devices.
        plan: how each parameter is trained, by path.
        abstract: shapes, dtypes and shardings of the training state.
        initialise: makes a fresh state on the devices.
        step: takes a training step; reuses the memory of the state it is given.
        place: puts this host's rows of a batch onto the devices.
    """

    model: Model
    mesh: jax.sharding.Mesh
    plan: Mapping[str, Treatment]
    abstract: TrainState
    initialise: Callable[[], TrainState]
    step: Callable[[TrainState, Batch], tuple[TrainState, Metrics]]
    place: Callable[[Batch], Batch]


def set_up(experiment: config.Experiment, devices: list[jax.Device] | None = None) -> Setup:
    """Build the parts of a run; nothing is computed yet.

    Args:
        experiment: its settings.
        devices: to run on; all by default.

    Raises:
        ConfigError: when mesh, batch size, schedule or parameter groups do not fit.
    """
    mesh = sharding.make_mesh(experiment.mesh, devices)
    sharding.check_batch_size(experiment.batch_size, mesh)
    platform = mesh.devices.flat[0].platform
    model = Model(experiment.model, experiment.execution.on(platform))
    settings = experiment.optimizer
    plan = treatments(settings, model.abstract())
    rate = learning_rate_schedule(settings.schedule, settings.learning_rate, experiment.total_steps)
    optimizer = make_optimizer(settings, plan, rate)
    averaged = settings.ema_decay is not None
    initialise = functools.partial(
        initial_state, model, optimizer, seed=experiment.seed, averaged=averaged
    )
    shapes = jax.eval_shape(initialise)
    shardings = sharding.state_sharding(shapes, mesh)
    objectives = list(experiment.objectives.values())
    step = make_step(model, objectives, optimizer, plan, rate, settings.ema_decay)
    return Setup(
        model=model,
        mesh=mesh,
        plan=plan,
        abstract=jax.tree.map(
            lambda leaf, place: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=place),
            shapes,
            shardings,
        ),
        initialise=jax.jit(initialise, out_shardings=shardings),
        step=jax.jit(step, donate_argnums=0, out_shardings=(shardings, None)),
        place=functools.partial(_place, sharding.batch_sharding(mesh)),
    )


def _place(where: jax.sharding.NamedSharding, batch: Batch) -> Batch:
    return Batch(*(jax.make_array_from_process_local_data(where, rows) for rows in batch))
