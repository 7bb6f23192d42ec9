"""Evaluate an encoder on any mixture of evaluation sets."""

from collections import Counter
from collections.abc import Sequence

from kgclip_jax.errors import DataError
from kgclip_jax.evaluation.composition import evaluate_composition
from kgclip_jax.evaluation.result import Result
from kgclip_jax.evaluation.retrieval import evaluate_retrieval
from kgclip_jax.evaluation.zero_shot import evaluate_zero_shot
from kgclip_jax.types import CompositionSet, Encoder, EvaluationSet, RetrievalSet, ZeroShotSet


def evaluate(encoder: Encoder, sets: Sequence[EvaluationSet]) -> list[Result]:
    """Evaluate on each set in turn and return the rows of the table.

    Within a set each distinct text is encoded once, and all texts and all pictures go to the
    encoder in one call each; cutting them into batches is the encoder's business.

    Raises:
        DataError: there is no set, two sets of a kind share a name, or a set is empty or
            inconsistent.
    """
    if not sets:
        raise DataError("nothing to evaluate on: name at least one evaluation set")
    check_sets(sets)
    return [row for data in sets for row in _evaluate_set(encoder, data)]


def check_sets(sets: Sequence[EvaluationSet]) -> None:
    """Raise DataError when two sets of a kind share a name, so that their rows would too."""
    names = Counter((type(data).__name__, data.name) for data in sets)
    for (kind, name), count in names.items():
        if count > 1:
            raise DataError(f"{count} evaluation sets of kind {kind} are named {name!r}; keep one")


def _evaluate_set(encoder: Encoder, data: EvaluationSet) -> list[Result]:
    match data:
        case RetrievalSet():
            return evaluate_retrieval(encoder, data)
        case ZeroShotSet():
            return evaluate_zero_shot(encoder, data)
        case CompositionSet():
            return evaluate_composition(encoder, data)
