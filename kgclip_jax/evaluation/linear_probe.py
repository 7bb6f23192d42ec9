"""Linear probe: a logistic regression on frozen picture embeddings.

With embeddings f_i of unit length, labels y_i, weights W and offsets b of the classes, and n
training pictures,

    minimise  sum_i -log softmax(W f_i + b)[y_i]  +  (penalty / 2) |W|^2

by L-BFGS, at most 1,000 iterations (scikit-learn's LogisticRegression with C = 1 / penalty). The
penalty is chosen as CLIP's authors did: among 10^-6, 10^-4 ... 10^6 by accuracy on training
pictures that are held out (a fifth of them), then between its neighbours, halving the distance,
until there are eight values to a decade. The final fit is to all training pictures.

Source: Radford et al., CLIP, 2021, section A.3. There the embeddings are those before the
projection into the space that is shared with texts; here, as in CLIP_benchmark, they are behind it.
"""

import logging
from collections.abc import Callable
from functools import partial
from typing import TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from scipy.optimize import minimize

from kgclip_jax.data.evaluation_sets import LinearProbeSet
from kgclip_jax.errors import DataError
from kgclip_jax.evaluation.accuracy import accuracies
from kgclip_jax.evaluation.encoder import Encoder, encode_pictures
from kgclip_jax.evaluation.ranking import best_ranks
from kgclip_jax.evaluation.result import Result
from kgclip_jax.random import generator

TASK = "linear probe"
ITERATIONS = 1_000
HELD_OUT = 5  # one training picture of so many chooses the penalty

Losses: TypeAlias = Callable[
    [Float[Array, "n outputs"], Int[Array, "n ..."]],  # logits and targets
    Float[Array, " n"],
]

_logger = logging.getLogger(__name__)


def evaluate_linear_probe(encoder: Encoder, data: LinearProbeSet) -> list[Result]:
    """Fit a classifier to the training pictures, and measure its accuracy on the others.

    The rows are those of `zero_shot`; a wrong class that ties counts as nearer. Pictures that
    cannot be read are left out.

    Raises:
        DataError: less than two classes, too few training pictures, or too many pictures cannot be
            read.
    """
    classes = int(data.training_labels.max(initial=-1)) + 1
    if classes < 2 or len(data.training) < 2 * HELD_OUT:
        raise DataError(
            f"linear probe {data.name!r} has {len(data.training)} training pictures of {classes} "
            f"classes; it needs {2 * HELD_OUT} of two"
        )
    images, readable = encode_pictures(encoder, data._replace(pictures=data.training))
    weights = probe(images[readable], data.training_labels[readable], classes)
    images, readable = encode_pictures(encoder, data)
    labels = data.labels[readable]
    ranks = best_ranks(with_one(images[readable]), weights, labels, np.arange(classes))
    found = TASK, data.name, ranks, np.flatnonzero(readable), classes
    return [*accuracies(*found, labels=data.labels)]


def probe(
    features: Float[np.ndarray, "n d"], labels: Int[np.ndarray, " n"], classes: int
) -> Float[np.ndarray, "classes d+1"]:
    """Choose the penalty and fit; offsets are the last column of the result."""
    held, kept = held_out(len(features))

    def accuracy(exponent: float) -> float:
        weights = fit(features[kept], labels[kept], classes, 10**exponent)
        scores = with_one(features[held]) @ weights.T
        return float(np.mean(scores.argmax(axis=1) == labels[held]))

    return fit(features, labels, classes, best_penalty(accuracy))


def held_out(count: int) -> tuple[Int[np.ndarray, " held"], Int[np.ndarray, " kept"]]:
    """Part training pictures into those that choose the penalty and those that it is tried on."""
    held, kept = np.split(generator(0, TASK).permutation(count), [count // HELD_OUT])
    return held, kept


def best_penalty(score: Callable[[float], float]) -> float:
    """Search for the penalty of the highest score in [0, 1], a function of its decimal logarithm.

    Of equal scores the greatest penalty is chosen.
    """
    tried = {exponent: score(exponent) for exponent in (-6.0, -4.0, -2.0, 0.0, 2.0, 4.0, 6.0)}
    for step in (1.0, 0.5, 0.25, 0.125):
        best = max(tried, key=lambda exponent: (tried[exponent], exponent))
        tried |= {near: score(near) for near in (best - step, best + step)}
    best = max(tried, key=lambda exponent: (tried[exponent], exponent))
    _logger.info("linear probe: penalty 10^%g, %.1f %% held out", best, 100 * tried[best])
    return float(10**best)


def fit(
    features: Float[np.ndarray, "n d"],
    labels: Int[np.ndarray, " n"],
    classes: int,
    penalty: float,
) -> Float[np.ndarray, "classes d+1"]:
    """Minimise the objective above for one penalty."""
    curvature = (1 - 1 / classes) / classes  # of log softmax, all classes being equally likely
    return minimise_losses(
        features, labels, _cross_entropy, penalty, outputs=classes, curvature=curvature
    )


def minimise_losses(
    features: Float[np.ndarray, "n d"],
    targets: Int[np.ndarray, "n ..."],
    losses: Losses,
    penalty: float,
    *,
    outputs: int,
    curvature: float,
) -> Float[np.ndarray, "outputs d+1"]:
    """Minimise the sum of the losses of logits W f_i + b and (penalty / 2) |W|^2.

    Args:
        features: f_i.
        targets: what the losses compare logits with.
        losses: a convex one of each row.
        penalty: on the squares of W; offsets are free.
        outputs: logits of a row.
        curvature: p, that of the losses in each logit where all are 0.

    Weak penalties would take L-BFGS thousands of iterations, and it would stop before the minimum.
    So it goes by coordinates in which the objective is about equally curved in all directions:
    W = V diag(s) U^T, where U and l are eigenvectors and eigenvalues of the covariance of the f_i
    (offsets are free, so these may be centred) and s_k = 1 / sqrt(p l_k + penalty / n).
    """
    count = len(features)
    mean = features.mean(axis=0)
    centred = features - mean
    variances, axes = np.linalg.eigh((centred.T @ centred).astype(np.float64) / count)
    scales = 1 / np.sqrt(curvature * np.maximum(variances, 0) + penalty / count)
    penalties = (scales**2 * penalty / count).astype(np.float32)
    rotated = with_one(centred @ (axes * scales).astype(np.float32))
    inputs = jax.device_put((rotated, targets, penalties))
    shape = outputs, features.shape[1] + 1

    def value_and_gradient(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights = flat.reshape(shape).astype(np.float32)
        found = _value_and_gradient(jax.device_put(weights), *inputs, losses=losses)
        (_, of_rows), gradient = jax.device_get(found)
        # Summed in double precision: the search ends where it sees no more descent.
        squares = np.sum(penalties * weights[:, :-1] ** 2, dtype=np.float64)
        value = np.mean(of_rows, dtype=np.float64) + squares / 2
        return float(value), gradient.astype(np.float64).ravel()

    found = minimize(
        value_and_gradient,
        np.zeros(shape).ravel(),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": ITERATIONS},
    )
    weights, offsets = np.split(found.x.reshape(shape), [-1], axis=1)
    weights = weights * scales @ axes.T
    return np.concatenate([weights, offsets - weights @ mean[:, None]], axis=1).astype(np.float32)


@partial(jax.jit, static_argnames="losses")
@partial(jax.value_and_grad, has_aux=True)
def _value_and_gradient(
    weights: Float[Array, "outputs columns"],
    features: Float[Array, "n columns"],
    targets: Int[Array, "n ..."],
    penalties: Float[Array, " columns-1"],
    *,
    losses: Losses,
) -> tuple[Float[Array, ""], Float[Array, " n"]]:
    """The objective divided by n, so that its precision does not depend on n; losses of rows."""
    logits = jnp.matmul(features, weights.T, precision=jax.lax.Precision.HIGHEST)
    of_rows = losses(logits, targets)
    squares = jnp.sum(penalties * weights[:, :-1] ** 2)
    return of_rows.mean() + squares / 2, of_rows


def _cross_entropy(
    logits: Float[Array, "n classes"], labels: Int[Array, " n"]
) -> Float[Array, " n"]:
    return -jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], axis=1)[:, 0]


def with_one(features: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n d+1"]:
    """Append the column that offsets are multiplied with."""
    return np.concatenate([features, np.ones_like(features[:, :1])], axis=1)
