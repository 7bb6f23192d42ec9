import jax
import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import log_softmax

from kgclip_jax.data.evaluation_sets import LinearProbeSet
from kgclip_jax.errors import DataError
from kgclip_jax.evaluation import linear_probe
from kgclip_jax.evaluation.linear_probe import evaluate_linear_probe, fit, probe
from tests.array_pictures import ArrayPictures

CLASSES = 4


@pytest.fixture
def hasty(monkeypatch):
    """Weak penalties converge slowly, and need not here."""
    monkeypatch.setattr(linear_probe, "ITERATIONS", 12)


def drawn(random_units, seed, count, spread):
    """Embeddings around a direction of each class, and their labels."""
    labels = np.arange(count) % CLASSES
    centres = random_units(0, CLASSES, 8)
    rows = centres[labels] + spread * random_units(seed, count, 8)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32), labels


def make_set(pictures, training, measured, unreadable=()):
    """A set of pictures that `TableEncoder` knows by number: the training ones, then the others."""
    images = pictures(len(training) + len(measured)).images
    first, others = images[: len(training)], images[len(training) :]
    return LinearProbeSet(
        "probe", ArrayPictures(others, unreadable), measured, ArrayPictures(first), training
    )


@pytest.mark.parametrize("penalty", [0.1, 3.0])
def test_a_fit_has_no_gradient_in_double_precision(random_units, penalty):
    features, labels = drawn(random_units, 1, 200, 0.8)
    weights = fit(features, labels, CLASSES, penalty).astype(np.float64)
    inputs = np.concatenate([features, np.ones((200, 1))], axis=1).astype(np.float64)
    errors = np.exp(log_softmax(inputs @ weights.T, axis=1)) - np.eye(CLASSES)[labels]
    shrinking = penalty * weights
    shrinking[:, -1] = 0  # offsets are free
    gradient = errors.T @ inputs + shrinking
    assert np.abs(gradient).max() / len(labels) < 2e-5  # L-BFGS stops below 1e-5


def test_features_that_hardly_differ_are_fitted_to_the_end(random_units):
    """In their own coordinates a thousand iterations end at 0.1625."""
    features, labels = drawn(random_units, 1, 200, 0.8)
    features = features * np.float32(0.02) ** np.linspace(0.5, 2, 8, dtype=np.float32)
    features[:, 0] += 1
    inputs, penalty = np.concatenate([features, np.ones((200, 1))], axis=1), 1e-6

    def objective(flat):
        weights = flat.reshape(CLASSES, 9)
        logs, shrinking = log_softmax(inputs @ weights.T, axis=1), penalty * weights
        shrinking[:, -1] = 0
        value = -logs[np.arange(200), labels].sum() + np.sum(shrinking * weights) / 2
        gradient = (np.exp(logs) - np.eye(CLASSES)[labels]).T @ inputs + shrinking
        return value / 200, gradient.ravel() / 200

    found = fit(features, labels, CLASSES, penalty).astype(np.float64).ravel()
    until = {"maxiter": 10**5, "maxfun": 10**6, "ftol": 1e-15, "gtol": 1e-12}
    best = minimize(objective, found, jac=True, method="L-BFGS-B", options=until)
    assert best.fun == pytest.approx(0.135901, abs=1e-5)
    assert objective(found)[0] < best.fun + 1e-6


def test_the_penalty_is_chosen_on_what_was_held_out(hasty, random_units):
    features, labels = drawn(random_units, 1, 300, 0.3)
    noisy = np.where(np.arange(300) % 3 == 0, (labels + 1) % CLASSES, labels)
    fresh, truth = drawn(random_units, 2, 400, 0.3)
    fresh = np.concatenate([fresh, np.ones((400, 1), np.float32)], axis=1)
    chosen, free = probe(features, noisy, CLASSES), fit(features, noisy, CLASSES, 1e-6)
    accuracy = [np.mean((fresh @ w.T).argmax(axis=1) == truth) for w in (chosen, free)]
    assert accuracy[0] > 0.95
    assert accuracy[0] >= accuracy[1]


def test_rows_and_pictures_that_cannot_be_read(hasty, table_encoder, pictures, random_units):
    training, labels = drawn(random_units, 1, 40, 0.2)
    measured, truth = drawn(random_units, 2, 20, 0.2)
    truth = truth.copy()
    truth[:3] = (truth[:3] + 1) % CLASSES  # not what the pictures show
    encoder = table_encoder(np.concatenate([training, measured]), {})
    data = make_set(pictures, labels, truth, unreadable=[0, 19])
    with jax.transfer_guard("disallow"):  # as on the way of a training run
        rows = evaluate_linear_probe(encoder, data)
    assert [row.metric for row in rows] == ["top-1", "top-1, mean of classes"]
    assert (rows[0].task, rows[0].set_name) == ("linear probe", "probe")
    assert (rows[0].value, rows[0].n) == (pytest.approx(16 / 18), 18)
    assert rows[0].chance == 1 / 4


@pytest.mark.parametrize(
    ("labels", "message"),
    [([0] * 20, "20 training pictures of 1 classes"), ([0, 1], "2 training pictures of 2 classes")],
)
def test_bad_sets_are_refused(table_encoder, pictures, labels, message):
    data = make_set(pictures, np.array(labels), np.array([0]))
    with pytest.raises(DataError, match=f"'probe' has {message}; it needs 10 of two"):
        evaluate_linear_probe(table_encoder(np.ones((30, 2)), {}), data)
