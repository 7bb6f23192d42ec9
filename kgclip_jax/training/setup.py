"""From the settings of an experiment to its compiled parts, for any arrangement of devices."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import jax

from kgclip_jax import config
from kgclip_jax.batch import Batch
from kgclip_jax.data.streams.stream import StreamShape
from kgclip_jax.errors import ConfigError
from kgclip_jax.models.adapters import abstract_adapters, init_adapters, merge_adapters
from kgclip_jax.models.dual_encoder import Model, Params
from kgclip_jax.models.encode import inputs_by_path
from kgclip_jax.models.flops import Work, step_work
from kgclip_jax.models.heads import init_head
from kgclip_jax.models.teachers import Teacher
from kgclip_jax.training import sharding
from kgclip_jax.training.loss import Fixed, LossFunction, with_read_inputs
from kgclip_jax.training.optimizer import (
    ParamGroup,
    learning_rate_schedule,
    make_optimizer,
    param_groups,
)
from kgclip_jax.training.step import Step, TrainState, initial_state, make_step


@dataclass(frozen=True)
class Setup:
    """Everything that the loop needs beside data.

    Attributes:
        model: pure functions of the parameters.
        mesh: the devices.
        groups: how each parameter is trained, by path.
        abstract: shapes, dtypes and shardings of the training state.
        initialise: makes a fresh state on the devices.
        start_from: makes a fresh state around parameters of `model` from elsewhere, given as arrays
            that this host holds in full. Raises ConversionError when they are another model's.
        model_params: gives the parameters that `model` takes, from those of a state.
        step: takes a training step; reuses the memory of the state it is given.
        fixed: what the step reads beside, on the devices.
        work: of the model, its heads and teachers in a step.
        unread: inputs of the batch that no objective reads, by path; no tower sees them.
    """

    model: Model
    mesh: jax.sharding.Mesh
    groups: Mapping[str, ParamGroup]
    abstract: TrainState
    initialise: Callable[[], TrainState]
    start_from: Callable[[Params], TrainState]
    model_params: Callable[[Params], Params]
    step: Step
    fixed: Fixed
    work: Work
    unread: tuple[str, ...]


def set_up(
    experiment: config.Experiment,
    streams: Mapping[str, StreamShape],
    devices: list[jax.Device] | None = None,
    *,
    teachers: Mapping[str, Teacher] = MappingProxyType({}),
    abstract_fixed: bool = False,
) -> Setup:
    """Build the parts of a run; nothing of the model is computed yet.

    Args:
        experiment: its settings.
        streams: what its batches are made of.
        devices: to run on; all by default.
        teachers: frozen models by name.
        abstract_fixed: for devices that are not there: `fixed` has shapes and shardings alone.

    Raises:
        ConfigError: settings do not fit, or an objective reads what is not there.
    """
    mesh = sharding.make_mesh(experiment.mesh, devices)
    model = Model(experiment.model, experiment.execution.on(mesh.devices.flat[0].platform))
    batch = {name: stream.abstract() for name, stream in streams.items()}
    sharding.check_rows(batch, mesh, model.execution.microbatches)
    settings, adapters = experiment.optimizer, experiment.tuning.adapters
    fixed = _fixed(streams, teachers, mesh, abstract=abstract_fixed)
    params = _abstract_params(experiment, model)
    loss = with_read_inputs(_loss(experiment, model, teachers), params, batch, fixed)
    groups = param_groups(settings, experiment.tuning, params)
    rate = learning_rate_schedule(settings.schedule, settings.learning_rate, experiment.total_steps)
    optimizer = make_optimizer(settings, groups, rate)

    def start(params: Params) -> TrainState:
        whole = {
            "model": params,
            "adapters": init_adapters(params, adapters, experiment.seed),
            "heads": _fresh_heads(experiment),
        }
        return initial_state(whole, optimizer, averaged=settings.ema_decay is not None)

    def initialise() -> TrainState:
        return start(model.initialise(experiment.seed))

    abstract = sharding.with_shardings(jax.eval_shape(initialise), mesh)
    shardings = jax.tree.map(lambda leaf: leaf.sharding, abstract)
    start_from = jax.jit(start, out_shardings=shardings)
    step = make_step(loss, optimizer, groups, rate, settings.ema_decay, mesh)
    return Setup(
        model=model,
        mesh=mesh,
        groups=groups,
        abstract=abstract,
        initialise=jax.jit(initialise, out_shardings=shardings),
        start_from=lambda params: start_from(sharding.shard_params(params, model.abstract(), mesh)),
        model_params=lambda params: merge_adapters(params["model"], params["adapters"], adapters),
        step=jax.jit(step, donate_argnums=0, out_shardings=(shardings, None)),
        fixed=fixed,
        work=_work(loss, batch),
        unread=_check_read(loss, batch, streams),
    )


def _loss(
    experiment: config.Experiment, model: Model, teachers: Mapping[str, Teacher]
) -> LossFunction:
    return LossFunction(
        model,
        experiment.objectives,
        adapters=experiment.tuning.adapters,
        heads=experiment.heads,
        teachers={name: teacher.model for name, teacher in teachers.items()},
        microbatches=model.execution.microbatches,
    )


def _abstract_params(experiment: config.Experiment, model: Model) -> Params:
    return {
        "model": model.abstract(),
        "adapters": abstract_adapters(model, experiment.tuning.adapters),
        "heads": jax.eval_shape(lambda: _fresh_heads(experiment)),
    }


def _fresh_heads(experiment: config.Experiment) -> Params:
    return {
        name: init_head(head, name, experiment.model, experiment.seed)
        for name, head in experiment.heads.items()
    }


def _fixed(
    streams: Mapping[str, StreamShape],
    teachers: Mapping[str, Teacher],
    mesh: jax.sharding.Mesh,
    *,
    abstract: bool,
) -> Fixed:
    """Put what no step changes onto the devices: teachers cut like students, constants whole."""
    everywhere = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())

    def teach(teacher: Teacher) -> Params:
        shapes = teacher.model.abstract()
        if abstract:
            return sharding.with_shardings(shapes, mesh)
        return sharding.shard_params(teacher.params, shapes, mesh)

    def share(stream: StreamShape) -> Any:
        place = sharding.shapes_with if abstract else sharding.put_from_host
        return place(stream.constants(), everywhere)

    return Fixed(
        teachers={name: teach(teacher) for name, teacher in teachers.items()},
        constants={name: share(stream) for name, stream in streams.items()},
    )


def _work(loss: LossFunction, batch: Batch) -> Work:
    """Count what the model, its heads and teachers do in a step."""
    teachers = [(loss.teachers[name].shape, paths) for name, paths in (loss.taught or {}).items()]
    read = loss.read or frozenset()
    return step_work(loss.model.shape, batch, read, heads=loss.head_flops, teachers=teachers)


def _check_read(
    loss: LossFunction, batch: Batch, streams: Mapping[str, StreamShape]
) -> tuple[str, ...]:
    """Return the inputs that nobody reads; refuse those that cost much to make."""
    taught = loss.taught or {}
    for name, paths in taught.items():
        if not paths:
            raise ConfigError(f"config.teachers.{name} is used by none of the objectives")
    read = (loss.read or frozenset()).union(*taught.values())
    unread = tuple(path for path in inputs_by_path(batch) if path not in read)
    for path in unread:
        name, _, place = path.partition("/")
        if message := streams[name].refusals.get(place):
            raise ConfigError(message)
    return unread
