"""How much of a text can be told again from its embedding."""

import itertools
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx

from kgclip_jax.data.lazy_pictures import EvaluationTransform
from kgclip_jax.data.reconstruction_sets import END, Copier, reconstruction_set
from kgclip_jax.evaluation import reconstruction
from kgclip_jax.evaluation.choice import another_of
from kgclip_jax.evaluation.reconstruction import (
    copy_loss,
    evaluate_reconstruction,
    tell,
    told_rows,
    whitened,
)
from kgclip_jax.evaluation.tasks import evaluate
from kgclip_jax.models.spec import Transformer
from kgclip_jax.models.text_autoencoder import Autoencoder, TextAutoencoder

COPIER = Copier(width=32, depth=1, vector=64, rows=32, steps=300, map_steps=200, learning_rate=1e-2)
# A step takes more texts than there are.
HASTY = Copier(width=32, depth=1, vector=8, rows=64, steps=20, map_steps=10, learning_rate=1e-2)
SHAPE = TextAutoencoder(Transformer(32, 1, 1, 128), vector=8, words=9, length=5)

THINGS = [
    " ".join(pair)
    for pair in itertools.product(["red", "blue", "grey", "pink"], ["dog", "cat", "owl"])
]
SENTENCES = [
    f"{one} {relation} {other}"
    for one, relation, other in itertools.product(THINGS, ["above", "below", "behind"], THINGS)
] + THINGS
WORDS = sorted({word for text in SENTENCES for word in text.split()})


def told_set(copier=COPIER, held_out=40, training=None):
    order = np.random.default_rng(0).permutation(len(SENTENCES))
    texts = [(int(n), SENTENCES[n]) for n in order]
    transform = EvaluationTransform(8)
    return reconstruction_set(
        "told", texts[held_out:][:training], texts[:held_out], transform, copier
    )


class Blind:
    def encode_image(self, images):
        raise AssertionError("there are no pictures")


class Places(Blind):
    """Keeps all of a text: which word stands in which place."""

    def encode_text(self, texts):
        rows = np.zeros((len(texts), 5, len(WORDS)), np.float32)
        for row, text in zip(rows, texts, strict=True):
            for place, word in enumerate(text.split()):
                row[place, WORDS.index(word)] = 1
        return rows.reshape(len(texts), -1)


class Bag(Places):
    """Knows the words, and not their order."""

    def encode_text(self, texts):
        return super().encode_text(texts).reshape(len(texts), 5, -1).sum(axis=1)


class Constant(Blind):
    def encode_text(self, texts):
        return np.full((len(texts), 6), 0.3, np.float32)


def by_metric(rows):
    return {(row.metric, row.blind): row for row in rows}


@pytest.fixture(scope="module")
def found():
    data = told_set()
    return {kind.__name__: by_metric(evaluate(kind(), [data])) for kind in (Places, Bag, Constant)}


def test_an_encoder_that_keeps_everything_comes_near_the_ceiling(found):
    rows = found["Places"]
    ceiling = rows["exact match, autoencoder", False]
    assert ceiling.value > 0.9
    assert rows["exact match", False].value >= ceiling.value - 0.1
    assert rows["exact match", True].value < 0.05
    assert rows["exact match", True].control == "the embedding of another text"
    for row in rows.values():
        assert (row.task, row.set_name, row.n) == ("reconstruction", "told", 40)
        assert row.low <= row.value <= row.high


def test_an_encoder_that_knows_no_order_tells_words_in_a_wrong_one(found):
    bag, places = found["Bag"], found["Places"]
    assert bag["exact match", False].value < places["exact match", False].value - 0.4
    assert bag["words in place", False].value > bag["words in place", True].value + 0.1


def test_a_constant_encoder_has_one_text_told(found):
    rows = found["Constant"]
    assert rows["exact match", False].value <= 1 / 40
    for metric in ("exact match", "words in place"):
        assert rows[metric, False].value <= rows[metric, False].chance + 1e-9
        assert rows[metric, True].value == rows[metric, False].value


def test_the_ceiling_does_not_depend_on_the_encoder(found):
    assert len({rows["words in place, autoencoder", False].value for rows in found.values()}) == 1


def test_the_loss_is_torch_s():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(4, 6, 9)).astype(np.float32)
    ids = rng.integers(1, 9, (4, 6)).astype(np.int32)
    ids[0, 3:] = ids[2, 1:] = 0
    flat = torch.tensor(logits).reshape(-1, 9), torch.tensor(ids, dtype=torch.long).reshape(-1)
    wanted = torch.nn.functional.cross_entropy(*flat, ignore_index=0)
    assert float(copy_loss(jnp.asarray(logits), jnp.asarray(ids))) == pytest.approx(
        float(wanted), rel=1e-5
    )


def likeliest(module, vectors):
    """Greedy decoding, text by text and word by word."""
    told = np.zeros((len(vectors), SHAPE.length), np.int32)
    logits_of = jax.jit(lambda vector, ids: module.decoder(vector, ids))
    for row, vector in zip(told, vectors, strict=True):
        for place in range(SHAPE.length):
            logits = np.array(logits_of(vector[None], row[None])[0, place])
            logits[0] = -np.inf
            row[place] = logits.argmax()
            if row[place] == END:
                break
    return told


def test_decoding_takes_the_likeliest_word_until_the_end():
    module = Autoencoder(SHAPE, rngs=nnx.Rngs(3))
    params = nnx.to_pure_dict(nnx.state(module.decoder, nnx.Param))
    vectors = 3 * np.random.default_rng(0).normal(size=(12, 8)).astype(np.float32)
    told = np.asarray(tell(SHAPE, params, jnp.asarray(vectors)))
    np.testing.assert_array_equal(told, likeliest(module, vectors))
    ended = (told == END).any(axis=1)
    assert 0 < ended.sum() < 12


def test_what_follows_is_not_seen_and_padding_changes_nothing():
    module = Autoencoder(SHAPE, rngs=nnx.Rngs(3))
    ids = jnp.array([[2, 3, 4, 1, 0]])
    later = jnp.array([[2, 3, 8, 7, 6]])
    vector = module.encoder(ids)
    one, other = (np.asarray(module.decoder(vector, each))[0] for each in (ids, later))
    np.testing.assert_allclose(one[:3], other[:3], atol=1e-5)
    assert np.abs(one[3] - other[3]).max() > 1e-3

    positions = np.array(module.encoder.positions[...])
    positions[4] += 5
    module.encoder.positions[...] = positions
    np.testing.assert_allclose(module.encoder(ids), vector, atol=1e-6)
    assert np.abs(np.asarray(module.encoder(later) - vector)).max() > 0.1


def test_rows_are_those_of_a_count_by_hand():
    texts = ["a dog", "a cat runs", "the dog", "a"]
    data = reconstruction_set(
        "told",
        [(0, "a the dog"), (1, "cat runs a")],
        [*zip([0, 0, 1, 2], texts, strict=True)],
        EvaluationTransform(8),
        HASTY,
    )
    told = data.held_out_ids.copy()
    told[1, :2] = told[1, 1::-1]  # "cat a runs"
    told[3, 1] = told[0, 1]  # "a dog": too much
    rows = by_metric(told_rows(data, told))
    assert rows["exact match", False].value == 2 / 4
    assert rows["words in place", False].value == pytest.approx((1 + 1 / 3 + 1 + 1) / 4)
    # Best constants: any one text; "a" (weights 1/2, 1/3 and 1), "dog" (twice 1/2), "runs" (1/3).
    assert rows["exact match", False].chance == 1 / 4
    chance = (1 / 2 + 1 / 3 + 1 + 2 / 2 + 1 / 3) / 4
    assert rows["words in place", False].chance == pytest.approx(chance)
    others = another_of(4)
    shown = [(told[others[n]] == data.held_out_ids[n]).all() for n in range(4)]
    assert rows["exact match", True].value == np.mean(shown)
    assert rows["exact match", False].outcomes.clusters.tolist() == [0, 0, 1, 2]


def test_whitening_gives_the_first_texts_unit_covariance():
    rng = np.random.default_rng(0)
    embeddings = (rng.normal(size=(300, 6)) @ rng.normal(size=(6, 6)) + 4).astype(np.float32)
    scaled = whitened(embeddings, 200).astype(np.float64)
    np.testing.assert_allclose(scaled[:200].mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(np.cov(scaled[:200].T, bias=True), np.eye(6), atol=1e-3)
    padded = np.concatenate([embeddings, embeddings[:, :1]], axis=1)  # of rank 6
    assert np.abs(whitened(padded, 200)).max() < 20
    assert np.isfinite(whitened(np.full((9, 3), 0.1, np.float32), 5)).all()


class TestTraining:
    @pytest.fixture(autouse=True)
    def trained(self, monkeypatch):
        """Which trainings there are."""
        reconstruction._autoencoder.cache_clear()
        trained, train = [], reconstruction._train

        def note(task, *arguments):
            trained.append(type(task).__name__)
            return train(task, *arguments)

        monkeypatch.setattr(reconstruction, "_train", note)
        return trained

    def outcomes(self, seed=0):
        rows = evaluate_reconstruction(Places(), told_set(replace(HASTY, seed=seed), training=50))
        return np.concatenate([row.outcomes.values for row in rows])

    def test_rows_are_a_function_of_the_seed(self):
        first = self.outcomes()
        reconstruction._autoencoder.cache_clear()
        np.testing.assert_array_equal(self.outcomes(), first)
        assert (self.outcomes(seed=1) != first).any()

    def test_an_autoencoder_is_trained_once_for_all_encoders(self, trained):
        with jax.transfer_guard("disallow"):  # as on the way of a training run
            for _ in range(2):
                self.outcomes()
        assert trained == ["_Copying", "_Mapping", "_Mapping"]
        self.outcomes(seed=1)
        assert trained[3:] == ["_Copying", "_Mapping"]
