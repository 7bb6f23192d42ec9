"""Intervals of differences: by hand, against SciPy, and by how often they hold the true one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from kgclip_jax.evaluation.bootstrap import Interval
from kgclip_jax.evaluation.result import Outcomes
from kgclip_jax.reporting.differences import (
    asked_alike,
    independent_difference,
    paired_difference,
    student_mean,
)


def test_the_half_widths_of_independent_runs_add_as_squares():
    first, second = Interval(0.5, 0.47, 0.53), Interval(0.7, 0.66, 0.74)
    change = independent_difference(first, second)
    assert change[:3] == pytest.approx((0.2, 0.15, 0.25))
    assert change.excludes_zero
    assert independent_difference(second, first)[:3] == pytest.approx((-0.2, -0.25, -0.15))


def test_each_side_of_a_difference_comes_from_the_sides_that_it_depends_on():
    first, second = Interval(0.5, 0.46, 0.53), Interval(0.7, 0.66, 0.71)
    change = independent_difference(first, second)
    assert change[:3] == pytest.approx((0.2, 0.15, 0.2 + 0.0017**0.5))


def test_the_interval_of_independent_runs_has_its_coverage():
    rng = np.random.default_rng(0)
    n, rates = 400, (0.5, 0.62)
    drawn = rng.binomial(n, rates, size=(4000, 2)) / n
    half = 1.96 * np.sqrt(drawn * (1 - drawn) / n)
    held = 0
    for value, width in zip(drawn, half, strict=True):
        first, second = (Interval(v, v - w, v + w) for v, w in zip(value, width, strict=True))
        change = independent_difference(first, second)
        held += change.low <= rates[1] - rates[0] <= change.high
    assert 0.94 < held / 4000 < 0.96


def draw_pair(rng, *, clusters=200, size=3):
    """Two runs that tend to miss the same questions, which come in clusters of equal difficulty."""
    ease = np.repeat(rng.normal(0.0, 1.0, clusters), size)
    skill = ease + rng.normal(0.0, 0.5, len(ease))
    labels = np.repeat(np.arange(clusters), size)
    noise = rng.normal(0.0, 0.5, (2, len(ease)))
    return [
        Outcomes((skill + gain + own > 0).astype(np.float32), labels)
        for gain, own in zip((0.0, 0.3), noise, strict=True)
    ]


def test_paired_intervals_have_their_coverage_and_are_narrower_than_unpaired_ones():
    # Of x = ease + skill + own noise + gain > 0, with variances 1, 1/4 and 1/4.
    true = stats.norm.cdf(0.3 / np.sqrt(1.5)) - 0.5
    rng = np.random.default_rng(0)
    changes = [paired_difference(*draw_pair(rng)) for _ in range(300)]
    held = np.mean([change.low <= true <= change.high for change in changes])
    assert 0.91 < held < 0.98
    first, second = draw_pair(rng)
    own = [stats.norm.interval(0.95, o.values.mean(), stats.sem(o.values)) for o in (first, second)]
    values = [float(o.values.mean()) for o in (first, second)]
    unpaired = independent_difference(
        *[Interval(v, float(a), float(b)) for v, (a, b) in zip(values, own, strict=True)]
    )
    paired = paired_difference(first, second)
    assert paired.value == pytest.approx(unpaired.value, abs=1e-6)
    assert paired.high - paired.low < 0.8 * (unpaired.high - unpaired.low)


def test_runs_that_answer_alike_differ_by_nothing():
    first, _ = draw_pair(np.random.default_rng(0))
    assert paired_difference(first, first)[:3] == (0.0, 0.0, 0.0)


def test_means_of_groups_are_compared_by_groups():
    values = np.array([[1, 0, 0, 0], [1, 1, 0, 0]], np.float32)
    groups = np.array([0, 0, 0, 1])
    first, second = (Outcomes(v, np.arange(4), groups) for v in values)
    assert paired_difference(first, second).value == pytest.approx((1 / 3 + 0) / 2)
    assert asked_alike(first, second)
    assert not asked_alike(first, second._replace(groups=None))
    assert not asked_alike(first, second._replace(groups=groups[::-1]))
    assert not asked_alike(first, second._replace(clusters=np.zeros(4, np.int64)))


@given(st.lists(st.floats(0, 1), min_size=2, max_size=12))
def test_a_mean_over_seeds_has_the_interval_of_student(values):
    found = student_mean(values)
    assert found.value == pytest.approx(np.mean(values))
    if np.std(values) > 1e-6:
        test = stats.ttest_1samp(values, 0.0)
        expected = test.confidence_interval(0.95)
        assert found[1:] == pytest.approx((expected.low, expected.high), abs=1e-9)
