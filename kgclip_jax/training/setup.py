"""From the settings of an experiment to its compiled parts, for any arrangement of devices."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import jax

from kgclip_jax import config
from kgclip_jax.models.dual_encoder import Model, Params
from kgclip_jax.training import lora, sharding
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
        adopt: makes a fresh state around parameters of `model` from elsewhere, given as arrays that
            this host holds in full. Raises ConversionError when they are another model's.
        merge: gives the parameters that `model` takes, from those of a state.
        step: takes a training step; reuses the memory of the state it is given.
        place: puts this host's rows of a batch onto the devices.
    """

    model: Model
    mesh: jax.sharding.Mesh
    plan: Mapping[str, Treatment]
    abstract: TrainState
    initialise: Callable[[], TrainState]
    adopt: Callable[[Params], TrainState]
    merge: Callable[[Params], Params]
    step: Callable[[TrainState, Batch], tuple[TrainState, Metrics]]
    place: Callable[[Batch], Batch]


def set_up(experiment: config.Experiment, devices: list[jax.Device] | None = None) -> Setup:
    """Build the parts of a run; nothing is computed yet.

    Args:
        experiment: its settings.
        devices: to run on; all by default.

    Raises:
        ConfigError: when mesh, batch size, schedule, parameter groups or tuning do not fit.
    """
    mesh = sharding.make_mesh(experiment.mesh, devices)
    sharding.check_batch_size(experiment.batch_size, mesh, experiment.execution.microbatches)
    platform = mesh.devices.flat[0].platform
    model = Model(experiment.model, experiment.execution.on(platform))
    settings, tuning = experiment.optimizer, experiment.tuning
    adapt = functools.partial(lora.adapt, tuning=tuning, seed=experiment.seed)
    merge = functools.partial(lora.merge, tuning=tuning)
    plan = treatments(settings, tuning, lora.abstract_params(model, tuning))
    rate = learning_rate_schedule(settings.schedule, settings.learning_rate, experiment.total_steps)
    optimizer = make_optimizer(settings, plan, rate)

    def start(params: Params) -> TrainState:
        averaged = settings.ema_decay is not None
        return initial_state(adapt(params), optimizer, averaged=averaged)

    def initialise() -> TrainState:
        return start(model.initialise(experiment.seed))

    abstract = sharding.placed(jax.eval_shape(initialise), mesh)
    shardings = jax.tree.map(lambda leaf: leaf.sharding, abstract)
    adopt = jax.jit(start, out_shardings=shardings)
    objectives = experiment.objectives.chosen()
    step = make_step(model, merge, objectives, optimizer, plan, rate, settings.ema_decay)
    return Setup(
        model=model,
        mesh=mesh,
        plan=plan,
        abstract=abstract,
        initialise=jax.jit(initialise, out_shardings=shardings),
        adopt=lambda params: adopt(sharding.spread(params, model.abstract(), mesh)),
        merge=merge,
        step=jax.jit(step, donate_argnums=0, out_shardings=(shardings, None)),
        place=functools.partial(_place, sharding.batch_sharding(mesh)),
    )


def _place(where: jax.sharding.NamedSharding, batch: Batch) -> Batch:
    return jax.tree.map(lambda rows: jax.make_array_from_process_local_data(where, rows), batch)
