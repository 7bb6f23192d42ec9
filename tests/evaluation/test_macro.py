import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kgclip_jax.evaluation.bootstrap import bootstrap_mean
from kgclip_jax.evaluation.macro import macro_mean


def plain_macro(values, groups):
    return np.mean([values[groups == group].mean() for group in np.unique(groups)])


def test_every_group_counts_the_same():
    values = np.array([True, True, True, False, False])
    groups = np.array([7, 7, 7, 7, 9])
    interval = macro_mean(values, groups, np.arange(5))
    assert interval.value == (3 / 4 + 0) / 2


@given(data=st.data(), n=st.integers(1, 30))
def test_the_value_is_the_mean_of_the_means_of_the_groups(data, n):
    values = data.draw(arrays(bool, n))
    groups = data.draw(arrays(np.int64, n, elements=st.integers(-3, 3)))
    clusters = data.draw(arrays(np.int64, n, elements=st.integers(0, 9)))
    interval = macro_mean(values, groups, clusters, resamples=50)
    assert interval.value == pytest.approx(plain_macro(values, groups))
    assert 0 <= interval.low <= interval.high <= 1


def test_the_interval_is_that_of_resampled_clusters():
    rng = np.random.default_rng(0)
    values = rng.random(120) < 0.7
    groups, clusters = rng.integers(0, 4, 120), rng.integers(0, 40, 120)
    draws = []
    for _ in range(3000):
        chosen = rng.choice(np.unique(clusters), len(np.unique(clusters)))
        rows = np.concatenate([np.flatnonzero(clusters == cluster) for cluster in chosen])
        draws.append(plain_macro(values[rows], groups[rows]))
    interval = macro_mean(values, groups, clusters)
    np.testing.assert_allclose(interval[1:], np.quantile(draws, [0.025, 0.975]), atol=0.015)


def test_one_group_is_a_plain_mean():
    rng = np.random.default_rng(1)
    values, clusters = rng.random(200) < 0.4, rng.integers(0, 60, 200)
    macro = macro_mean(values, np.zeros(200, int), clusters)
    np.testing.assert_allclose(macro, bootstrap_mean(values, clusters), atol=0.01)


def test_dependent_decisions_widen_the_interval():
    values = np.repeat(np.arange(20) % 2 == 0, 10)
    groups = np.arange(200) % 2
    together = macro_mean(values, groups, np.repeat(np.arange(20), 10))
    alone = macro_mean(values, groups, np.arange(200))
    assert together.high - together.low > 2 * (alone.high - alone.low)


def test_a_group_that_a_resample_misses_is_left_out_of_it():
    # Group 1 has one decision, wrong: resamples without it have mean 1, never less than 1/2.
    values = np.array([True] * 9 + [False])
    groups = np.array([0] * 9 + [1])
    interval = macro_mean(values, groups, np.arange(10))
    assert (interval.low, interval.value, interval.high) == (0.5, 0.5, 1.0)


def test_nothing_cannot_be_averaged():
    empty = np.zeros(0, dtype=np.int64)
    with pytest.raises(ValueError, match="no values"):
        macro_mean(empty.astype(bool), empty, empty)
