"""Which runs are one method, and whether runs answered the same questions."""

import re
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from fnmatch import fnmatchcase
from math import isclose
from pathlib import Path
from typing import Any

from kgclip_jax.errors import ConfigError, DataError
from kgclip_jax.evaluation.result import Result, grouped, metric_label, set_label
from kgclip_jax.reporting.runs import Run, measure_of
from kgclip_jax.schema import differences
from kgclip_jax.store.workdir import Workdir

SAME_QUESTIONS = (
    "*.weight",
    "*.crop_scale",
    "*.graphs",
    "*.scene_graphs",
    "streams.*.sources.*.split",  # that of a set in `evaluation` is what is asked about
    "streams.*.sources.*.shards",
    "streams.*.sources.*.world.scenes",
    "evaluation.*.bad_share",
    "evaluation.*.world.scenes",
)
"""Settings of sources and held-out sets that do not decide what is asked; all others do."""

_SHOWN = 12  # differences in a message


@dataclass(frozen=True)
class Column:
    """Runs that differ in their seed alone.

    Attributes:
        name: unique within a comparison.
        runs: with different seeds, in increasing order of them.
    """

    name: str
    runs: tuple[Run, ...]

    @property
    def seeds(self) -> tuple[int, ...]:
        """The runs' seeds."""
        return tuple(run.seed for run in self.runs)

    @property
    def label(self) -> str:
        """The name, and how many seeds it stands for."""
        return self.name if len(self.runs) == 1 else f"{self.name} ({len(self.runs)} seeds)"


def columns_of(runs: Sequence[Run]) -> list[Column]:
    """Put runs together that differ in their seed alone, in order of first appearance.

    A second run of the same config and seed begins a column of its own.

    Raises:
        ConfigError: a run is given twice, or columns have several but different seeds.
    """
    groups: list[list[Run]] = []
    for place, run in enumerate(runs):
        if any((run.folder, run.weights) == (o.folder, o.weights) for o in runs[:place]):
            raise ConfigError(f"{run.root} is given twice")
        for group in groups:
            if _kind(group[0]) == _kind(run) and run.seed not in [other.seed for other in group]:
                group.append(run)
                break
        else:
            groups.append([run])
    groups = [sorted(group, key=lambda run: run.seed) for group in groups]
    columns = [Column(n, tuple(g)) for n, g in zip(_names(groups), groups, strict=True)]
    if len({column.seeds for column in columns}) > 1 and any(len(group) > 1 for group in groups):
        lines = [f"  {c.name}: seeds {', '.join(map(str, c.seeds))}" for c in columns]
        raise ConfigError(
            "runs that differ in their seed alone are compared seed by seed, so each needs the "
            "same seeds:\n" + "\n".join(lines) + "\nadd the runs that are missing, or leave some "
            "out"
        )
    return columns


def _kind(run: Run) -> tuple[Mapping[str, Any], int, str]:
    return _without_seed(run.config), run.step, run.weights


def _without_seed(config: Mapping[str, Any]) -> dict[str, Any]:
    """What makes a method: a config but for its seed, and for those of the runs it builds on."""
    teachers = {name: _of_method(settings) for name, settings in config.get("teachers", {}).items()}
    settings = {key: value for key, value in config.items() if key != "seed"}
    return _of_method(settings) | {"teachers": teachers}


def _of_method(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Put in the place of a run that something starts from what makes its method."""
    start = settings.get("init_from")
    if start and (workdir := Workdir(Path(start))).holds_run():
        return {**settings, "init_from": _without_seed(workdir.read_config())}
    return {**settings}


def _names(groups: Sequence[Sequence[Run]]) -> list[str]:
    """Name groups by their folders, or by their paths where folders are called the same."""
    weights = ["" if g[0].weights == "raw" else f" ({g[0].weights})" for g in groups]
    choices = (
        [_shared_name(group) for group in groups],
        [str(Path(group[0].root)) for group in groups],
        [f"{group[0].root} ({place})" for place, group in enumerate(groups, 1)],
    )
    named = [[n + w for n, w in zip(names, weights, strict=True)] for names in choices]
    return next(names for names in named if len({*names}) == len(names))


def _shared_name(group: Sequence[Run]) -> str:
    """The folders' name without their own seeds, "clip" of "clip-0" and "clip-1"; or the first."""
    first = group[0].folder.name
    if len(group) == 1:
        return first
    bare = {re.sub(rf"(?<!\d){run.seed}$", "", run.folder.name) for run in group}
    return (bare.pop().rstrip("-_.,=: ") if len(bare) == 1 else "") or first


def check_same_sets(runs: Sequence[Run]) -> None:
    """Raise DataError, naming what differs, unless the runs answered the same questions.

    A run may have been asked about sets beside all of another's, as one is that goes on from it.
    """
    first = runs[0]
    for run in runs[1:]:
        ours, theirs = _held_out(first.config), _held_out(run.config)
        ours_alone, theirs_alone = ours.keys() - theirs.keys(), theirs.keys() - ours.keys()
        if not (ours_alone and theirs_alone):
            ours, theirs = ({k: o[k] for k in ours.keys() & theirs.keys()} for o in (ours, theirs))
        lines = [*_other_settings(ours, theirs)]
        lines += _other_rows(first, run, ours_alone, theirs_alone)
        if lines:
            more = [f"  and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else []
            raise DataError(
                f"{run.root} was evaluated on other sets than {first.root} ({first.root} -> "
                f"{run.root}):\n" + "\n".join([*lines[:_SHOWN], *more])
            )


def shared_measures(runs: Sequence[Run]) -> list[Result]:
    """Return the first run's rows that all runs have, in the order of tables.

    Raises:
        DataError: there are none.
    """
    rows = [row for group in grouped(runs[0].results) for row in group]
    shared = [row for row in rows if all(measure_of(row) in run.rows for run in runs)]
    if not shared:
        raise DataError(f"{', '.join(run.root for run in runs)} share no held-out set")
    return shared


def unshared_sets(runs: Sequence[Run]) -> dict[str, list[str]]:
    """Return the sets that some runs alone have measures of, and these runs."""
    found: dict[str, list[str]] = {}
    for run in runs:
        lacking = [r for r in run.results if any(measure_of(r) not in o.rows for o in runs)]
        for label in dict.fromkeys(map(set_label, lacking)):
            found.setdefault(label, []).append(run.root)
    return found


def _other_settings(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    for key, before, now in differences(old, new):
        if not any(fnmatchcase(key, pattern) for pattern in SAME_QUESTIONS):
            yield f"  config.{key}: {before!r} -> {now!r}"


def _held_out(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of held-out sets, and of the sources that have some, by their keys."""
    sources = {
        f"streams.{stream}.sources.{name}": source
        for stream, settings in config["streams"].items()
        for name, source in settings.get("sources", {}).items()
        if any(value for key, value in source.items() if key.startswith("evaluation_"))
    }
    sets = config.get("evaluation", {})
    return sources | {f"evaluation.{name}": settings for name, settings in sets.items()}


def _other_rows(old: Run, new: Run, old_alone: Set[str], new_alone: Set[str]) -> Iterator[str]:
    """Name rows that one run lacks, if not for lack of a set, and those of other questions.

    The last two are the keys of sets and sources that one of the configs alone has.
    """
    ours, theirs = old.rows, new.rows
    for key in dict.fromkeys([*ours, *theirs]):
        row = ours.get(key) or theirs[key]
        place = f"  {set_label(row)}, {metric_label(row)}"
        if key not in ours or key not in theirs:
            if not (old_alone if key in ours else new_alone):
                yield f"{place}: only in the {'second' if key in theirs else 'first'}"
            continue
        if f"evaluation.{row.set_name}" in old_alone | new_alone:
            yield f"{place}: only one config.json has its settings"
        if ours[key].n != theirs[key].n:
            yield f"{place}: n {ours[key].n} -> {theirs[key].n}"
        if ours[key].control != theirs[key].control:
            was, now = (side[key].control or "what it does not say" for side in (ours, theirs))
            yield f"{place}: blind by {was} -> {now}; evaluate both by this version"
        if not isclose(ours[key].chance, theirs[key].chance, rel_tol=1e-9):
            yield f"{place}: chance {ours[key].chance} -> {theirs[key].chance}"
