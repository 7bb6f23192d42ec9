"""Plan a run: what its step takes of each device, how long it lasts at best, what would fit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kgclip_jax import config
from kgclip_jax.models.flops import parameter_count
from kgclip_jax.planning.compiled_step import CompiledStep
from kgclip_jax.planning.step_costs import Costs
from kgclip_jax.planning.targets import Target
from kgclip_jax.training.setup import Setup
from kgclip_jax.training.summary import parameter_rows, uncut


@dataclass(frozen=True)
class Roofline:
    """Seconds that a step takes at least, if a chip did nothing else at its peak rate.

    Attributes:
        compute: of its FLOPs.
        memory: of its memory traffic.
        network: of its collectives' results.
    """

    compute: float
    memory: float
    network: float

    @property
    def seconds(self) -> float:
        """A step can be no faster: the three overlap at best."""
        return max(self.compute, self.memory, self.network)

    @property
    def bound(self) -> str:
        """Which of the three it is."""
        times = {"compute": self.compute, "memory": self.memory, "network": self.network}
        return max(times, key=lambda name: times[name])


@dataclass(frozen=True)
class Plan:
    """What is known of a run before it starts.

    Attributes:
        experiment: the run.
        target: where.
        setup: its parts on these devices.
        step: what the compiler says of the step, or how much too large it is.
        costs: of a step on one device, its loops in full.
        rows: of each stream in a step, over all devices.
        largest_rows: of captioned pictures in a step that was seen to fit; None: not looked for.
        assumptions: what a reader has to know, a line each.
    """

    experiment: config.Experiment
    target: Target
    setup: Setup
    step: CompiledStep
    fits: bool
    costs: Costs
    rows: Mapping[str, int]
    largest_rows: int | None
    assumptions: Sequence[str]

    @property
    def roofline(self) -> Roofline | None:
        """The least time of a step; None on CPUs, whose rates nobody knows."""
        chip = self.target.chip
        if chip is None:
            return None
        moved = sum(each.bytes for each in self.step.collectives.values())
        return Roofline(
            compute=self.costs.flops / chip.flops,
            memory=self.costs.bytes_accessed / chip.bandwidth,
            network=moved / chip.network,
        )

    def to_json(self) -> dict[str, Any]:
        """Return all of it. Bytes, FLOPs and seconds are of one device in one step."""
        chip, devices = self.target.chip, len(self.target.devices)
        return {
            "topology": self.target.name,
            "devices": devices,
            "mesh": dict(self.setup.mesh.shape),
            "parameters": parameter_count(self.setup.abstract.params),
            "rows": dict(self.rows),
            "total_steps": self.experiment.total_steps,
            "argument_bytes": self.step.arguments,
            "temporary_bytes": self.step.temporary,
            "memory_bytes": None if chip is None else chip.memory,
            "fits": self.fits,
            "flops": self.costs.flops,
            "model_flops": self.setup.work.flops / devices,
            "bytes_accessed": self.costs.bytes_accessed,
            "collectives": {
                kind: {"number": each.number, "bytes": each.bytes}
                for kind, each in sorted(self.step.collectives.items())
            },
            **self._times(),
            "largest_rows": self.largest_rows,
            "sharding": [
                {"parameter": path, "shape": shape, "cut": cut}
                for path, shape, _, _, cut in parameter_rows(self.setup)
            ],
            "uncut": uncut(self.setup),
            "assumptions": [*self.assumptions],
        }

    def _times(self) -> dict[str, Any]:
        roofline = self.roofline
        if roofline is None:
            return {}
        hours = roofline.seconds * self.experiment.total_steps / 3600
        return {
            "seconds": {
                "compute": roofline.compute,
                "memory": roofline.memory,
                "network": roofline.network,
                "step": roofline.seconds,
            },
            "bound": roofline.bound,
            "rows_per_second": {name: rows / roofline.seconds for name, rows in self.rows.items()},
            "hours": hours,
            "chip_hours": hours * len(self.target.devices),
        }

    def lines(self) -> list[str]:
        """Say it to people."""
        step, chip = self.step, self.target.chip
        taken = f"memory: {_gib(step.arguments)} state and batch, {_gib(step.temporary)} temporary"
        if chip is not None:
            fits = "fits" if self.fits else "does NOT fit"
            taken += f", of {_gib(chip.memory)}: {fits}"
        model = self.setup.work.flops / len(self.target.devices)
        lines = [
            taken,
            f"work: {self.costs.flops / 1e12:.3g} TFLOP ({model / 1e12:.3g} of them the model's), "
            f"{self.costs.bytes_accessed / 1e9:.4g} GB of memory traffic",
            *(
                f"{kind}: {each.number:,}, {each.bytes / 1e6:,.1f} MB"
                for kind, each in sorted(step.collectives.items())
            ),
        ]
        if self.largest_rows is not None:
            lines.append(f"largest batch seen to fit: {self.largest_rows:,} rows of captions")
        return [*lines, *self._time_lines(), *(f"note: {line}" for line in self.assumptions)]

    def _time_lines(self) -> list[str]:
        roofline, times = self.roofline, self._times()
        if roofline is None:
            return []
        rates = ", ".join(f"{rate:,.0f} {name}" for name, rate in times["rows_per_second"].items())
        return [
            f"a step takes no less than {1e3 * roofline.seconds:.4g} ms (compute "
            f"{1e3 * roofline.compute:.4g}, memory {1e3 * roofline.memory:.4g}, network "
            f"{1e3 * roofline.network:.4g}), so a second sees at most {rates}",
            f"{self.experiment.total_steps:,} steps take no less than {times['hours']:,.1f} hours, "
            f"{times['chip_hours']:,.0f} chip-hours",
        ]


def _gib(size: int) -> str:
    return f"{size / 2**30:.2f} GiB"
