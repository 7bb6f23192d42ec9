"""From the settings of an experiment to its plan."""

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from kgclip_jax import config
from kgclip_jax.data.streams.captions_config import CaptionsConfig
from kgclip_jax.data.streams.stream import StreamOpening, StreamShape
from kgclip_jax.frozen_teachers import open_teachers
from kgclip_jax.model_inputs import preprocessing_for
from kgclip_jax.models.teachers import Teacher
from kgclip_jax.planning.compiled_step import (
    CompiledStep,
    TooLargeError,
    compile_step,
    planned_setup,
)
from kgclip_jax.planning.largest_batch import largest_fitting
from kgclip_jax.planning.plan import Plan
from kgclip_jax.planning.planned_streams import planned_streams
from kgclip_jax.planning.step_costs import step_costs
from kgclip_jax.planning.targets import Target
from kgclip_jax.training import sharding


class Planner:
    """Compiles the steps of an experiment, and of others like it, for one target.

    Raises:
        UserError: when settings or data are at fault.
    """

    def __init__(self, experiment: config.Experiment, target: Target) -> None:
        self._experiment = experiment
        self._target = target
        self._reading = preprocessing_for(experiment.model, experiment.tokenizers)
        self._mesh = sharding.make_mesh(experiment.mesh, [*target.devices])
        self._platform = target.devices[0].platform
        self._teachers = self._open_teachers()
        self._streams = self._open_streams(experiment)

    def _open_teachers(self) -> Mapping[str, Teacher]:
        execution = self._experiment.execution.on(self._platform)
        with TemporaryDirectory() as folder:
            return open_teachers(self._experiment.teachers, Path(folder), self._reading, execution)

    def _open_streams(self, experiment: config.Experiment) -> dict[str, StreamShape]:
        opening = StreamOpening(
            experiment.data,
            self._reading,
            experiment.seed,
            parts=sharding.row_shards(self._mesh) * experiment.execution.microbatches,
        )
        return planned_streams(experiment.streams, opening)

    def _compile(
        self, experiment: config.Experiment, streams: Mapping[str, StreamShape]
    ) -> CompiledStep:
        return compile_step(experiment, streams, self._target, self._teachers)

    def plan(self, *, largest: bool) -> Plan:
        """Compile what tells the plan; minutes for each step of a large model.

        Args:
            largest: whether to look for the largest batch, too.
        """
        experiment, streams = self._experiment, self._streams
        assumptions = [f"{name}: {note}" for name, each in streams.items() for note in each.notes]
        if self._teachers:
            assumptions.append("blocks of teachers are counted once where they run in a loop")
        try:
            step, fits = self._compile(experiment, streams), True
        except TooLargeError as error:
            step, fits = CompiledStep(0, error.needed, 0.0, 0.0, {}), False
            assumptions.append(
                "temporary memory has state and batch in it; collectives are unknown"
            )
        return Plan(
            experiment=experiment,
            target=self._target,
            setup=planned_setup(experiment, streams, self._target, self._teachers),
            step=step,
            fits=fits,
            costs=step_costs(experiment, lambda other: self._compile(other, streams)),
            rows={name: stream.rows for name, stream in streams.items()},
            largest_rows=self._largest_rows() if largest else None,
            assumptions=assumptions,
        )

    def _largest_rows(self) -> int | None:
        """Look for the largest number of captioned pictures; other streams stay as they are."""
        chip = self._target.chip
        for name, settings in self._experiment.streams.items():
            if chip is not None and isinstance(settings, CaptionsConfig):
                return self._largest_rows_of(name, settings, chip.memory)
        return None

    def _largest_rows_of(self, name: str, settings: CaptionsConfig, limit: int) -> int | None:
        unit = self._streams[name].unit

        def memory(rows: int) -> int:
            changed: dict[str, Any] = {**self._experiment.streams}
            changed[name] = replace(settings, rows=rows)
            experiment = replace(self._experiment, streams=changed)
            try:
                step = self._compile(experiment, self._open_streams(experiment))
            except TooLargeError as error:
                return max(error.needed, limit + 1)  # a little of the memory is the system's
            return step.arguments + step.temporary

        parts = sharding.row_shards(self._mesh) * self._experiment.execution.microbatches
        multiple = parts if unit == settings.rows else math.lcm(parts, unit)
        return largest_fitting(settings.rows, multiple, limit, memory)
