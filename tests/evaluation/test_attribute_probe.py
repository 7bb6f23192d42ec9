import itertools

import jax
import numpy as np
import pytest
from scipy.special import expit

from kgclip_jax.data.evaluation_sets import AttributeProbeSet
from kgclip_jax.errors import DataError
from kgclip_jax.evaluation import linear_probe
from kgclip_jax.evaluation.attribute_probe import (
    average_precision,
    evaluate_attribute_probe,
    expected_of_random_order,
    fit,
    probe_attributes,
)
from kgclip_jax.evaluation.tasks import evaluate
from tests.array_pictures import ArrayPictures

ATTRIBUTES = 3


@pytest.fixture
def hasty(monkeypatch):
    monkeypatch.setattr(linear_probe, "ITERATIONS", 12)


def drawn(random_units, seed, count):
    """Embeddings, and marks by the sign of a direction of each attribute; some are unknown."""
    features = random_units(seed, count, 6)
    marks = (features @ random_units(0, ATTRIBUTES, 6).T > [0, 0.1, 0.5]).astype(np.int8)
    marks[np.random.default_rng(seed).random(marks.shape) < 0.2] = -1
    return features, marks


def make_set(pictures, training, measured, families=("", "", ""), unreadable=()):
    """A set of pictures that `TableEncoder` knows by number: the training ones, then the others."""
    images = pictures(len(training) + len(measured)).images
    first, others = images[: len(training)], images[len(training) :]
    return AttributeProbeSet(
        *("probe", ArrayPictures(others, unreadable), measured, ArrayPictures(first), training),
        attributes=[f"attribute {n}" for n in range(ATTRIBUTES)],
        families=families,
    )


def area(scores, marks, weights=None):
    """The sum over thresholds of the precision times the recall that each adds."""
    weights = np.where(marks >= 0, 1.0 if weights is None else weights, 0)
    has = weights * (marks == 1)
    total, recall = 0.0, 0.0
    for threshold in sorted({*scores[marks >= 0].tolist()}, reverse=True):
        found = scores >= threshold
        reached = has[found].sum() / has.sum()
        total += (reached - recall) * has[found].sum() / weights[found].sum()
        recall = reached
    return total


def ties(seed):
    rng = np.random.default_rng(seed)
    return rng.integers(8, size=40).astype(np.float32), rng.integers(-1, 2, 40).astype(np.int8)


@pytest.mark.parametrize("seed", range(5))
def test_average_precision_is_the_area_under_the_steps(seed):
    scores, marks = ties(seed)
    assert average_precision(scores, marks).value == pytest.approx(area(scores, marks))


@pytest.mark.parametrize("seed", range(5))
def test_influence_is_the_slope_in_the_weight_of_a_picture(seed):
    scores, marks = ties(seed)
    influence = average_precision(scores, marks).influence
    for number in range(40):
        step = 1e-6 * (np.arange(40) == number)
        slope = (area(scores, marks, 1 + step) - area(scores, marks, 1 - step)) / 2e-6
        assert influence[number] == pytest.approx(slope, abs=1e-7)
    assert influence.sum() == pytest.approx(0, abs=1e-12)


def test_who_scores_all_alike_gets_the_share_of_those_that_have_it():
    marks = np.array([1, 0, 0, -1, 1, 0], np.int8)
    assert average_precision(np.zeros(6), marks).value == pytest.approx(2 / 5)


def test_chance_is_the_mean_over_all_orders():
    marks = np.array([1, 0, 1, -1, 0, 0], np.int8)
    orders = itertools.permutations(range(6))
    found = [area(np.array(order, np.float32), marks) for order in orders]
    assert expected_of_random_order(marks) == pytest.approx(np.mean(found))


@pytest.mark.parametrize("penalty", [0.1, 3.0])
def test_a_fit_has_no_gradient_in_double_precision(random_units, penalty):
    features, marks = drawn(random_units, 1, 200)
    weights = fit(features, marks, penalty).astype(np.float64)
    inputs = np.concatenate([features, np.ones((200, 1))], axis=1).astype(np.float64)
    errors = np.where(marks >= 0, expit(inputs @ weights.T) - marks, 0)
    shrinking = penalty * weights
    shrinking[:, -1] = 0  # offsets are free
    gradient = errors.T @ inputs + shrinking
    assert np.abs(gradient).max() / 200 < 5e-5  # the search ends where it sees no more descent


def test_unknown_marks_change_nothing(random_units):
    features, marks = drawn(random_units, 1, 100)
    marks[50:, 1] = -1
    known = np.flatnonzero(marks[:, 1] >= 0)
    alone = fit(features[known], marks[known][:, [1]], 1.0)[0]
    np.testing.assert_allclose(fit(features, marks, 1.0)[1], alone, atol=2e-3)


def test_rows_of_all_attributes_and_of_families(
    hasty, table_encoder, pictures, random_units, caplog
):
    training, marks = drawn(random_units, 1, 120)
    measured, truth = drawn(random_units, 2, 60)
    truth[:, 2] = np.minimum(truth[:, 2], 0)  # nothing has it
    encoder = table_encoder(np.concatenate([training, measured]), {})
    families = ("bill", "wing", "wing")
    data = make_set(pictures, marks, truth, families, unreadable=[0, 59])
    with jax.transfer_guard("disallow"):  # as on the way of a training run
        rows = evaluate(encoder, [data])
    assert [row.metric for row in rows] == ["mAP", "mAP, bill", "mAP, wing"]
    assert (rows[0].task, rows[0].set_name) == ("attribute probe", "probe")
    assert "1 of 3 attributes left out" in caplog.text
    assert "attribute 2" in caplog.text

    weights = probe_attributes(training, marks)
    kept = slice(1, 59)
    scores = measured[kept] @ weights[:, :-1].T + weights[:, -1]
    expected = [area(scores[:, n], truth[kept, n]) for n in range(2)]
    assert rows[1].value == pytest.approx(expected[0], abs=1e-5)
    assert rows[2].value == pytest.approx(expected[1], abs=1e-5)
    assert rows[0].value == pytest.approx(np.mean(expected), abs=1e-5)
    assert rows[0].value > 0.9
    by_chance = [expected_of_random_order(truth[kept, n]) for n in range(2)]
    assert rows[0].chance == pytest.approx(np.mean(by_chance))
    for row in rows:
        assert row.n == 58
        assert row.outcomes.clusters.tolist() == [*range(1, 59)]
        assert row.outcomes.values.mean() == pytest.approx(row.value, abs=1e-6)


def test_the_interval_is_that_of_resampled_pictures(hasty, table_encoder, pictures, random_units):
    training, marks = drawn(random_units, 1, 100)
    measured, truth = drawn(random_units, 2, 300)
    measured = measured + 0.7 * random_units(3, 300, 6)  # blurred
    measured /= np.linalg.norm(measured, axis=1, keepdims=True)
    encoder = table_encoder(np.concatenate([training, measured]), {})
    (row,) = evaluate_attribute_probe(encoder, make_set(pictures, marks, truth))
    weights = probe_attributes(training, marks)
    scores = (measured @ weights[:, :-1].T + weights[:, -1]).astype(np.float32)
    rng, means = np.random.default_rng(0), []
    for _ in range(300):
        drawn_again = rng.integers(300, size=300)
        parts = (average_precision(scores[drawn_again, n], truth[drawn_again, n]) for n in range(3))
        means.append(np.mean([part.value for part in parts]))
    low, high = np.quantile(means, [0.025, 0.975])
    assert row.high - row.low == pytest.approx(high - low, rel=0.25)
    assert row.low < row.value < row.high


def test_embeddings_that_say_nothing_are_at_chance_in_the_row_of_one_family(
    hasty, table_encoder, pictures, random_units
):
    _, marks = drawn(random_units, 1, 200)
    _, truth = drawn(random_units, 2, 400)
    encoder = table_encoder(random_units(3, 600, 6), {})
    (row,) = evaluate_attribute_probe(encoder, make_set(pictures, marks, truth))
    assert row.metric == "mAP"
    assert row.low <= row.chance <= row.high


@pytest.mark.parametrize(
    ("training", "measured", "message"),
    [
        (np.zeros((9, 3), np.int8), np.zeros((1, 3), np.int8), "9 training pictures and 1 others"),
        (np.zeros((10, 3), np.int8), np.zeros((0, 3), np.int8), "10 .* and 0 others; it needs 10"),
        (np.eye(10, 3, dtype=np.int8), np.ones((4, 3), np.int8), "no attribute that some pictures"),
    ],
)
def test_bad_sets_are_refused(hasty, table_encoder, pictures, training, measured, message):
    encoder = table_encoder(np.ones((20, 2)), {})
    with pytest.raises(DataError, match=rf"attribute probe 'probe'.*{message}"):
        evaluate_attribute_probe(encoder, make_set(pictures, training, measured))
