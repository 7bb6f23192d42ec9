"""CE-CLIP's terms: contract, and what they must pull and push."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kgclip_jax.batch import Pairs
from kgclip_jax.objectives.ce_clip import INTRA_MODAL, CeClip, intra_modal_code, ranked_hinge
from kgclip_jax.objectives.objective import Losses
from tests.objectives.loss_contract import LossContract, unit_rows
from tests.objectives.pairs_of_rows import CONTEXT, features, run

UPPER_BOUND = 0.8


def intra_modal(kind):
    return jax.jit(
        lambda inputs: Losses(
            INTRA_MODAL[kind](**{k: v for k, v in inputs.items() if k != "image"}), {}
        )
    )


def ranked(margin):
    settings = {"margin": margin, "upper_bound": UPPER_BOUND, "fixed_margin": 0.3}
    return jax.jit(lambda inputs: ranked_hinge(**inputs, **settings))


def intra_modal_oracle(kind, inputs):
    texts, wrongs = (np.float64(inputs[name]) for name in ("text", "negatives"))
    masks, scale = inputs["negative_mask"], np.float64(inputs["logit_scale"])
    every = wrongs[masks]
    losses = []
    for text, wrong, mask in zip(texts, wrongs, masks, strict=True):
        own = np.exp(scale * wrong[mask] @ text)
        match kind:
            case "caption":
                losses.append(np.log(1 + np.sum(own) / np.exp(scale)))
            case "formula":
                losses.append(np.log(np.sum(own)) if len(own) else 0)
            case "code":
                logits = scale * every @ text
                losses.append(np.log(np.sum(np.exp(logits))) - logits[0] if len(every) else 0)
    return np.mean(losses)


def scores(inputs):
    image, text, negatives = (np.float64(inputs[n]) for n in ("image", "text", "negatives"))
    scale = np.float64(inputs["logit_scale"])
    pairs = scale * np.sum(image * text, 1)[:, None]
    return pairs, scale * np.einsum("bd,bkd->bk", image, negatives)


def margins_of(inputs, margin="mean"):
    pairs, wrong = scores(inputs)
    mask = inputs["negative_mask"]
    if margin == "fixed":
        return np.full(mask.shape[1], 0.3)
    if margin == "max":
        margins = np.where(mask, pairs - wrong, 0).max(axis=0) / 5
    else:
        means = [np.mean(wrong[mask[:, k], k]) for k in range(mask.shape[1])]
        margins = np.mean(pairs) - np.array(means)
    return np.clip(margins, 0, UPPER_BOUND)


def ranked_oracle(inputs, margins):
    pairs, wrong = scores(inputs)
    return np.mean(np.maximum(margins - (pairs - wrong), 0) * inputs["negative_mask"])


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


class TestCaptionAmongNegatives(Cases):
    loss = staticmethod(intra_modal("caption"))
    oracle = staticmethod(partial(intra_modal_oracle, "caption"))


class TestFormula(Cases):
    loss = staticmethod(intra_modal("formula"))
    oracle = staticmethod(partial(intra_modal_oracle, "formula"))


class TestCode(Cases):
    loss = staticmethod(intra_modal("code"))
    oracle = staticmethod(partial(intra_modal_oracle, "code"))
    test_order_of_pairs_does_not_matter = None  # its right answer is the first negative


class RankedHinge(Cases):
    margin: str

    def oracle(self, inputs):
        """No gradient flows through the margins: they are those of the inputs as they were made."""
        unmoved = self.make_inputs(len(inputs["image"]))
        near = all(np.allclose(inputs[name], unmoved[name], atol=1e-3) for name in unmoved)
        return ranked_oracle(inputs, margins_of(unmoved if near else inputs, self.margin))


class TestMeanMargin(RankedHinge):
    margin = "mean"
    loss = staticmethod(ranked("mean"))


class TestMaxMargin(RankedHinge):
    margin = "max"
    loss = staticmethod(ranked("max"))


def test_a_fixed_margin():
    inputs = Cases().make_inputs(6)
    loss, metrics = ranked("fixed")(inputs)
    np.testing.assert_allclose(loss, ranked_oracle(inputs, margins_of(inputs, "fixed")), rtol=1e-5)
    np.testing.assert_allclose(metrics["margin"], 0.3)


def golden_inputs():
    rng = np.random.default_rng(0)

    def unit(rows):
        return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)

    image, text, wrong = (
        unit(rng.standard_normal(shape).astype(np.float32)) for shape in ((6, 8), (6, 8), (6, 4, 8))
    )
    text = unit(image + 0.5 * text)
    mask = rng.random((6, 4)) < 0.7
    mask[0, 0] = True
    inputs = {
        "image": image,
        "text": text,
        "negatives": unit(text[:, None] + 0.4 * wrong),
        "negative_mask": mask,
        "logit_scale": np.float32(20),
    }
    return jax.tree.map(jnp.asarray, inputs)


def test_values_of_the_released_code():
    """By `Clip_DALoss` of src/open_clip/loss.py in github.com/lezhang7/Enhance-FineGrained, commit
    ef87eb7: margins of these inputs first, as it takes them from the step before."""
    inputs = golden_inputs()
    for margin, fixed, loss, mean in (
        ("mean", 1.0, 0.28818193, 1.71895558),
        ("max", 1.0, 0.08172210, 0.57625776),
        ("fixed", 3.0, 0.94935769, 3.0),
    ):
        ours = ranked_hinge(**inputs, margin=margin, upper_bound=10.0, fixed_margin=fixed)
        np.testing.assert_allclose(ours.loss, loss, rtol=1e-5)
        np.testing.assert_allclose(ours.metrics["margin"], mean, rtol=1e-5)
    texts = {name: inputs[name] for name in ("text", "negatives", "logit_scale")}
    code = intra_modal_code(**texts, negative_mask=jnp.ones((6, 4), bool))
    np.testing.assert_allclose(code, 14.4526071, rtol=1e-6)


def test_absent_negatives_are_counted_in_the_mean():
    """`get_cmr_loss` of that class, for three pairs of cosine .30 and negatives of .28 and .24."""
    inputs = {
        "image": jnp.ones((3, 1)),
        "text": jnp.full((3, 1), 0.30),
        "negatives": jnp.array([0.28, 0.24, jnp.nan]).reshape(3, 1, 1),
        "negative_mask": jnp.array([[True], [True], [False]]),
        "logit_scale": jnp.array(100.0),
    }
    loss, metrics = ranked_hinge(**inputs, margin="mean", upper_bound=10.0)
    np.testing.assert_allclose(loss, 2 / 3, rtol=1e-5)
    np.testing.assert_allclose(metrics["margin"], 4, rtol=1e-5)


def test_the_three_intra_modal_terms_of_two_captions():
    """A negative each, of cosine .9 to its caption and .436 to the other; `code` is by
    `get_imc_loss` of that class."""
    wrong = jnp.array([[[0.9, 0.43588989]], [[0.43588989, 0.9]]])
    terms = {
        kind: float(term(jnp.eye(2), wrong, jnp.ones((2, 1), bool), jnp.array(100.0)))
        for kind, term in INTRA_MODAL.items()
    }
    expected = {"formula": 90.0, "code": 23.2055, "caption": 4.5399e-05}
    assert terms == pytest.approx(expected, rel=5e-4)


def test_settings_that_the_margin_does_not_read_are_refused():
    for settings, message in (
        ({"fixed_margin": 3.0}, "fixed_margin is for the margin fixed"),
        ({"margin": "fixed", "upper_bound": 3.0}, "upper_bound is for margins that follow"),
    ):
        with pytest.raises(ValueError, match=message):
            CeClip(**settings)


@pytest.mark.parametrize("kind", ["formula", "caption"])
def test_captions_are_pushed_away_from_every_negative(kind):
    inputs = Cases().make_inputs(6)
    term = intra_modal(kind)
    gradient = jax.grad(lambda text: term(inputs | {"text": text}).loss)(inputs["text"])
    exists = inputs["negative_mask"].astype(np.float32)[..., None]
    towards = (exists * inputs["negatives"]).sum(axis=1)
    pulls = np.sum(np.asarray(gradient) * towards, axis=1)
    assert (pulls[inputs["negative_mask"].any(axis=1)] > 0).all()  # descending moves away


def test_the_margin_follows_the_model_up_to_its_bound():
    inputs = Cases().make_inputs(6)
    _, metrics = ranked("mean")(inputs)
    np.testing.assert_allclose(metrics["margin"], margins_of(inputs).mean(), rtol=1e-6)
    _, metrics = ranked("mean")(inputs | {"logit_scale": np.float32(100)})
    np.testing.assert_allclose(metrics["margin"], UPPER_BOUND, rtol=1e-6)


def test_without_negatives_every_term_is_zero():
    inputs = Cases().make_inputs(4)
    inputs |= {
        "negatives": np.full_like(inputs["negatives"], np.nan),
        "negative_mask": np.zeros((4, 3), bool),
    }
    for term in (*map(intra_modal, INTRA_MODAL), ranked("mean"), ranked("max"), ranked("fixed")):
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
    intra = intra_modal_oracle("formula", inputs)
    scored = inputs | {"text": text, "negatives": negatives}
    ranking = ranked_oracle(scored, margins_of(scored))
    np.testing.assert_allclose(metrics["intra_modal_loss"], intra, rtol=1e-5)
    np.testing.assert_allclose(metrics["ranking_loss"], ranking, rtol=1e-5)
    np.testing.assert_allclose(loss, 0.3 * intra + 0.2 * ranking, rtol=1e-5)
