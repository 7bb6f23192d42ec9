"""From the settings of an experiment to its held-out sets, with their scene graphs."""

from functools import partial
from pathlib import Path
from typing import Literal

from kgclip_jax.cache import NO_CACHE, Cache
from kgclip_jax.config import Experiment
from kgclip_jax.data.evaluation_sets import EvaluationSet
from kgclip_jax.data.lazy_pictures import EvaluationTransform
from kgclip_jax.data.parsed_texts import parse_once, with_graphs, without_graphs

Graphs = Literal["own", "parsed", "none"]


def held_out_sets(
    experiment: Experiment, graphs: Graphs = "own", cache: Cache = NO_CACHE
) -> list[EvaluationSet]:
    """List the held-out sets of all sources and those beside them; no picture is read yet.

    Where the model has a knowledge encoder, their texts get scene graphs: those that they know
    ("own"; others are parsed), parsed ones for all ("parsed"), or none.

    Args:
        experiment: names the sets, which may be none.
        graphs: of which kind.
        cache: of what was parsed.

    Raises:
        DataError: when one of them is missing or malformed, or has too many bad records.
        UserError: texts must be parsed, and spaCy is not there.
    """
    vision, data = experiment.model.vision, experiment.data
    transform = EvaluationTransform(vision.image_size, vision.resize, vision.interpolation)
    sets: list[EvaluationSet] = []
    for source in experiment.sources:
        sets += source.held_out_sets(data, transform)
    for name, settings in experiment.evaluation.items():
        sets.append(settings.open(name, Path(data.path), transform))
    if experiment.model.knowledge is None:
        return sets
    if graphs != "own":
        sets = without_graphs(sets)
    if graphs != "none":
        sets = with_graphs(sets, partial(parse_once, model=data.parser, cache=cache))
    return sets
