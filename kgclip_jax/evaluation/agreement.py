"""How far predictions agree with what is true, in numbers that are no mean over items.

    F1          2 TP / (2 TP + FP + FN) of the class 1
    Matthews    (TP TN - FP FN) / sqrt((TP + FP) (TP + FN) (TN + FP) (TN + FN))
    Pearson     correlation of numbers
    Spearman    that of their ranks; ties have their mean rank

Each is 0 where its denominator is. Items have weights: how often a bootstrap sample has them.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int, Shaped

Weights = Float[np.ndarray, " items"] | Int[np.ndarray, " items"]
Values = Shaped[np.ndarray, " items"]
Statistic = Callable[[Weights], float]


def f1(predicted: Values, true: Values) -> Statistic:
    """Of items of the classes 0 and 1."""
    counts = _confusion(predicted, true)

    def of(weights: Weights) -> float:
        _, false_positive, false_negative, positive = counts(weights)
        return _ratio(2 * positive, 2 * positive + false_positive + false_negative)

    return of


def matthews(predicted: Values, true: Values) -> Statistic:
    """Of items of the classes 0 and 1."""
    counts = _confusion(predicted, true)

    def of(weights: Weights) -> float:
        negative, false_positive, false_negative, positive = counts(weights)
        said_yes, said_no = positive + false_positive, negative + false_negative
        is_yes, is_no = positive + false_negative, negative + false_positive
        agreement = positive * negative - false_positive * false_negative
        return _ratio(agreement, (said_yes * said_no * is_yes * is_no) ** 0.5)

    return of


def _confusion(predicted: Values, true: Values) -> Callable[[Weights], list[float]]:
    cells = 2 * true.astype(np.int64) + predicted
    return lambda weights: np.bincount(cells, weights, minlength=4).tolist()


def pearson(predicted: Values, true: Values) -> Statistic:
    """Of numbers."""
    return lambda weights: _correlation(predicted, true, weights)


def spearman(predicted: Values, true: Values) -> Statistic:
    """Of numbers."""
    places = [np.unique(values, return_inverse=True)[1] for values in (predicted, true)]

    def of(weights: Weights) -> float:
        first, second = (_ranks(place, weights) for place in places)
        return _correlation(first, second, weights)

    return of


def _ranks(place: Values, weights: Weights) -> Values:
    """Return the mean rank of each item less one half, given its place among distinct values."""
    ties = np.bincount(place, weights)
    ranks: Values = (np.cumsum(ties) - ties / 2)[place]
    return ranks


def _correlation(first: Values, second: Values, weights: Weights) -> float:
    # Constants become exact zeros, which a rounded mean would not leave.
    x, y = (values.astype(np.float64) - values[0] for values in (first, second))
    x, y = (values - np.average(values, weights=weights) for values in (x, y))
    variances = np.sum(weights * x * x) * np.sum(weights * y * y)
    return _ratio(float(np.sum(weights * x * y)), float(variances) ** 0.5)


def _ratio(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator > 0 else 0.0


STATISTICS: dict[str, Callable[[Values, Values], Statistic]] = {
    "F1": f1,
    "Matthews": matthews,
    "Pearson": pearson,
    "Spearman": spearman,
}
