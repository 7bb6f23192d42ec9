"""The checkpoint that did best in the evaluations on the way of a run."""

from collections import defaultdict

from kgclip_jax.errors import CheckpointError, ConfigError
from kgclip_jax.evaluation.result import from_json
from kgclip_jax.schema import suggestion
from kgclip_jax.store.checkpoints import saved_steps
from kgclip_jax.store.workdir import Workdir


def best_step(workdir: Workdir, measure: str, *, averaged: bool = False) -> int:
    """Return the step with the highest value of a row of evaluations.jsonl; of equals the first.

    Args:
        workdir: of the run.
        measure: set and metric of the row, such as "COCO val, text-to-image R@1".
        averaged: whether the row is that of the averaged parameters.

    Raises:
        ConfigError: no evaluation has such a row.
        CheckpointError: the checkpoint of that step was not kept.
    """
    values: dict[str, dict[int, float]] = defaultdict(dict)
    for line in workdir.read_evaluations():
        for row in from_json(line["results"]):
            if not row.blind and (row.weights == "average") == averaged:
                values[f"{row.set_name}, {row.metric}"][line["step"]] = row.value
    if measure not in values:
        raise ConfigError(
            f"--best: {workdir.evaluations} has no {measure!r}{suggestion(measure, values)}"
        )
    found = values[measure]
    step = max(found, key=lambda step: (found[step], -step))
    if step not in saved_steps(workdir.checkpoints):
        raise CheckpointError(
            f"step {step} is the best by {measure!r}, and its checkpoint was not kept; in the next "
            "run let config.checkpoints.every divide config.evaluate_every, and keep enough"
        )
    return step
