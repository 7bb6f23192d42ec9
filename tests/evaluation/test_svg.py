from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgclip_jax.evaluation.result import Result
from kgclip_jax.evaluation.svg import HEIGHT, WIDTH, compact, line_chart, nice_ticks, rate_bar

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


@given(st.lists(finite, min_size=1, max_size=30), st.booleans(), st.booleans())
def test_curves_stay_inside_the_figure(values, as_percent, from_zero):
    svg = line_chart([(10.0 * i, v) for i, v in enumerate(values)], "loss", as_percent, from_zero)
    line = coordinates(parts(svg, "line")[0])
    assert len(line) == len(values)
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in line)
    order = np.argsort(values, kind="stable")
    heights = [line[i][1] for i in order]
    assert heights == sorted(heights, reverse=True)  # greater values are higher up


def test_a_long_run_keeps_its_extremes():
    values = np.random.default_rng(0).normal(size=10_000)
    values[5_003] = 40.0
    svg = line_chart([(float(i), float(v)) for i, v in enumerate(values)], "loss", False, False)
    line = coordinates(parts(svg, "line")[0])
    band = coordinates(parts(svg, "band")[0])
    assert len(line) == 240
    assert min(y for _, y in band) < min(y for _, y in line) - 50
    assert len(svg) < 60_000


def test_hovering_tells_step_and_value():
    svg = line_chart([(0.0, 0.5), (1000.0, 0.25)], "wait", True, True)
    titles = [title.text for title in ElementTree.fromstring(svg).iter("title")]
    assert titles == ["step 0: 50 %", "step 1,000: 25 %"]


def test_a_bar_shows_rate_interval_and_chance():
    row = Result("t", "s", "m", 0.6, 0.55, 0.7, 10, 0.5)
    svg = rate_bar(row)
    (fill,) = parts(svg, "fill")
    (whisker,) = parts(svg, "whisker")
    (chance,) = parts(svg, "chance")
    assert float(fill.get("width")) == 60
    assert (float(whisker.get("x1")), float(whisker.get("x2"))) == (55, 70)
    assert float(chance.get("x1")) == 50
