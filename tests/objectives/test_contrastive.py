"""Softmax and sigmoid contrastive losses: contract, published formulas, negatives, edge cases."""

from functools import partial

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgclip_jax.objectives.contrastive import (
    sigmoid_contrastive,
    softmax_contrastive,
)
from tests.objectives.loss_contract import (
    ChunkedLossContract,
    captions_beside,
    negatives_beside,
    random_ids,
    unit_rows,
)


@partial(jax.jit, static_argnames="chunk_size")
def softmax(inputs, chunk_size=None):
    arrays = {name: value for name, value in inputs.items() if name != "logit_bias"}
    return softmax_contrastive(**arrays, chunk_size=chunk_size)


@partial(jax.jit, static_argnames="chunk_size")
def sigmoid(inputs, chunk_size=None):
    return sigmoid_contrastive(**inputs, chunk_size=chunk_size)


def logits_beside(inputs, i):
    """Of image i with its caption, of it with each other text, and of other images with it."""
    image, text = np.float64(inputs["image"]), np.float64(inputs["text"])
    scale, others = np.float64(inputs["logit_scale"]), captions_beside(inputs, i)
    texts = [text[j] for j in others]
    texts += [np.float64(inputs["negatives"][place]) for place in negatives_beside(inputs, i)]
    return (
        scale * image[i] @ text[i],
        np.array([scale * image[i] @ t for t in texts]),
        np.array([scale * image[j] @ text[i] for j in others]),
    )


def softmax_oracle(inputs):
    total = 0.0
    for i in range(len(inputs["image"])):
        own, texts, images = logits_beside(inputs, i)
        total += np.log(1 + np.sum(np.exp(texts - own)))
        total += np.log(1 + np.sum(np.exp(images - own)))
    return total / (2 * len(inputs["image"]))


def sigmoid_oracle(inputs):
    total = 0.0
    for i in range(len(inputs["image"])):
        own, texts, _ = logits_beside(inputs, i)
        total += np.log1p(np.exp(-(own + inputs["logit_bias"])))
        total += np.sum(np.log1p(np.exp(texts + inputs["logit_bias"])))
    return total / len(inputs["image"])


class ContrastiveContract(ChunkedLossContract):
    def make_inputs(self, batch, features=12):
        rng = np.random.default_rng(0)
        inputs = {
            "image": unit_rows(rng, batch, features),
            "text": unit_rows(rng, batch, features),
            "logit_scale": np.float32(1 / 0.07),
            "logit_bias": np.float32(-10.0),
            "ids": random_ids(rng, batch, 2),
        }
        negatives = self.logits_per_pair - 1
        if negatives:
            inputs["negatives"] = unit_rows(rng, batch, negatives, features)
            inputs["negative_mask"] = rng.random((batch, negatives)) < 0.7
            inputs["negative_ids"] = random_ids(rng, batch, negatives)
        return inputs


class SoftmaxCases(ContrastiveContract):
    loss = staticmethod(softmax)
    oracle = staticmethod(softmax_oracle)


class SigmoidCases(ContrastiveContract):
    loss = staticmethod(sigmoid)
    oracle = staticmethod(sigmoid_oracle)


class TestSoftmax(SoftmaxCases):
    pass


class TestSigmoid(SigmoidCases):
    pass


class TestSoftmaxWithNegatives(SoftmaxCases):
    logits_per_pair = 3


class TestSigmoidWithNegatives(SigmoidCases):
    logits_per_pair = 3


S = np.array([[0.30, 0.25, 0.10], [0.05, 0.20, 0.28], [0.15, 0.12, 0.35]], np.float32)
S_NEGATIVE = np.array([[0.28, 0.10, 0.05], [0.12, 0.22, 0.09], [0.02, 0.11, 0.10]], np.float32)


def scored(captions, negatives=None):
    """Embeddings with the given dot products; negative j belongs to caption j."""
    b = len(captions)
    scale = {"logit_scale": np.float32(1 / 0.07)}
    if negatives is None:
        return {"image": captions, "text": np.eye(b, dtype=np.float32)} | scale
    image, texts = np.concatenate([captions, negatives], axis=1), np.eye(2 * b, dtype=np.float32)
    return {"image": image, "text": texts[:b], "negatives": texts[b:, None]} | scale


class TestGoldenValues:
    """Scores S at temperature 0.07, by NegCLIP's training code on these very embeddings: `ClipLoss`
    of src/open_clip/loss.py in github.com/vinid/neg_clip, commit e680f8e.
    The sigmoid form: by its formula.
    """

    def test_softmax(self):
        loss, metrics = softmax(scored(S))
        np.testing.assert_allclose(metrics["image_to_text_loss"], 0.658183, atol=1e-6)
        np.testing.assert_allclose(metrics["text_to_image_loss"], 0.560606, atol=1e-6)
        np.testing.assert_allclose(loss, 0.609394, atol=1e-6)

    @pytest.mark.parametrize("chunk_size", [None, 2])
    def test_softmax_with_negatives(self, chunk_size):
        loss, metrics = softmax(scored(S, S_NEGATIVE), chunk_size)
        np.testing.assert_allclose(metrics["image_to_text_loss"], 0.943648, atol=1e-6)
        np.testing.assert_allclose(metrics["text_to_image_loss"], 0.560606, atol=1e-6)
        np.testing.assert_allclose(loss, 0.752127, atol=1e-6)

    def test_sigmoid_starts_at_minus_its_bias(self):
        """Orthogonal embeddings, bias -10: ln(1 + e^10) + (b - 1) ln(1 + e^-10)."""
        inputs = scored(np.zeros((3, 3), np.float32)) | {"logit_bias": np.float32(-10.0)}
        np.testing.assert_allclose(sigmoid(inputs).loss, 10.0000454 + 2 * 0.0000454, atol=1e-6)

    def test_accuracy(self):
        """By S, image 1 prefers caption 2, and caption 1 prefers image 0. With the first negative
        raised to 0.38, image 0 prefers that to its caption; captions do not care.
        """
        metrics = softmax(scored(S)).metrics
        np.testing.assert_allclose(metrics["image_to_text_accuracy"], 2 / 3)
        np.testing.assert_allclose(metrics["text_to_image_accuracy"], 2 / 3)
        tempting = S_NEGATIVE + np.array([[0.1], [0], [0]], np.float32)
        for chunk_size in (None, 2):
            metrics = softmax(scored(S, tempting), chunk_size).metrics
            np.testing.assert_allclose(metrics["image_to_text_accuracy"], 1 / 3)
            np.testing.assert_allclose(metrics["text_to_image_accuracy"], 2 / 3)

    def test_a_collapsed_model_finds_nothing(self):
        loss, metrics = softmax(scored(np.ones((3, 3), np.float32)))
        np.testing.assert_allclose(loss, np.log(3), rtol=1e-6)
        assert metrics["image_to_text_accuracy"] == metrics["text_to_image_accuracy"] == 0.0


FORMS = pytest.mark.parametrize("form", [SoftmaxCases, SigmoidCases])
CHUNKS = pytest.mark.parametrize("chunk_size", [None, 6])


def with_negatives(form):
    """A case of the form, and 16 pairs with two negatives each, all there and all different."""
    case = form()
    case.logits_per_pair = 3
    inputs = case.make_inputs(16) | {"negative_mask": np.ones((16, 2), bool)}
    return case, {k: v for k, v in inputs.items() if k not in ("ids", "negative_ids")}


@FORMS
@CHUNKS
class TestNegatives:
    @pytest.mark.parametrize("content", [0.0, 1e30, np.inf, np.nan])
    def test_absent_ones_do_not_matter(self, form, chunk_size, content):
        case, inputs = with_negatives(form)
        mask = np.array([[1, 0], [0, 0], [1, 1], [0, 1]] * 4, bool)
        inputs["negative_mask"] = mask
        filled = np.where(mask[..., None], inputs["negatives"], np.float32(content))
        actual = case.value_and_gradient(inputs | {"negatives": filled}, chunk_size)
        case.assert_same(actual, case.value_and_gradient(inputs, chunk_size))
        np.testing.assert_array_equal(actual[1]["negatives"][~mask], 0)

    def test_none_at_all_is_the_plain_loss(self, form, chunk_size):
        case, inputs = with_negatives(form)
        inputs["negative_mask"] = np.zeros((16, 2), bool)
        plain = {k: v for k, v in inputs.items() if not k.startswith("negative")}
        case.assert_same(
            case.value_and_gradient(inputs, chunk_size), case.value_and_gradient(plain, chunk_size)
        )

    def test_no_mask_means_all_exist(self, form, chunk_size):
        case, inputs = with_negatives(form)
        unmasked = {k: v for k, v in inputs.items() if k != "negative_mask"}
        case.assert_same(
            case.value_and_gradient(unmasked, chunk_size),
            case.value_and_gradient(inputs, chunk_size),
        )

    def test_each_raises_the_loss(self, form, chunk_size):
        case, inputs = with_negatives(form)
        losses = []
        for present in range(33):
            inputs["negative_mask"] = (np.arange(32) < present).reshape(16, 2)
            losses.append(case.value_and_gradient(inputs, chunk_size)[0][0])
        assert np.all(np.diff(losses) > 0)

    def test_all_images_see_each_negative(self, form, chunk_size):
        case, inputs = with_negatives(form)
        inputs |= {"logit_scale": np.float32(1), "logit_bias": np.float32(0)}
        none, one = np.zeros((2, 16, 2), bool)
        one[13, 1] = True
        _, before = case.value_and_gradient(inputs | {"negative_mask": none}, chunk_size)
        _, after = case.value_and_gradient(inputs | {"negative_mask": one}, chunk_size)
        assert np.all(np.abs(before["image"] - after["image"]).max(axis=1) > 1e-4)


@FORMS
def test_one_pair_is_finite_even_at_scale_100(form):
    inputs = form().make_inputs(1) | {"logit_scale": np.float32(100.0)}
    (loss, metrics), gradients = form().value_and_gradient(inputs)
    if form is SoftmaxCases:
        assert loss == 0.0
    assert np.all(np.isfinite([loss, *metrics.values()]))
    assert all(np.all(np.isfinite(gradient)) for gradient in gradients.values())
    assert metrics["image_to_text_accuracy"] == metrics["text_to_image_accuracy"] == 1.0


@FORMS
def test_common_rotation_does_not_matter(form):
    case, inputs = with_negatives(form)
    rotation, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(12, 12)))
    vectors = ("image", "text", "negatives")
    turned = inputs | {k: (inputs[k] @ rotation).astype(np.float32) for k in vectors}
    (loss, _), gradients = case.value_and_gradient(inputs)
    (turned_loss, _), turned_gradients = case.value_and_gradient(turned)
    np.testing.assert_allclose(turned_loss, loss, rtol=1e-5)
    for name in vectors:
        np.testing.assert_allclose(turned_gradients[name], gradients[name] @ rotation, atol=1e-5)


@FORMS
@settings(deadline=None, max_examples=50)
@given(
    seed=st.integers(0, 2**32 - 1),
    chunk_size=st.sampled_from([None, 6, 8]),
    share=st.floats(0, 1),
    noise=st.floats(0, 10),
    scale=st.floats(0, 100),
    bias=st.floats(-20, 20),
)
def test_any_batch_gives_the_oracles_value(form, seed, chunk_size, share, noise, scale, bias):
    """From random to perfectly aligned embeddings, with any share of the negatives there, and
    texts and pictures that recur.
    """
    case, inputs = with_negatives(form)
    rng = np.random.default_rng(seed)
    text = inputs["image"] + noise * rng.normal(size=inputs["image"].shape)
    inputs |= {
        "text": (text / np.linalg.norm(text, axis=1, keepdims=True)).astype(np.float32),
        "logit_scale": np.float32(scale),
        "logit_bias": np.float32(bias),
        "negative_mask": rng.random((16, 2)) < share,
        "ids": random_ids(rng, 16, 2),
        "negative_ids": random_ids(rng, 16, 2),
    }
    (loss, metrics), gradients = case.value_and_gradient(inputs, chunk_size)
    np.testing.assert_allclose(loss, form.oracle(inputs), rtol=5e-5, atol=1e-5)
    assert loss >= 0
    assert all(0 <= metrics[k] <= 1 for k in metrics if k.endswith("accuracy"))
    assert all(np.all(np.isfinite(gradient)) for gradient in gradients.values())


@FORMS
@pytest.mark.parametrize(
    "facts", [{"negative_mask": np.ones((2, 1), bool)}, {"negative_ids": np.ones((2, 1), np.int32)}]
)
def test_facts_about_negatives_without_negatives_are_an_error(form, facts):
    with pytest.raises(ValueError, match="without negatives"):
        form.loss(form().make_inputs(2) | facts)
