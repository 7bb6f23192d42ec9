"""The training step of an experiment, compiled for devices that may not be there."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax

from kgclip_jax import config
from kgclip_jax.data.streams.stream import StreamShape
from kgclip_jax.errors import UserError
from kgclip_jax.models.teachers import Teacher
from kgclip_jax.planning.hlo_text import Collective, collectives
from kgclip_jax.planning.targets import Target
from kgclip_jax.training.setup import Setup, set_up
from kgclip_jax.training.sharding import batch_sharding, shapes_with

# What libtpu says of a program that is too large: "Used 17.01G of 15.75G hbm".
_TOO_LARGE = re.compile(r"Used (?P<used>[\d.]+)(?P<unit>[KMGT]?) of [\d.]+[KMGT]? hbm")
_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


class TooLargeError(UserError):
    """A step that does not fit the memory of a device.

    Attributes:
        needed: bytes that it would take.
    """

    def __init__(self, needed: int) -> None:
        super().__init__(f"a step takes {needed / 2**30:.1f} GiB of a device, which has less")
        self.needed = needed


@dataclass(frozen=True)
class CompiledStep:
    """What the compiler says of a step; all numbers are of one device.

    Attributes:
        arguments: bytes of the state and the batch.
        temporary: bytes beside these while the step runs.
        flops: of all that is computed, elementwise work and what is computed again included. The
            body of a loop counts once: see `step_costs`.
        bytes_accessed: of memory, likewise.
        collectives: by kind, those of a loop as often as it runs them.
    """

    arguments: int
    temporary: int
    flops: float
    bytes_accessed: float
    collectives: Mapping[str, Collective]


def compile_step(
    experiment: config.Experiment,
    streams: Mapping[str, StreamShape],
    target: Target,
    teachers: Mapping[str, Teacher],
) -> CompiledStep:
    """Compile a step for a target.

    Raises:
        ConfigError: settings do not fit it.
        TooLargeError: the step does not fit its memory.
    """
    setup = planned_setup(experiment, streams, target, teachers)
    rows = batch_sharding(setup.mesh)
    batch = {name: shapes_with(stream.abstract(), rows) for name, stream in streams.items()}
    try:
        step: Any = setup.step  # jitted
        compiled = step.lower(setup.abstract, batch, setup.fixed).compile()
    except jax.errors.JaxRuntimeError as error:
        if match := _TOO_LARGE.search(str(error)):
            needed = int(float(match["used"]) * _UNITS[match["unit"]])
            raise TooLargeError(needed) from error
        raise
    memory, cost = compiled.memory_analysis(), compiled.cost_analysis()
    return CompiledStep(
        arguments=memory.argument_size_in_bytes,
        temporary=memory.temp_size_in_bytes,
        flops=cost["flops"],
        bytes_accessed=cost["bytes accessed"],
        collectives=collectives(compiled.as_text()),
    )


def planned_setup(
    experiment: config.Experiment,
    streams: Mapping[str, StreamShape],
    target: Target,
    teachers: Mapping[str, Any],
) -> Setup:
    """Set a run up on devices that may not be there: what is fixed has shapes alone."""
    return set_up(experiment, streams, [*target.devices], teachers=teachers, abstract_fixed=True)
