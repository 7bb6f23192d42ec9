"""How far predictions agree with what is true, in numbers that are no mean over items.

    F1          2 TP / (2 TP + FP + FN) of the class 1
    Matthews    correlation of the classes 0 and 1
    Pearson     correlation of numbers
    Spearman    that of their ranks; ties have their mean rank

Each is 0 where its denominator is. Items have weights: how often a bootstrap sample has them.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int, Shaped

Values = Shaped[np.ndarray, " items"]
Weights = Float[np.ndarray, " items"] | Int[np.ndarray, " items"]


def f1(predicted: Values, true: Values, weights: Weights) -> float:
    """Of items of the classes 0 and 1."""
    hits = np.dot(weights, predicted * true)
    return _ratio(2.0 * hits, float(np.dot(weights, predicted + true)))


def correlation(predicted: Values, true: Values, weights: Weights) -> float:
    """Of numbers, or of the classes 0 and 1."""
    # Constants become exact zeros, which a rounded mean would not leave.
    x, y = (values.astype(np.float64) - values[0] for values in (predicted, true))
    x, y = (values - np.average(values, weights=weights) for values in (x, y))
    variances = np.sum(weights * x * x) * np.sum(weights * y * y)
    return _ratio(np.sum(weights * x * y), variances**0.5)


def rank_correlation(predicted: Values, true: Values, weights: Weights) -> float:
    """Of numbers."""
    return correlation(_ranks(predicted, weights), _ranks(true, weights), weights)


def _ranks(values: Values, weights: Weights) -> Float[np.ndarray, " items"]:
    """Return the mean rank of each item, less one half."""
    place = np.unique(values, return_inverse=True)[1]
    ties = np.bincount(place, weights)
    return np.asarray(np.cumsum(ties) - ties / 2)[place]


def _ratio(numerator: float, denominator: float) -> float:
    return float(numerator / denominator) if denominator > 0 else 0.0


STATISTICS: dict[str, Callable[[Values, Values, Weights], float]] = {
    "F1": f1,
    "Matthews": correlation,
    "Pearson": correlation,
    "Spearman": rank_correlation,
}
