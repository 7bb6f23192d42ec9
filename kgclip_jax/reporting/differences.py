"""How far one rate is from another: paired over questions or seeds, or of two independent runs."""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.special import stdtrit

from kgclip_jax.evaluation.bootstrap import LEVEL, Interval, bootstrap_mean
from kgclip_jax.evaluation.result import Outcomes


class Difference(NamedTuple):
    """A rate minus another one, the ends of its 95 % interval, and what that is over."""

    value: float
    low: float
    high: float
    kind: Literal["paired", "unpaired", "seeds"]

    @property
    def excludes_zero(self) -> bool:
        """Whether all of the interval lies on one side of zero."""
        return self.low > 0 or self.high < 0


def paired_difference(first: Outcomes, second: Outcomes) -> Difference:
    """Return second - first, question by question; both have the same questions in the same order.

    The interval is the percentile bootstrap's, of the mean of the questions' differences, or of
    their groups' means, with whole clusters resampled: see `bootstrap_mean`.
    """
    changes = second.values - first.values
    return Difference(*bootstrap_mean(changes, second.clusters, second.groups), "paired")


def asked_alike(first: Outcomes, second: Outcomes) -> bool:
    """Whether two runs' decisions are of the same clusters and groups, one by one."""
    if first.groups is None or second.groups is None:
        same_groups = first.groups is second.groups
    else:
        same_groups = np.array_equal(first.groups, second.groups)
    return same_groups and np.array_equal(first.clusters, second.clusters)


def independent_difference(first: Interval, second: Interval) -> Difference:
    """Return second - first, as if the two rates were independent.

    The half-widths add as squares, each side with the sides that it comes from:

        d_low  = d - sqrt((b - b_low)^2 + (a_high - a)^2)
        d_high = d + sqrt((b_high - b)^2 + (a - a_low)^2)

    Source: Zou and Donner 2008, "Construction of confidence limits about effect measures". Two runs
    that answer the same questions tend to miss the same ones; then this interval is too wide.
    """
    change = second.value - first.value
    below = math.hypot(second.value - second.low, first.high - first.value)
    above = math.hypot(second.high - second.value, first.value - first.low)
    return Difference(change, change - below, change + above, "unpaired")


def student_mean(values: Sequence[float] | Float[np.ndarray, " seeds"]) -> Interval:
    """Return the mean of two or more values with its 95 % interval of Student's t.

    mean +- t s / sqrt(n), s^2 the sample variance (n - 1), t the quantile at n - 1 degrees.
    """
    mean, count = float(np.mean(values)), len(values)
    quantile = float(stdtrit(count - 1, 0.5 + LEVEL / 2))
    half = quantile * float(np.std(values, ddof=1)) / math.sqrt(count)
    return Interval(mean, mean - half, mean + half)
