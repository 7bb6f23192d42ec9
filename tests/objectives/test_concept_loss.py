"""Soft cross-entropy and the objective of concepts. Golden values are derived by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kgclip_jax.batch import Features, Pairs, TextBlock
from kgclip_jax.errors import ConfigError
from kgclip_jax.models.presets import preset
from kgclip_jax.objectives.concept_loss import Concepts, soft_cross_entropy
from kgclip_jax.objectives.objective import Context

# softmax(-d^2 / 1) of (1, 0), (0, 1), (0.6, 0.8) and the centres (1, 0), (0, 1).
LABELS = jnp.array([[0.880797, 0.119203], [0.119203, 0.880797], [0.401312, 0.598688]])
LOGITS = jnp.array([[2.0, 0.0], [0.0, 1.0], [0.5, 0.5]])
CONTEXT = Context(jnp.ones(()), None, 0)


def entropy(shares):
    return -(shares * np.log(shares)).sum(axis=1)


def features(x):
    return Features(x, None, None, x)


def pairs(image, text, labels):
    nothing = jnp.zeros((len(image), 2), jnp.int32)
    tables = {"concepts": labels}
    return Pairs(features(image), features(text), nothing, None, None, None, tables)


def run(objective, heads, rows):
    vectors = objective.embed(heads, rows, {}, CONTEXT)
    return objective.loss(heads, vectors, CONTEXT)


def test_golden_values():
    assert soft_cross_entropy(LOGITS, LABELS).mean() == pytest.approx(0.496982, abs=1e-5)
    assert entropy(np.asarray(LABELS)).mean() == pytest.approx(0.468069, abs=1e-5)


def test_it_is_least_where_the_prediction_is_the_label():
    least = soft_cross_entropy(jnp.log(LABELS), LABELS)
    np.testing.assert_allclose(least, entropy(np.asarray(LABELS)), rtol=1e-5)
    assert (soft_cross_entropy(LOGITS, LABELS) > least)[1:].all()  # the first row is its label


def test_labels_of_low_precision_are_divided_by_their_sum_and_get_no_gradient():
    rounded = (LABELS * 1.004).astype(jnp.float16)
    np.testing.assert_allclose(
        soft_cross_entropy(LOGITS, rounded), soft_cross_entropy(LOGITS, LABELS), rtol=1e-3
    )
    gradient = jax.grad(lambda labels: soft_cross_entropy(LOGITS, labels).sum())(LABELS)
    assert not gradient.any()


def test_a_row_without_labels_is_no_nan():
    assert soft_cross_entropy(LOGITS, jnp.zeros_like(LABELS)).tolist() == [0, 0, 0]


def test_both_towers_learn_through_one_head_or_one_each():
    image, text = LOGITS, jnp.flip(LOGITS, axis=0)
    rows = pairs(image, text, LABELS)
    found = run(Concepts(), {"concept_map": lambda x: x}, rows)
    own = [soft_cross_entropy(x, LABELS).mean() for x in (image, text)]
    assert found.loss == pytest.approx(float(sum(own)) / 2)
    assert found.metrics["image_loss"] == pytest.approx(float(own[0]))
    assert found.metrics["text_loss"] == pytest.approx(float(own[1]))
    assert found.metrics["image_accuracy"] == pytest.approx(2 / 3)
    assert found.metrics["entropy"] == pytest.approx(0.468069, abs=1e-5)
    two = Concepts(heads=("of_images", "of_texts"))
    heads = {"of_images": lambda x: 2 * x, "of_texts": lambda x: 3 * x}
    metrics = run(two, heads, rows).metrics
    for side, scaled in (("image", 2 * image), ("text", 3 * text)):
        expected = float(soft_cross_entropy(scaled, LABELS).mean())
        assert metrics[f"{side}_loss"] == pytest.approx(expected)


def test_what_does_not_fit_is_refused():
    rows = pairs(LOGITS, LOGITS, LABELS)
    wide = {"concept_map": lambda x: jnp.tile(x, 2)}
    with pytest.raises(ConfigError, match=r"heads\.concept_map\.width must be 2: the concepts"):
        run(Concepts(), wide, rows)
    same = {"concept_map": lambda x: x}
    with pytest.raises(ConfigError, match=r"has no table 'topics'; set .*captions\.tables\.topics"):
        run(Concepts(table="topics"), same, rows)
    with pytest.raises(ConfigError, match="has no captioned pictures"):
        run(Concepts(), same, TextBlock(features(LOGITS), {"concepts": LABELS}))
    with pytest.raises(ValueError, match="one for both towers, or one for each"):
        Concepts(heads=()).check(preset("tiny"), {})
