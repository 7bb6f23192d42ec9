"""Finished runs as a comparison sees them: settings, results, and what their training took."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from kgclip_jax.errors import ConfigError, DataError
from kgclip_jax.evaluation.outcomes import read_outcomes
from kgclip_jax.evaluation.result import Outcomes, Result, from_json
from kgclip_jax.files import expanded, read_json
from kgclip_jax.store.workdir import Workdir

Measure: TypeAlias = tuple[str, str, str, bool]
"""What a row of one run has in common with that of another: task, set, metric, blind."""


@dataclass(frozen=True)
class Run:
    """A run that was evaluated with weights of one kind.

    Attributes:
        root: its workdir, as the user wrote it.
        config: its config.json.
        step: of the checkpoint that was evaluated.
        weights: "raw", or "average" for the moving average of the parameters.
        results: rows of evaluation.json with these weights.
        metrics: lines of metrics.jsonl, up to `step`.
        outcomes: right and wrong decisions behind the rows; empty where they were not kept.
    """

    root: str
    config: Mapping[str, Any]
    step: int
    weights: str
    results: Sequence[Result]
    metrics: Sequence[Mapping[str, int | float]]
    outcomes: Mapping[Measure, Outcomes] = field(default_factory=dict)

    @property
    def seed(self) -> int:
        """The seed of its parameters, order of records, captions and crops."""
        return int(self.config["seed"])

    @property
    def rows_of_a_step(self) -> int:
        """Rows of all streams in a step: image-text pairs, where there are but captions."""
        rows = [stream["rows"] for stream in self.config["streams"].values()]
        return sum(sum(r.values()) if isinstance(r, Mapping) else r for r in rows)

    @property
    def pairs(self) -> int:
        """Rows seen up to `step`."""
        return self.step * self.rows_of_a_step

    @property
    def folder(self) -> Path:
        """Its workdir, in full."""
        return Path(expanded(self.root)).resolve()

    @property
    def rows(self) -> dict[Measure, Result]:
        """The results by what they measure."""
        return {measure_of(row): row for row in self.results}

    def outcomes_of(self, measure: Measure) -> Outcomes | None:
        """Return the decisions that a row of the results is the mean of, or None.

        There may be none, or those of an evaluation with other weights or at another time.
        """
        row, found = self.rows[measure], self.outcomes.get(measure)
        if found is None or len(found.values) != row.n:
            return None
        groups = np.zeros_like(found.clusters) if found.groups is None else found.groups
        _, group = np.unique(groups, return_inverse=True)
        means = np.bincount(group, weights=found.values) / np.bincount(group)
        return found if math.isclose(means.mean(), row.value, abs_tol=1e-6) else None

    def training_time(self) -> tuple[float, int]:
        """Return the seconds of training as the log tells them, and how many steps that is.

        Each line of metrics tells the pairs a second since the line before it, so the time between
        them is pairs over that speed. The first step, which compiles, and the steps after the last
        line are in no line. (After an interruption the first step is in none either, but is counted
        here.)
        """
        seconds, steps, before = 0.0, 0, 1  # the clock starts after the first step
        lines = {int(line["step"]): line.get("pairs_per_second") for line in self.metrics}
        for step in sorted(lines):
            speed = lines[step]
            if speed is not None and math.isfinite(speed) and speed > 0:
                seconds += (step - before) * self.rows_of_a_step / speed
                steps += step - before
            before = step
        return seconds, steps


def measure_of(row: Result) -> Measure:
    """Return what a row measures."""
    return row.task, row.set_name, row.metric, row.blind


def read_runs(root: str) -> list[Run]:
    """Read what a workdir says of its run, once for each kind of weights that was evaluated.

    Raises:
        ConfigError: it holds no run.
        DataError: the run was not evaluated, or one of its files is damaged.
    """
    workdir = Workdir(Path(expanded(root)))
    config = _checked(workdir.read_config(), workdir.config)
    again = f"python launch/evaluate.py --workdir={root}"
    if not workdir.evaluation.exists():
        raise DataError(f"{workdir.evaluation} is missing; {again} makes it")
    try:
        record = read_json(workdir.evaluation)
        step, results = record["step"], from_json(record["results"])
        if type(step) is not int:
            raise TypeError(f"step {step!r}")
    except (DataError, KeyError, TypeError) as error:
        raise DataError(
            f"{workdir.evaluation} is damaged ({error}); {again} makes it anew"
        ) from error
    if not results:
        raise DataError(f"{root} was evaluated on nothing: it has no held-out set")
    metrics = [line for line in workdir.read_metrics() if line["step"] <= step]
    runs = []
    for weights in dict.fromkeys(row.weights for row in results):
        rows = [row for row in results if row.weights == weights]
        outcomes = read_outcomes(outcomes_file(workdir.evaluation, weights))
        runs.append(Run(root, config, step, weights, rows, metrics, outcomes))
    return runs


def outcomes_file(evaluation: Path, weights: str) -> Path:
    """Where the outcomes behind those rows of an evaluation lie that are of some weights."""
    stem = evaluation.stem if weights == "raw" else f"{evaluation.stem}_{weights}"
    return evaluation.with_name(f"{stem}.npz")


def _checked(config: Mapping[str, Any], file: Path) -> Mapping[str, Any]:
    """Return a config if it has what is read of it here, in the right form."""
    for key, kind, words in (
        ("seed", int, "a whole number"),
        ("streams", dict, "an object"),
        ("objectives", dict, "an object"),
    ):
        if not isinstance(config.get(key), kind):
            raise ConfigError(f"{file}: {key!r} must be {words}, not {config.get(key)!r}")
    for name, stream in config["streams"].items():
        sources = stream.get("sources", {}) if isinstance(stream, dict) else None
        if not isinstance(sources, dict) or any(type(s) is not dict for s in sources.values()):
            raise ConfigError(f"{file}: streams.{name}.sources must be an object of objects")
        blocks = stream.get("rows")
        counts = [*blocks.values()] if isinstance(blocks, dict) else [blocks]
        if any(type(count) is not int for count in counts):
            raise ConfigError(f"{file}: streams.{name}.rows must be whole numbers, not {blocks!r}")
    return config
