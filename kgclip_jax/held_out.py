"""From the settings of an experiment to its held-out sets."""

from pathlib import Path

from kgclip_jax.config import Experiment
from kgclip_jax.data.evaluation_sets import EvaluationSet
from kgclip_jax.data.lazy_pictures import EvaluationTransform


def evaluation_sets(experiment: Experiment) -> list[EvaluationSet]:
    """List the held-out sets of all sources and those beside them; no picture is read yet.

    Raises:
        DataError: when one of them is missing or malformed, or has too many bad records.
    """
    vision, data = experiment.model.vision, experiment.data
    transform = EvaluationTransform(vision.image_size, vision.resize, vision.interpolation)
    sets: list[EvaluationSet] = []
    for source in experiment.sources:
        sets += source.held_out_sets(data, transform)
    for name, settings in experiment.evaluation.items():
        sets.append(settings.open(name, Path(data.path), transform))
    return sets
