"""Hinge losses: contract, published golden values, edge cases."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kgclip_jax.objectives.hinge import hardest_negative_hinge, negative_hinge
from tests.objectives.loss_contract import (
    ChunkedLossContract,
    LossContract,
    captions_beside,
    random_ids,
    unit_rows,
)

# Cosines of three images (rows) with three captions, and with the wrong twin of each caption.
GOLDEN = np.array([[0.30, 0.25, 0.10], [0.05, 0.20, 0.28], [0.15, 0.12, 0.35]], np.float32)
GOLDEN_NEGATIVES = np.array([0.28, 0.22, 0.10], np.float32)
IMAGES = np.eye(3, dtype=np.float32)  # so that texts are columns of cosines
MARGIN = 0.2


@partial(jax.jit, static_argnames=("chunk_size", "mild"))
def hardest(inputs, chunk_size=None, mild=False):
    return hardest_negative_hinge(**inputs, margin=MARGIN, mild=mild, chunk_size=chunk_size)


@jax.jit
def negative(inputs):
    return negative_hinge(**inputs, margin=0.1)


def hardest_oracle(inputs, mild=False):
    similarities = inputs["image"].astype(np.float64) @ inputs["text"].astype(np.float64).T
    total = 0.0
    for i in range(len(similarities)):
        others = captions_beside(inputs, i)
        texts, images = similarities[i, others], similarities[others, i]
        own = similarities[i, i]
        far_image = np.mean([own, *images]) if mild else max([-np.inf, *images])
        total += max(0, MARGIN + max([-np.inf, *texts]) - own)
        total += max(0, MARGIN + far_image - own)
    return total / len(similarities)


def negative_oracle(inputs):
    losses = [
        max(0, 0.1 - np.dot(image, text - wrong))
        for image, text, wrongs, mask in zip(*map(np.float64, inputs.values()), strict=True)
        for wrong, exists in zip(wrongs, mask, strict=True)
        if exists
    ]
    return sum(losses) / max(len(losses), 1)


class TestHardestNegativeHinge(ChunkedLossContract):
    loss = staticmethod(hardest)
    oracle = staticmethod(hardest_oracle)

    def make_inputs(self, batch, features=12):
        rng = np.random.default_rng(0)
        rows = {name: unit_rows(rng, batch, features) for name in ("image", "text")}
        return rows | {"ids": random_ids(rng, batch, 2)}


class TestMildHardestNegativeHinge(TestHardestNegativeHinge):
    loss = staticmethod(partial(hardest, mild=True))
    oracle = staticmethod(partial(hardest_oracle, mild=True))


class TestNegativeHinge(LossContract):
    loss = staticmethod(negative)
    oracle = staticmethod(negative_oracle)

    def make_inputs(self, batch, features=12):
        rng = np.random.default_rng(0)
        return {
            "image": unit_rows(rng, batch, features),
            "text": unit_rows(rng, batch, features),
            "negatives": unit_rows(rng, batch, 3, features),
            "negative_mask": rng.random((batch, 3)) < 0.7,
        }


def inputs(*arrays):
    names = ("image", "text", "negatives", "negative_mask")
    return dict(zip(names, arrays, strict=True))


@pytest.mark.parametrize(("mild", "expected"), [(False, 0.286667), (True, 0.260000)])
def test_hardest_negatives_golden_value(mild, expected):
    """`WinoLoss` of model/utils.py in github.com/zjukg/Structure-CLIP, commit 1383d68; where it is
    not `is_hard`, mild."""
    loss, _ = hardest({"image": IMAGES, "text": GOLDEN.T}, mild=mild)
    np.testing.assert_allclose(loss, expected, atol=5e-7)


def test_negatives_golden_value_and_accuracy():
    """`MarginLoss` of the same file."""
    negatives = np.diag(GOLDEN_NEGATIVES)[:, None]
    loss, metrics = negative(inputs(IMAGES, GOLDEN.T, negatives, np.ones((3, 1), bool)))
    np.testing.assert_allclose(loss, 0.066667, atol=5e-7)
    np.testing.assert_allclose(metrics["negative_accuracy"], 2 / 3)


def test_without_negatives_the_loss_and_its_gradient_are_zero():
    rng = np.random.default_rng(0)
    image, text = unit_rows(rng, 4, 8), unit_rows(rng, 4, 8)
    negatives = np.full((4, 2, 8), np.nan, np.float32)

    def loss(text):
        return negative(inputs(image, text, negatives, np.zeros((4, 2), bool))).loss

    value, gradient = jax.value_and_grad(loss)(jnp.asarray(text))
    assert value == 0
    np.testing.assert_array_equal(gradient, np.zeros((4, 8)))


def test_the_hinge_is_flat_once_every_margin_is_kept():
    image = np.eye(2, 4, dtype=np.float32)
    negatives = np.zeros((2, 1, 4), np.float32)
    result = negative(inputs(image, image, negatives, np.ones((2, 1), bool)))
    assert (float(result.loss), float(result.metrics["negative_accuracy"])) == (0, 1)
