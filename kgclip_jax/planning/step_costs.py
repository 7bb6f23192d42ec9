"""FLOPs and memory traffic of a step whose blocks run in a loop.

XLA counts the body of a loop once, however often it runs. Written out, blocks are all alike, so
that the cost of a step is linear in the depth of each of its transformers: two shallow steps tell
the price of a block, and blocks add up.
"""

from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any, NamedTuple

from kgclip_jax import config
from kgclip_jax.models.spec import Transformer
from kgclip_jax.models.transformer import UNROLLED
from kgclip_jax.planning.compiled_step import CompiledStep

Path = tuple[str, ...]
_SECTIONS = ("model", "heads")


class Costs(NamedTuple):
    """Of one device in one step."""

    flops: float
    bytes_accessed: float


def step_costs(
    experiment: config.Experiment, compile_step: Callable[[config.Experiment], CompiledStep]
) -> Costs:
    """Return what a step costs with all its blocks.

    Args:
        experiment: the run.
        compile_step: of an experiment like it, for the devices that it is planned for.
    """
    depths = dict(_depths(experiment))
    shallow = dict.fromkeys(depths, 1)

    def costs(changed: dict[Path, int]) -> Costs:
        compiled = compile_step(_with_depths(experiment, shallow | changed))
        return Costs(compiled.flops, compiled.bytes_accessed)

    base = costs({})
    total = base
    for path, depth in depths.items():
        if depth > 1:
            more = costs({path: 2})
            total = Costs(
                total.flops + (depth - 1) * (more.flops - base.flops),
                total.bytes_accessed + (depth - 1) * (more.bytes_accessed - base.bytes_accessed),
            )
    return total


def _depths(experiment: config.Experiment) -> Iterator[tuple[Path, int]]:
    """The transformers of the model and its heads, by where their settings are."""
    for section in _SECTIONS:
        yield from _depths_within(getattr(experiment, section), (section,))


def _depths_within(settings: Any, path: Path) -> Iterator[tuple[Path, int]]:
    if isinstance(settings, Transformer):
        yield path, settings.depth
    elif isinstance(settings, dict):
        for key, value in settings.items():
            yield from _depths_within(value, (*path, key))
    elif is_dataclass(settings):
        for field in fields(settings):
            yield from _depths_within(getattr(settings, field.name), (*path, field.name))


def _with_depths(experiment: config.Experiment, depths: dict[Path, int]) -> config.Experiment:
    """The same experiment, its transformers of other depths, their blocks written out."""
    changed: Any = experiment
    for path, depth in depths.items():
        changed = _with_depth(changed, path, depth)
    return replace(changed, execution=replace(experiment.execution, unroll=UNROLLED))


def _with_depth(settings: Any, path: Path, depth: int) -> Any:
    if not path:
        return replace(settings, depth=depth)
    name, *rest = path
    if isinstance(settings, dict):
        return settings | {name: _with_depth(settings[name], tuple(rest), depth)}
    return replace(settings, **{name: _with_depth(getattr(settings, name), tuple(rest), depth)})
