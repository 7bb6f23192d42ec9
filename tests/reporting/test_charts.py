from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgclip_jax.evaluation.bootstrap import Interval
from kgclip_jax.reporting.charts import (
    HEIGHT,
    WIDTH,
    Chart,
    Curve,
    chart_card,
    compact,
    curves,
    dots,
    nice_ticks,
)

finite = st.floats(-1e9, 1e9).filter(lambda x: x == 0 or abs(x) > 1e-9)


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0.0, 1.0, [0, 0.5, 1]),
        (0.0, 1000.0, [0, 500, 1000]),
        (0.6, 5.1, [0, 2, 4, 6]),
        (0.0, 0.0008, [0, 0.0002, 0.0004, 0.0006, 0.0008]),
        (-3.0, 3.0, [-4, -2, 0, 2, 4]),
    ],
)
def test_ticks_are_round(low, high, ticks):
    assert nice_ticks(low, high) == pytest.approx(ticks)


@given(finite, finite)
def test_ticks_enclose_the_range_and_have_distinct_labels(a, b):
    low, high = min(a, b), max(a, b)
    ticks = nice_ticks(low, high)
    slack = 1e-6 * (ticks[-1] - ticks[0])
    assert 2 <= len(ticks) <= 6
    assert ticks[0] <= low + slack
    assert ticks[-1] >= high - slack
    assert len({compact(tick) for tick in ticks}) == len(ticks)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (0.25, "0.25"),
        (5e-4, "5e-4"),
        (1.25e-7, "1.25e-7"),
        (12_000.0, "12k"),
        (-1500.0, "-1.5k"),
        (3.5e6, "3.5M"),
        (2e9, "2G"),
        (0.30000000000000004, "0.3"),
    ],
)
def test_compact_numbers(value, text):
    assert compact(value) == text


def parts(svg, class_name):
    return ElementTree.fromstring(svg).findall(f".//*[@class='{class_name}']")


def coordinates(element):
    return [tuple(map(float, pair.split(","))) for pair in element.get("points").split()]


def draw(values, *, as_percent=False, from_zero=False, spacing=10.0):
    points = np.array([(spacing * i, value) for i, value in enumerate(values)])
    return curves([Curve(points, "", "s0")], Chart("loss", "Loss", as_percent, from_zero))


@given(st.lists(finite, min_size=1, max_size=30), st.booleans(), st.booleans())
def test_curves_stay_inside_the_figure(values, as_percent, from_zero):
    svg = draw(values, as_percent=as_percent, from_zero=from_zero)
    line = coordinates(parts(svg, "line")[0])
    assert len(line) == len(values)
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in line)
    order = np.argsort(values, kind="stable")
    heights = [line[i][1] for i in order]
    assert heights == sorted(heights, reverse=True)  # greater values are higher up


def test_a_long_run_keeps_its_extremes():
    values = np.random.default_rng(0).normal(size=10_000)
    values[5_003] = 40.0
    svg = draw(values)
    line = coordinates(parts(svg, "line")[0])
    band = coordinates(parts(svg, "band")[0])
    assert len(line) == 120
    assert min(y for _, y in band) < min(y for _, y in line) - 50
    assert len(svg) < 30_000


def test_runs_share_axes_and_the_mouse_tells_which_one_it_is_on():
    runs = [
        ("a", "s0", [{"step": 0, "wait": 0.5}, {"step": 1000, "wait": 0.25}]),
        ("b", "s1", [{"step": 500, "wait": 0.25}, {"step": 500, "wait": 0.3}]),
        ("c", "s2", [{"step": 7, "loss": 1.0}]),
    ]
    card = chart_card(Chart("wait", "Wait", as_percent=True), runs)
    titles = [title.text for title in ElementTree.fromstring(card).iter("title")]
    assert titles == ["a, step 0: 50 %", "a, step 1,000: 25 %", "b, step 500: 30 %"]
    assert chart_card(Chart("gone", "Gone"), runs) == ""


def test_dots_show_rates_their_intervals_and_chance():
    svg = dots([Interval(0.6, 0.55, 0.7), Interval(0.98, 0.9, 1.06)], 0.5, blind=False)
    whiskers = ElementTree.fromstring(svg).findall("g/line")
    assert [(line.get("x1"), line.get("x2")) for line in whiskers] == [
        ("55.00%", "70.00%"),
        ("90.00%", "100.00%"),
    ]
    assert [dot.get("cx") for dot in parts(svg, "dot")] == ["60.00%", "98.00%"]
    assert parts(svg, "chance")[0].get("x1") == "50.00%"
    assert "60.0 %, 98.0 %; chance 50.0 %" in svg
    assert len(parts(dots([Interval(0.5, 0.5, 0.5)], 0.5, blind=True), "blind")) == 1
