"""Finished runs as a comparison sees them: settings, results, and what their training took."""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

from kgclip_jax.errors import ConfigError, DataError
from kgclip_jax.evaluation.result import Result, from_json, metric_label
from kgclip_jax.schema import differences
from kgclip_jax.store.workdir import Workdir

_SHOWN = 12  # differences in a message

# Settings of a source that say how to train on it, and nothing about its held-out set.
_TRAINING_ONLY = {"weight", "crop_scale", "graphs", "split", "shards"}


@dataclass(frozen=True)
class Run:
    """An evaluated run.

    Attributes:
        root: its workdir, as the user wrote it.
        config: its config.json.
        step: of the checkpoint that was evaluated.
        averaged: whether that was the moving average of the parameters.
        results: rows of evaluation.json.
        metrics: lines of metrics.jsonl, up to `step`.
    """

    root: str
    config: Mapping[str, Any]
    step: int
    averaged: bool
    results: Sequence[Result]
    metrics: Sequence[Mapping[str, int | float]]

    @property
    def seed(self) -> int:
        """The seed of its parameters, order of records, captions and crops."""
        return int(self.config["seed"])

    @property
    def pairs(self) -> int:
        """Image-text pairs seen up to `step`."""
        return self.step * int(self.config["batch_size"])

    @property
    def name(self) -> str:
        """The name of its folder."""
        return Path(self.root).resolve().name


def read_run(root: str) -> Run:
    """Read what a workdir says of its run.

    Raises:
        ConfigError: it holds no run.
        DataError: the run was not evaluated, or one of its files is damaged.
    """
    workdir = Workdir(Path(root))
    config = _checked(workdir.read_config(), workdir.config)
    try:
        record = json.loads(workdir.evaluation.read_text())
        step, averaged, results = record["step"], record["averaged"], from_json(record["results"])
        if type(step) is not int or type(averaged) is not bool:
            raise TypeError(f"step {step!r}, averaged {averaged!r}")
    except FileNotFoundError as error:
        raise DataError(
            f"{workdir.evaluation} is missing; python launch/evaluate.py --workdir={root} makes it"
        ) from error
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise DataError(
            f"{workdir.evaluation} is damaged ({error}); python launch/evaluate.py "
            f"--workdir={root} makes it anew"
        ) from error
    try:
        metrics = [line for line in workdir.read_metrics() if line["step"] <= step]
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise DataError(f"{workdir.metrics} is damaged: {error}") from error
    return Run(root, config, step, averaged, results, metrics)


def _checked(config: Mapping[str, Any], file: Path) -> Mapping[str, Any]:
    """Return a config if it has what is read of it here, in the right form."""
    for key, kind in {
        "seed": int,
        "batch_size": int,
        "data": Mapping,
        "objectives": Mapping,
    }.items():
        if key not in config:
            raise ConfigError(f"{file} has no {key!r}: it is no config of a run")
        if not isinstance(config[key], kind):
            what = "a whole number" if kind is int else "an object"
            raise ConfigError(f"{file}: {key!r} must be {what}, not {config[key]!r}")
    sources = config["data"].get("sources", {})
    if not isinstance(sources, Mapping) or not all(
        isinstance(source, Mapping) for source in sources.values()
    ):
        raise ConfigError(f"{file}: 'data.sources' must be an object of objects, not {sources!r}")
    return config


def training_seconds(run: Run) -> tuple[float, int]:
    """Return the wall time of training as the log tells it, and how many steps that is.

    Each line of metrics tells the pairs a second since the line before it, so the time between them
    is pairs over that speed. The first step, which compiles, and the steps after the last line are
    in no line. (After an interruption the first step is in none either, but is counted here.)
    """
    seconds, steps, before = 0.0, 0, 1  # the clock starts after the first step
    lines = {int(line["step"]): line.get("pairs_per_second") for line in run.metrics}
    for step in sorted(lines):
        speed = lines[step]
        if speed is not None and math.isfinite(speed) and speed > 0:
            seconds += (step - before) * int(run.config["batch_size"]) / speed
            steps += step - before
        before = step
    return seconds, steps


@dataclass(frozen=True)
class Column:
    """Runs that differ in their seed alone, and in what they start from if that ends with the seed.

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
    seen: set[Path] = set()
    for run in runs:
        place = Path(run.root).resolve()
        if place in seen:
            raise ConfigError(f"{run.root} is given twice")
        seen.add(place)
        for group in groups:
            if _kind(group[0]) == _kind(run) and run.seed not in {other.seed for other in group}:
                group.append(run)
                break
        else:
            groups.append([run])
    names = _names(groups)
    columns = [
        Column(name, tuple(sorted(group, key=lambda run: run.seed)))
        for name, group in zip(names, groups, strict=True)
    ]
    _check_seeds(columns)
    return columns


def _kind(run: Run) -> tuple[Mapping[str, Any], int, bool]:
    settings = {key: value for key, value in run.config.items() if key != "seed"}
    if source := settings.get("init_from"):
        settings["init_from"] = re.sub(rf"(?<!\d){run.seed}$", "SEED", source)
    return settings, run.step, run.averaged


def _names(groups: Sequence[Sequence[Run]]) -> list[str]:
    """Name columns by their folders, or by their whole paths where folders are called the same."""
    names = [_shared_name([run.name for run in group]) for group in groups]
    if len({*names}) == len(names):
        return names
    paths = [str(Path(group[0].root)) for group in groups]
    return paths if len({*paths}) == len(paths) else [f"{p} ({i})" for i, p in enumerate(paths, 1)]


def _shared_name(names: Sequence[str]) -> str:
    """What names have in common, without the number that tells them apart: "clip" of "clip-0"."""
    if len(names) == 1:
        return names[0]
    same = takewhile(lambda letters: len({*letters}) == 1, zip(*names, strict=False))
    prefix = "".join(letters[0] for letters in same)
    return re.sub(r"\d+$", "", prefix).rstrip("-_.,: ") or names[0]


def _check_seeds(columns: Sequence[Column]) -> None:
    if all(len(column.runs) == 1 for column in columns):
        return
    if len({column.seeds for column in columns}) > 1:
        lines = [f"  {c.name}: seeds {', '.join(map(str, c.seeds))}" for c in columns]
        raise ConfigError(
            "runs that differ in their seed alone are compared seed by seed, so each needs the "
            "same seeds:\n" + "\n".join(lines) + "\nadd the runs that are missing, or leave some "
            "out"
        )


def check_same_sets(runs: Sequence[Run]) -> None:
    """Raise DataError, naming what differs, unless all runs answered the same questions."""
    first = runs[0]
    for run in runs[1:]:
        lines = [
            f"  config.{key}: {old!r} -> {new!r}"
            for key, old, new in differences(_held_out(first.config), _held_out(run.config))
        ]
        lines += _other_rows(first.results, run.results)
        if lines:
            shown = lines[:_SHOWN]
            if len(lines) > _SHOWN:
                shown.append(f"  and {len(lines) - _SHOWN} more")
            raise DataError(
                f"{run.root} was evaluated on other sets than {first.root} ({first.root} -> "
                f"{run.root}):\n" + "\n".join(shown)
            )


def _held_out(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that decide which held-out sets there are."""
    sources = {}
    for name, source in config["data"].get("sources", {}).items():
        settings = {key: value for key, value in source.items() if key not in _TRAINING_ONLY}
        if isinstance(settings.get("world"), Mapping):
            settings["world"] = {k: v for k, v in settings["world"].items() if k != "scenes"}
        chosen = [value for key, value in settings.items() if key.startswith("evaluation_")]
        if any(chosen):
            sources[name] = settings
    return {"data": {"sources": sources}, "evaluation": config.get("evaluation", {})}


def _other_rows(old: Sequence[Result], new: Sequence[Result]) -> Iterator[str]:
    ours, theirs = ({row_key(row): row for row in rows} for rows in (old, new))
    for key in [*ours, *(key for key in theirs if key not in ours)]:
        row = ours.get(key) or theirs[key]
        place = f"  {row.task}: {row.set_name}, {metric_label(row)}"
        if key not in theirs:
            yield f"{place}: only in the first"
        elif key not in ours:
            yield f"{place}: only in the second"
        else:
            for name in ("n", "chance"):
                values = getattr(ours[key], name), getattr(theirs[key], name)
                if not math.isclose(*values, rel_tol=1e-9):
                    yield f"{place}: {name} {values[0]} -> {values[1]}"


def row_key(row: Result) -> tuple[str, str, str, bool]:
    """What a row of one run has in common with that of another."""
    return row.task, row.set_name, row.metric, row.blind
