"""Composition against what it may cost."""

from dataclasses import replace

import pytest
from scipy import stats

from kgclip_jax.evaluation.result import Result
from kgclip_jax.reporting.comparison import compare
from kgclip_jax.reporting.comparison_page import write_comparison
from kgclip_jax.reporting.trade_offs import trade_offs
from tests.reporting.small_runs import BLIND, SEEING, make_run

RECALL = Result("retrieval", "scenes", "text-to-image R@1", 0.4, 0.35, 0.45, 100, 0.01)
OTHER_WAY = replace(RECALL, metric="image-to-text R@1", value=0.9)
NAMES = Result("zero-shot", "things", "top-1", 0.2, 0.1, 0.3, 100, 0.01)
MORE_SWAPS = replace(SEEING, set_name="more swaps")


def run(root, *, seed=0, swaps=(0.6, 0.8), recall=0.4, form="softmax"):
    """Two composition sets with a blind row, retrieval both ways, classification."""
    rows = [
        replace(SEEING, value=swaps[0]),
        BLIND,
        replace(MORE_SWAPS, value=swaps[1]),
        replace(RECALL, value=recall),
        OTHER_WAY,
        NAMES,
    ]
    return make_run(root, seed=seed, rows=rows, form=form)


def test_a_point_is_the_mean_over_composition_sets_and_one_rate():
    found = trade_offs(compare([run("a"), run("b", swaps=(0.9, 0.7), recall=0.3, form="sigmoid")]))
    assert list(found) == ["scenes, text-to-image R@1", "things, top-1"]
    first, second = found["scenes, text-to-image R@1"]
    assert (first.name, second.name) == ("a", "b")
    assert first.y == pytest.approx((0.7, 0.7, 0.7))
    assert second.y.value == pytest.approx(0.8)
    assert (first.x.value, second.x.value) == (0.4, 0.3)


def test_over_seeds_the_mean_has_their_interval():
    swaps = {"softmax": [0.5, 0.6, 0.55], "sigmoid": [0.8, 0.7, 0.9]}
    runs = [
        run(f"{form}-{seed}", seed=seed, swaps=(rate, 0.7), form=form)
        for form, rates in swaps.items()
        for seed, rate in enumerate(rates)
    ]
    second = trade_offs(compare(runs))["things, top-1"][1]
    means = [(rate + 0.7) / 2 for rate in swaps["sigmoid"]]
    expected = stats.ttest_1samp(means, 0).confidence_interval(0.95)
    assert second.y == pytest.approx((sum(means) / 3, expected.low, expected.high))


def test_nothing_to_draw_without_composition():
    runs = [make_run(root, rows=[RECALL, NAMES], form=root) for root in ("softmax", "sigmoid")]
    assert trade_offs(compare(runs)) == {}


def test_the_page_draws_each_run_with_its_values(tmp_path):
    write_comparison(tmp_path / "compare.html", compare([run("a"), run("b<", form="sigmoid")]))
    page = (tmp_path / "compare.html").read_text()
    assert page.count("Composition against") == 2
    assert "a: 40.0 % across, 70.0 % up" in page
    assert "b&lt;: 40.0 % across" in page
