"""Attribute probe: which attributes a linear classifier finds in frozen picture embeddings.

Each attribute has a logistic regression of its own, present or not, on embeddings of unit length,
fitted as those of `kgclip_jax.evaluation.linear_probe` are: marks y_ia, and only those that are
known,

    minimise  sum_ia log(1 + exp z_ia) - y_ia z_ia  +  (penalty / 2) |W|^2,    z_i = W f_i + b

with one penalty for all attributes, chosen on a fifth of the training pictures by what is measured
in the end: mean average precision. Many attributes are rare, so that accuracy would be high for
who never finds one.

The average precision of an attribute is the mean, over the pictures that have it, of how many of
the pictures that score at least as high have it too. Who scores all alike gets the share of
pictures that have it, and who puts them in a random order hardly more: that is chance.

That is no mean over pictures. So that pictures can be resampled, and runs compared by pairs of
them, each counts with the number itself plus its influence on it: these average to the number, and
vary as it does, to the first order (Davison & Hinkley, Bootstrap Methods and their Application,
1997, section 2.7).
"""

import logging
from collections.abc import Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Int8

from kgclip_jax.data.evaluation_sets import AttributeProbeSet
from kgclip_jax.errors import DataError
from kgclip_jax.evaluation.bootstrap import RESAMPLES
from kgclip_jax.evaluation.encoder import Encoder, encode_pictures
from kgclip_jax.evaluation.linear_probe import (
    HELD_OUT,
    best_penalty,
    held_out,
    minimise_losses,
    with_one,
)
from kgclip_jax.evaluation.result import Result, measured

TASK = "attribute probe"
METRIC = "mAP"

_CURVATURE = 1 / 4  # of log(1 + exp z) at 0

_logger = logging.getLogger(__name__)


def evaluate_attribute_probe(encoder: Encoder, data: AttributeProbeSet) -> list[Result]:
    """Fit a classifier of each attribute, and measure mean average precision on other pictures.

    The mean is over attributes that some of the pictures have and some have not; others are left
    out and counted in the log. A row for each family follows, if there are several. Pictures that
    cannot be read are left out.

    Raises:
        DataError: too few pictures, no attribute that can be asked, or too many pictures
            cannot be read.
    """
    where = f"attribute probe {data.name!r}"
    if len(data.training) < 2 * HELD_OUT or not len(data.pictures):
        raise DataError(
            f"{where} has {len(data.training)} training pictures and {len(data.pictures)} others; "
            f"it needs {2 * HELD_OUT} and one"
        )
    images, readable = encode_pictures(encoder, data._replace(pictures=data.training))
    weights = probe_attributes(images[readable], data.training_marks[readable])
    images, readable = encode_pictures(encoder, data)
    marks, scores = data.marks[readable], with_one(images[readable]) @ weights.T
    asked = np.flatnonzero(_asked(marks))
    if not len(asked):
        raise DataError(f"{where}: no attribute that some pictures have and some have not")
    if len(asked) < len(data.attributes):
        left_out = [name for n, name in enumerate(data.attributes) if n not in asked]
        _logger.warning(
            "%s: %d of %d attributes left out, which all of its pictures have or none: %s",
            *(where, len(left_out), len(data.attributes), ", ".join(left_out[:5])),
        )
    return [*_rows(data, marks, scores, asked, np.flatnonzero(readable))]


def probe_attributes(
    features: Float[np.ndarray, "n d"], marks: Int8[np.ndarray, "n attributes"]
) -> Float[np.ndarray, "attributes d+1"]:
    """Choose the penalty and fit; offsets are the last column of the result."""
    held, kept = held_out(len(features))
    asked = np.flatnonzero(_asked(marks[held]))

    def score(exponent: float) -> float:
        scores = with_one(features[held]) @ fit(features[kept], marks[kept], 10**exponent).T
        found = [average_precision(scores[:, n], marks[held][:, n]).value for n in asked]
        return float(np.mean(found)) if found else 0.0

    return fit(features, marks, best_penalty(score))


def fit(
    features: Float[np.ndarray, "n d"], marks: Int8[np.ndarray, "n attributes"], penalty: float
) -> Float[np.ndarray, "attributes d+1"]:
    """Minimise the objective above for one penalty."""
    outputs = marks.shape[1]
    return minimise_losses(
        features, marks, _known_losses, penalty, outputs=outputs, curvature=_CURVATURE
    )


class AveragePrecision(NamedTuple):
    """Of one attribute, and how it would grow with the weight of each picture."""

    value: float
    influence: Float[np.ndarray, " n"]


def average_precision(
    scores: Float[np.ndarray, " n"], marks: Int8[np.ndarray, " n"]
) -> AveragePrecision:
    """Measure an attribute that some of the pictures have.

    Pictures of equal scores are found together, as scikit-learn counts them. Unknown marks count
    for nothing.
    """
    known, places = marks >= 0, -scores.astype(np.float64)  # the highest score comes first
    has, present = marks == 1, np.sort(places[marks == 1])
    found = np.searchsorted(np.sort(places[known]), present, side="right")
    precision = np.searchsorted(present, present, side="right") / found
    value = float(precision.mean())
    # A picture is one of those found at each that comes not before it.
    first = np.searchsorted(present, places, side="left")
    hits, all_found = (_sums_from_each(terms)[first] for terms in (1 / found, precision / found))
    own = precision[np.minimum(first, len(present) - 1)] - value
    influence = np.where(has, own + hits, 0.0) - all_found
    return AveragePrecision(value, np.where(known, influence, 0.0) / len(present))


def expected_of_random_order(marks: Int8[np.ndarray, " n"]) -> float:
    """Return the mean average precision of all orders of the pictures, of which some have it.

    One that has it is equally often in each of N places; at place k, of the k - 1 before it that
    share has it which has it of the N - 1 others.
    """
    total, others = np.count_nonzero(marks >= 0), np.count_nonzero(marks == 1) - 1
    first = float(np.mean(1 / np.arange(1, total + 1)))  # of itself alone, at any place
    return first + (1 - first) * others / (total - 1)


def _sums_from_each(terms: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n+1"]:
    return np.append(np.cumsum(terms[::-1])[::-1], 0.0)


def _rows(
    data: AttributeProbeSet,
    marks: Int8[np.ndarray, "n attributes"],
    scores: Float[np.ndarray, "n attributes"],
    asked: Int[np.ndarray, " asked"],
    numbers: Int[np.ndarray, " n"],
) -> Iterator[Result]:
    """Yield the row of all attributes, then one of each family; `numbers` are the pictures'."""
    found = {n: average_precision(scores[:, n], marks[:, n]) for n in asked.tolist()}
    by_chance = {n: expected_of_random_order(marks[:, n]) for n in found}
    families: dict[str, list[int]] = {}
    for n in found:
        families.setdefault(data.families[n], []).append(n)
    parts = {METRIC: [*found]}
    if len(families) > 1:
        parts |= {f"{METRIC}, {family}": part for family, part in families.items()}
    for metric, part in parts.items():
        influence = np.mean([found[n].influence for n in part], axis=0)
        values = np.mean([found[n].value for n in part]) + len(numbers) * influence
        chance = float(np.mean([by_chance[n] for n in part]))
        # No two pictures are alike here, so that a resample costs as much as one of groups.
        resamples = RESAMPLES // 5
        yield measured(TASK, data.name, metric, values, numbers, chance=chance, resamples=resamples)


def _asked(marks: Int8[np.ndarray, "n attributes"]) -> Bool[np.ndarray, " attributes"]:
    """Tell which attributes some pictures have and some have not."""
    has: Bool[np.ndarray, " attributes"] = (marks == 1).any(axis=0) & (marks == 0).any(axis=0)
    return has


def _known_losses(
    logits: Float[Array, "n attributes"], marks: Int8[Array, "n attributes"]
) -> Float[Array, " n"]:
    losses = jax.nn.softplus(logits) - marks * logits
    return jnp.sum(jnp.where(marks >= 0, losses, 0), axis=1)
