"""The losses of labels against torch's, and what does not fit together."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from torch.nn import functional

from kgclip_jax.batch import Features, LabelledBlock
from kgclip_jax.errors import ConfigError
from kgclip_jax.models.classifier import ClassifierHead
from kgclip_jax.models.heads import bind_head, init_head
from kgclip_jax.models.presets import preset
from kgclip_jax.objectives.label_loss import Classification, label_losses
from kgclip_jax.objectives.objective import Context

B, CLASSES = 6, 5
rng = np.random.default_rng(0)
LOGITS = rng.normal(size=(B, CLASSES)).astype(np.float32) * 3


def soft_targets():
    """Up to three classes an item, more or less right; the last has none."""
    labels = np.array([rng.permutation(CLASSES)[:3] for _ in range(B)], np.int32)
    scores = rng.choice([0.3, 0.6, 0.9, 1.0], (B, 3)).astype(np.float32)
    for row in range(B):
        labels[row, 3 - row // 2 :], scores[row, 3 - row // 2 :] = -1, 0
    labels[-1], scores[-1] = -1, 0
    return labels, scores


def dense(labels, scores):
    targets = np.zeros((B, CLASSES))
    for row, column in np.argwhere(labels >= 0):
        targets[row, labels[row, column]] += scores[row, column]
    return torch.tensor(targets)


def one_each():
    return rng.integers(CLASSES, size=(B, 1)).astype(np.int32), np.ones((B, 1), np.float32)


@pytest.mark.parametrize("form", ["softmax", "sigmoid", "squared"])
def test_values_and_gradients_are_those_of_torch(form):
    labels, scores = soft_targets() if form == "sigmoid" else one_each()
    logits = torch.tensor(LOGITS, dtype=torch.float64, requires_grad=True)
    targets = dense(labels, scores)
    if form == "softmax":
        expected = functional.cross_entropy(logits, targets, reduction="none")
    elif form == "sigmoid":
        losses = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
        expected = losses.sum(dim=1)
    else:
        scores = rng.random((B, 1)).astype(np.float32)
        expected = (logits[:, 0] - torch.tensor(scores[:, 0])) ** 2
    expected.sum().backward()

    def total(logits):
        losses = label_losses(logits, jnp.asarray(labels), jnp.asarray(scores), form)
        return losses.sum(), losses

    gradient, losses = jax.grad(total, has_aux=True)(jnp.asarray(LOGITS))
    np.testing.assert_allclose(losses, expected.detach(), rtol=1e-5)
    np.testing.assert_allclose(gradient, logits.grad, atol=1e-6)


def features(*shape):
    pooled = jnp.asarray(rng.normal(size=shape), jnp.float32)
    return Features(pooled, None, None, pooled)


def run(objective, head, rows, classes):
    module = bind_head(head, preset("tiny"), init_head(head, "classifier", preset("tiny"), 0))
    context = Context(jnp.ones(()), None, 0, {"classes": np.zeros((classes, 0), np.float32)})
    heads = {"classifier": module}
    vectors = objective.embed(heads, rows, {}, context)
    return module, objective.loss(heads, vectors, context)


def block(inputs, labels, scores, picture=False):
    d = preset("tiny").embedding
    *texts, image = [features(B, d) for _ in range(inputs)] + [None] * (not picture)
    return LabelledBlock(image, tuple(texts), jnp.asarray(labels), jnp.asarray(scores))


@pytest.mark.parametrize("picture", [False, True])
def test_rows_are_averaged_and_accuracy_is_that_of_the_most_likely_class(picture):
    labels, scores = soft_targets()
    rows = block(2, labels, scores, picture)
    head = ClassifierHead(classes=CLASSES, width=8)
    module, found = run(Classification(form="sigmoid"), head, rows, CLASSES)
    inputs = [x for x in (rows.image, *rows.texts) if x is not None]
    logits = np.asarray(module([x.pooled for x in inputs]))
    expected = label_losses(jnp.asarray(logits), rows.labels, rows.scores, "sigmoid").mean()
    assert found.loss == pytest.approx(float(expected), rel=1e-6)
    best = dense(labels, scores).numpy()[np.arange(B), logits.argmax(axis=1)]
    assert found.metrics == {"accuracy": pytest.approx(best.mean(), rel=1e-6)}


def test_a_number_has_no_accuracy():
    rows = block(1, np.zeros((B, 1), np.int32), rng.random((B, 1)).astype(np.float32))
    head = ClassifierHead(classes=1, inputs=1)
    _, found = run(Classification(form="squared"), head, rows, 1)
    assert found.metrics == {}


@pytest.mark.parametrize(
    ("head", "form", "classes", "message"),
    [
        ({"classes": 4}, "softmax", 5, r"config\.heads\.classifier\.classes must be 5: that of"),
        ({"classes": 5, "inputs": 1}, "softmax", 5, r"classifier\.inputs must be 2"),
        (
            {"classes": 5},
            "squared",
            5,
            r"'squared' does not fit config\.streams\.labelled",
        ),
        ({"classes": 1}, "softmax", 1, r"the form 'softmax' does not fit"),
    ],
)
def test_what_does_not_fit_is_refused(head, form, classes, message):
    with pytest.raises(ConfigError, match=message):
        run(Classification(form=form), ClassifierHead(**head), block(2, *one_each()), classes)
    with pytest.raises(ValueError, match="expected the name of one classifier"):
        Classification(heads=("a", "b")).check(preset("tiny"), {})
