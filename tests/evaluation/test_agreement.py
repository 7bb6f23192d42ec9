"""Agreement against SciPy, and of repeated items."""

from functools import partial

import numpy as np
import pytest
import scipy.stats

from kgclip_jax.evaluation.agreement import STATISTICS, correlation
from kgclip_jax.evaluation.bootstrap import bootstrap_statistic

rng = np.random.default_rng(0)
TRUE = rng.integers(2, size=60)
PREDICTED = np.where(rng.random(60) < 0.7, TRUE, 1 - TRUE)
HEIGHTS = rng.integers(6, size=60) / 5
GUESSES = (HEIGHTS + rng.normal(size=60)).round(1)  # with ties
PAIRS = {
    "F1": (PREDICTED, TRUE),
    "Matthews": (PREDICTED, TRUE),
    "Pearson": (GUESSES, HEIGHTS),
    "Spearman": (GUESSES, HEIGHTS),
}


def expected(name, predicted, true):
    """By SciPy, but for Matthews' number, which is that of his paper (1975)."""
    if name == "F1":
        hits = np.sum(predicted * true)
        return scipy.stats.hmean([hits / predicted.sum(), hits / true.sum()])
    if name == "Matthews":
        said, is_so = predicted.mean(), true.mean()
        both = np.mean(predicted * true)
        return (both - said * is_so) / np.sqrt(said * is_so * (1 - said) * (1 - is_so))
    if name == "Spearman":
        return scipy.stats.spearmanr(predicted, true).statistic
    return scipy.stats.pearsonr(predicted, true).statistic


@pytest.mark.parametrize("name", STATISTICS)
def test_values_are_those_of_scipy(name):
    predicted, true = PAIRS[name]
    found = STATISTICS[name](predicted, true, np.ones(60))
    assert found == pytest.approx(expected(name, predicted, true), rel=1e-12)


@pytest.mark.parametrize("name", STATISTICS)
def test_a_weight_is_how_often_an_item_is_there(name):
    predicted, true = PAIRS[name]
    times = rng.integers(4, size=60)
    found = STATISTICS[name](predicted, true, times)
    repeated = expected(name, np.repeat(predicted, times), np.repeat(true, times))
    assert found == pytest.approx(repeated, rel=1e-12)


@pytest.mark.parametrize("name", STATISTICS)
def test_who_says_nothing_agrees_in_nothing(name):
    constant = np.zeros(60, int) if name in ("F1", "Matthews") else np.full(60, 0.1)
    assert STATISTICS[name](constant, PAIRS[name][1], np.ones(60)) == 0
    assert STATISTICS[name](constant, constant, np.ones(60)) == 0


@pytest.mark.parametrize("name", ["Matthews", "Pearson"])
def test_intervals_are_those_of_scipys_bootstrap(name):
    interval = bootstrap_statistic(partial(STATISTICS[name], *PAIRS[name]), np.arange(60))
    other = scipy.stats.bootstrap(
        PAIRS[name],
        lambda x, y: scipy.stats.pearsonr(x, y).statistic,
        paired=True,
        vectorized=False,
        method="percentile",
        n_resamples=2000,
        rng=np.random.default_rng(1),
    ).confidence_interval
    assert interval.value == pytest.approx(expected(name, *PAIRS[name]))
    np.testing.assert_allclose(interval[1:], [other.low, other.high], atol=0.03)


def test_clusters_are_drawn_as_wholes():
    """Items that come five times tell no more than once."""
    once = bootstrap_statistic(partial(correlation, GUESSES, HEIGHTS), np.arange(60))
    five = partial(correlation, np.repeat(GUESSES, 5), np.repeat(HEIGHTS, 5))
    together = bootstrap_statistic(five, np.repeat(np.arange(60), 5))
    np.testing.assert_allclose(together, once, rtol=1e-9)
    apart = bootstrap_statistic(five, np.arange(300))
    assert apart.high - apart.low < 0.6 * (once.high - once.low)
