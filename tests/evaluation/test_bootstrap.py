import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kgclip_jax.evaluation import bootstrap
from kgclip_jax.evaluation.bootstrap import bootstrap_mean


def wilson(share: float, n: int) -> tuple[float, float]:
    """Wilson's 95 % score interval of a proportion (1927)."""
    z = 1.959964
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return middle - half, middle + half


@pytest.mark.parametrize(("hits", "n"), [(30, 100), (500, 1000), (960, 1200)])
def test_a_proportion_agrees_with_wilson(hits, n):
    rate = bootstrap_mean(np.arange(n) < hits)
    assert rate.value == hits / n
    assert (rate.low, rate.high) == pytest.approx(wilson(hits / n, n), abs=1 / n + 0.002)


def naive_bootstrap(values, groups, resamples=4000) -> tuple[float, float]:
    """Draw clusters one by one and put their values together."""
    rng = np.random.default_rng(7)
    clusters = [values[groups == group] for group in np.unique(groups)]
    means = [
        np.concatenate(
            [clusters[i] for i in rng.integers(len(clusters), size=len(clusters))]
        ).mean()
        for _ in range(resamples)
    ]
    return tuple(np.quantile(means, [0.025, 0.975]))


@pytest.mark.parametrize("kind", ["hits", "real numbers"])
def test_clusters_of_unequal_size_agree_with_a_naive_loop(kind):
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(60), rng.integers(1, 9, size=60)) * 3 - 50
    level = rng.random(60)[(groups + 50) // 3]  # values of a cluster resemble each other
    values = rng.random(len(groups)) < level if kind == "hits" else level + rng.random(len(groups))
    rate = bootstrap_mean(values, groups)
    assert rate.value == pytest.approx(values.mean())
    assert (rate.low, rate.high) == pytest.approx(naive_bootstrap(values, groups), abs=0.012)


def test_repeating_each_value_in_its_cluster_adds_no_certainty():
    hits = np.random.default_rng(1).random(200) < 0.4
    once = bootstrap_mean(hits)
    fivefold = bootstrap_mean(np.repeat(hits, 5), np.repeat(np.arange(200), 5))
    assert fivefold == pytest.approx(once)
    careless = bootstrap_mean(np.repeat(hits, 5))
    assert careless.high - careless.low < 0.6 * (fivefold.high - fivefold.low)


def test_the_interval_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(2)
    covered = 0
    for _ in range(300):
        rate = bootstrap_mean(rng.random(150) < 0.6, resamples=1000)
        covered += rate.low <= 0.6 <= rate.high
    assert 0.91 <= covered / 300 <= 0.98


def test_blocks_of_resamples_do_not_change_the_result(monkeypatch):
    values = np.random.default_rng(3).random(50)
    whole = bootstrap_mean(values, resamples=500)
    monkeypatch.setattr(bootstrap, "_COUNTS_IN_MEMORY", 50 * 7)
    assert bootstrap_mean(values, resamples=500) == whole


@given(st.lists(st.tuples(st.booleans(), st.integers(-3, 3)), min_size=1, max_size=40))
def test_order_does_not_matter_and_the_interval_stays_in_range(rows):
    hits, groups = np.array([r[0] for r in rows]), np.array([r[1] for r in rows])
    rate = bootstrap_mean(hits, groups, resamples=50)
    assert 0 <= rate.low <= rate.high <= 1
    assert bootstrap_mean(hits[::-1], groups[::-1], resamples=50) == rate


def test_the_seed_decides():
    values = np.random.default_rng(4).random(30)
    assert bootstrap_mean(values, seed=1) == bootstrap_mean(values, seed=1)
    assert bootstrap_mean(values, seed=1) != bootstrap_mean(values, seed=2)


def plain_macro(values, groups):
    return np.mean([values[groups == group].mean() for group in np.unique(groups)])


def test_every_group_counts_the_same():
    values = np.array([True, True, True, False, False])
    groups = np.array([7, 7, 7, 7, 9])
    interval = bootstrap_mean(values, np.arange(5), groups)
    assert interval.value == (3 / 4 + 0) / 2


@given(data=st.data(), n=st.integers(1, 30))
def test_the_value_is_the_mean_of_the_means_of_the_groups(data, n):
    values = data.draw(arrays(bool, n))
    groups = data.draw(arrays(np.int64, n, elements=st.integers(-3, 3)))
    clusters = data.draw(arrays(np.int64, n, elements=st.integers(0, 9)))
    interval = bootstrap_mean(values, clusters, groups, resamples=50)
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
    interval = bootstrap_mean(values, clusters, groups)
    np.testing.assert_allclose(interval[1:], np.quantile(draws, [0.025, 0.975]), atol=0.015)


def test_one_group_is_a_plain_mean():
    rng = np.random.default_rng(1)
    values, clusters = rng.random(200) < 0.4, rng.integers(0, 60, 200)
    macro = bootstrap_mean(values, clusters, np.zeros(200, int))
    np.testing.assert_allclose(macro, bootstrap_mean(values, clusters), atol=0.01)


def test_dependent_decisions_widen_the_interval():
    values = np.repeat(np.arange(20) % 2 == 0, 10)
    groups = np.arange(200) % 2
    together = bootstrap_mean(values, np.repeat(np.arange(20), 10), groups)
    alone = bootstrap_mean(values, np.arange(200), groups)
    assert together.high - together.low > 2 * (alone.high - alone.low)


def test_a_group_that_a_resample_misses_is_left_out_of_it():
    # Group 1 has one decision, wrong: resamples without it have mean 1, never less than 1/2.
    values = np.array([True] * 9 + [False])
    groups = np.array([0] * 9 + [1])
    interval = bootstrap_mean(values, np.arange(10), groups)
    assert (interval.low, interval.value, interval.high) == (0.5, 0.5, 1.0)


def test_no_values_are_refused():
    with pytest.raises(ValueError, match="no values"):
        bootstrap_mean(np.zeros(0))
