"""CE-CLIP's terms: contract, and what they must pull and push."""

import jax
import jax.numpy as jnp
import numpy as np

from kgclip_jax.batch import Pairs
from kgclip_jax.objectives.ce_clip import CeClip, intra_modal_contrast, ranked_hinge
from tests.objectives.loss_contract import LossContract, unit_rows
from tests.objectives.pairs_of_rows import CONTEXT, features, run

UPPER_BOUND = 0.8


@jax.jit
def intra_modal(inputs):
    return intra_modal_contrast(**{k: v for k, v in inputs.items() if k != "image"})


@jax.jit
def ranked(inputs):
    return ranked_hinge(**inputs, upper_bound=UPPER_BOUND)


def intra_modal_oracle(inputs):
    total = 0.0
    for text, wrongs, mask in zip(
        *(np.float64(inputs[name]) for name in ("text", "negatives", "negative_mask")), strict=True
    ):
        logits = [
            inputs["logit_scale"] * (text @ n - 1) for n, m in zip(wrongs, mask, strict=True) if m
        ]
        total += np.log(1 + np.sum(np.exp(logits)))
    return total / len(inputs["text"])


def ranked_oracle(inputs, margins=None):
    image, text, negatives = (np.float64(inputs[n]) for n in ("image", "text", "negatives"))
    mask, scale = inputs["negative_mask"], np.float64(inputs["logit_scale"])
    gaps = scale * (np.sum(image * text, 1)[:, None] - np.einsum("bd,bkd->bk", image, negatives))
    if margins is None:
        margins = margins_of(inputs)
    losses = np.maximum(margins - gaps, 0)[mask]
    return losses.sum() / max(mask.sum(), 1)


def margins_of(inputs):
    image, text, negatives = (np.float64(inputs[n]) for n in ("image", "text", "negatives"))
    mask, scale = inputs["negative_mask"], np.float64(inputs["logit_scale"])
    gaps = scale * (np.sum(image * text, 1)[:, None] - np.einsum("bd,bkd->bk", image, negatives))
    means = [gaps[mask[:, k], k].mean() if mask[:, k].any() else 0 for k in range(mask.shape[1])]
    return np.clip(means, 0, UPPER_BOUND)


class Cases(LossContract):
    def make_inputs(self, batch, features=12):
        rng = np.random.default_rng(0)
        text = unit_rows(rng, batch, features)
        image = text + 0.4 * unit_rows(rng, batch, features)
        return {
            "image": (image / np.linalg.norm(image, axis=1, keepdims=True)).astype(np.float32),
            "text": text,
            "negatives": unit_rows(rng, batch, 3, features),
            "negative_mask": rng.random((batch, 3)) < 0.7,
            "logit_scale": np.float32(2.0),
        }


class TestIntraModalContrast(Cases):
    loss = staticmethod(intra_modal)
    oracle = staticmethod(intra_modal_oracle)


class TestRankedHinge(Cases):
    loss = staticmethod(ranked)

    def oracle(self, inputs):
        """No gradient flows through the margins: they are those of the inputs as they were made."""
        unmoved = self.make_inputs(len(inputs["image"]))
        near = all(np.allclose(inputs[name], unmoved[name], atol=1e-3) for name in unmoved)
        return ranked_oracle(inputs, margins_of(unmoved if near else inputs))


def test_captions_are_pushed_away_from_every_negative():
    inputs = Cases().make_inputs(6)
    gradient = jax.grad(lambda text: intra_modal(inputs | {"text": text}).loss)(inputs["text"])
    exists = inputs["negative_mask"].astype(np.float32)[..., None]
    towards = (exists * inputs["negatives"]).sum(axis=1)
    pulls = np.sum(np.asarray(gradient) * towards, axis=1)
    assert (pulls[inputs["negative_mask"].any(axis=1)] > 0).all()  # descending moves away


def test_the_margin_follows_the_model_up_to_its_bound():
    inputs = Cases().make_inputs(6)
    _, metrics = ranked(inputs)
    np.testing.assert_allclose(metrics["margin"], margins_of(inputs).mean(), rtol=1e-6)
    _, metrics = ranked(inputs | {"logit_scale": np.float32(100)})
    np.testing.assert_allclose(metrics["margin"], UPPER_BOUND, rtol=1e-6)


def test_without_negatives_both_are_zero():
    inputs = Cases().make_inputs(4)
    inputs |= {
        "negatives": np.full_like(inputs["negatives"], np.nan),
        "negative_mask": np.zeros((4, 3), bool),
    }
    for term in (intra_modal, ranked):
        loss, gradient = jax.value_and_grad(lambda text, f=term: f(inputs | {"text": text}).loss)(
            inputs["text"]
        )
        assert loss == 0
        np.testing.assert_array_equal(gradient, np.zeros_like(inputs["text"]))


def test_texts_are_compared_without_what_their_graphs_add_and_ranked_with_it():
    inputs = Cases().make_inputs(8)
    rng = np.random.default_rng(1)
    text, negatives = (
        array + 0.2 * rng.standard_normal(array.shape).astype(np.float32)
        for array in (inputs["text"], inputs["negatives"])
    )
    rows = Pairs(
        image=features(inputs["image"]),
        text=features(text, plain=inputs["text"]),
        ids=np.full((8, 2), -1, np.int32),
        negatives=features(negatives, plain=inputs["negatives"]),
        negative_mask=jnp.asarray(inputs["negative_mask"]),
        negative_ids=np.full((8, 3), -1, np.int32),
    )
    context = CONTEXT._replace(logit_scale=jnp.asarray(inputs["logit_scale"]))
    loss, metrics = run(CeClip(upper_bound=UPPER_BOUND), rows, context)
    intra = intra_modal_oracle(inputs)
    ranking = ranked_oracle(inputs | {"text": text, "negatives": negatives})
    np.testing.assert_allclose(metrics["intra_modal_loss"], intra, rtol=1e-5)
    np.testing.assert_allclose(metrics["ranking_loss"], ranking, rtol=1e-5)
    np.testing.assert_allclose(loss, 0.3 * intra + 0.2 * ranking, rtol=1e-5)
