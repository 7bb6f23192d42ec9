"""NMI against values of scikit-learn, and its spread against other draws of the items.

scikit-learn is no requirement of the tests: the golden values are those that
`normalized_mutual_info_score` of its version 1.9.1 gives.
"""

import numpy as np
import pytest

from kgclip_jax.evaluation.bootstrap import bootstrap_mean
from kgclip_jax.evaluation.mutual_information import nmi_of_items

FIRST = np.repeat(np.arange(5), [9, 7, 5, 4, 2])
SECOND = (FIRST + (np.arange(27) % 4 == 0)) % 5


@pytest.mark.parametrize(
    ("x", "y", "expected"),
    [
        (FIRST, SECOND, 0.6658032893901112),
        (3 * SECOND + 7, FIRST, 0.6658032893901112),  # names of labels and order say nothing
        ([0, 0, 1, 1], [0, 0, 1, 2], 0.8),
        ([0, 0, 1, 1], [1, 1, 0, 0], 1),
        ([0, 1, 0, 1], [0, 0, 1, 1], 0),
        ([0, 0, 0, 0], [0, 1, 2, 0], 0),
    ],
)
def test_golden_values(x, y, expected):
    assert nmi_of_items(np.asarray(x), np.asarray(y)).mean() == pytest.approx(expected, abs=1e-12)


def test_two_constants_share_nothing():
    """scikit-learn says 1 here."""
    assert nmi_of_items(np.zeros(3, int), np.ones(3, int)).tolist() == [0, 0, 0]


def test_an_item_counts_by_how_nmi_changes_with_it():
    """The derivative by the weight of an item, as one more among 1,000 copies of all."""
    copies = 1000
    x, y = np.tile(FIRST, copies), np.tile(SECOND, copies)
    values = nmi_of_items(FIRST, SECOND)
    before = nmi_of_items(x, y).mean()
    for item in range(0, 27, 5):
        after = nmi_of_items(np.append(x, FIRST[item]), np.append(y, SECOND[item])).mean()
        change = (after - before) * (len(x) + 1)
        assert change == pytest.approx(values[item] - values.mean(), abs=1e-3)


def test_the_interval_is_as_wide_as_values_of_other_draws_spread():
    rng = np.random.default_rng(0)
    found, widths = [], []
    for _ in range(300):
        true = rng.integers(10, size=2000)
        told = np.where(rng.random(2000) < 0.6, true, rng.integers(10, size=2000))
        values = nmi_of_items(told, true)
        found.append(values.mean())
        widths.append(values.std() / 2000**0.5)
    assert np.mean(widths) == pytest.approx(np.std(found), rel=0.12)
    interval = bootstrap_mean(values)
    assert interval.low < values.mean() < interval.high
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * widths[-1], rel=0.05)
