"""The table of evaluation tasks, and the evaluation of an encoder on any mixture of their sets.

A task is a class of sets and a function that turns an encoder and such a set into results. A new
one is a file beside this one and a line of `TASKS`.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from kgclip_jax.data.concept_sets import ConceptSet
from kgclip_jax.data.evaluation_sets import (
    AttributeProbeSet,
    ChoiceSet,
    EvaluationSet,
    LinearProbeSet,
    RetrievalSet,
    TextSet,
    ZeroShotSet,
)
from kgclip_jax.data.labelled_set import LabelledSet
from kgclip_jax.data.link_sets import LinkSet
from kgclip_jax.data.reconstruction_sets import ReconstructionSet
from kgclip_jax.errors import DataError
from kgclip_jax.evaluation import (
    attribute_probe,
    choice,
    concept_heads,
    fine_tuned,
    linear_probe,
    links,
    reconstruction,
    retrieval,
    zero_shot,
)
from kgclip_jax.evaluation.accuracy import mean_of_sets
from kgclip_jax.evaluation.encoder import Encoder
from kgclip_jax.evaluation.result import Result


class Task(NamedTuple):
    """What is done with a class of sets, how tables call it, and whether it asks a head."""

    name: str
    evaluate: Callable[[Any, Any], list[Result]]
    asks_head: bool = False


TASKS: dict[type, Task] = {
    RetrievalSet: Task(retrieval.TASK, retrieval.evaluate_retrieval),
    ZeroShotSet: Task(zero_shot.TASK, zero_shot.evaluate_zero_shot),
    LinearProbeSet: Task(linear_probe.TASK, linear_probe.evaluate_linear_probe),
    AttributeProbeSet: Task(attribute_probe.TASK, attribute_probe.evaluate_attribute_probe),
    ChoiceSet: Task(choice.TASK, choice.evaluate_choices),
    LabelledSet: Task(fine_tuned.TASK, fine_tuned.evaluate_fine_tuned, asks_head=True),
    ReconstructionSet: Task(reconstruction.TASK, reconstruction.evaluate_reconstruction),
    LinkSet: Task(links.TASK, links.evaluate_links, asks_head=True),
    ConceptSet: Task(concept_heads.TASK, concept_heads.evaluate_concepts, asks_head=True),
}


def evaluate(
    encoder: Encoder, sets: Sequence[EvaluationSet], *, weights: str = "raw"
) -> list[Result]:
    """Evaluate on each set in turn and return the rows of the table; means over sets come last.

    Within a set each distinct text is encoded once, and all texts go to the encoder in one call;
    cutting them into batches is the encoder's business. Pictures follow as they are read. What is
    asked about pictures that cannot be read is left out.

    `weights`, "raw" or "average", is for the rows: which parameters the encoder has.

    Raises:
        DataError: there is no set, two sets of a task share a name, a set is empty or inconsistent,
            or too many of its pictures cannot be read.
    """
    if not sets:
        raise DataError("nothing to evaluate on: name at least one evaluation set")
    check_sets(sets)
    rows: list[Result] = []
    averaged: dict[tuple[type, str], list[Result]] = defaultdict(list)
    for data in sets:
        found = TASKS[type(data)].evaluate(encoder, data)
        graphs = data.graphs if isinstance(data, TextSet) else ""
        rows += [replace(row, graphs=graphs) for row in found]
        if isinstance(data, (ZeroShotSet, LinearProbeSet)) and data.averaged_as is not None:
            averaged[type(data), data.averaged_as] += found
    for (_, name), found in averaged.items():
        rows += mean_of_sets(name, found)
    return [replace(row, weights=weights) for row in rows]


def asks_heads(sets: Sequence[EvaluationSet]) -> bool:
    """Tell whether some set asks what was trained beside the model."""
    return any(TASKS[type(data)].asks_head for data in sets)


def check_sets(sets: Sequence[EvaluationSet]) -> None:
    """Raise DataError when two sets of a task share a name, so that their rows would too."""
    names = Counter((TASKS[type(data)].name, data.name) for data in sets)
    for (task, name), count in names.items():
        if count > 1:
            raise DataError(f"{count} {task} sets are named {name!r}; keep one, or rename")
