"""Distillation: contract, golden values, what it is at rest."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kgclip_jax.objectives.distillation import similarity_distillation
from tests.objectives.loss_contract import ChunkedLossContract, LossContract, unit_rows
from tests.objectives.pairs_of_rows import CAPTIONS

TEACHER = np.array([[0.32, 0.20, 0.11], [0.06, 0.27, 0.22], [0.10, 0.14, 0.33]], np.float32)
EYE = np.eye(3, dtype=np.float32)
SCALE = 20.0


@partial(jax.jit, static_argnames="chunk_size")
def distil(inputs, chunk_size=None):
    return similarity_distillation(**inputs, scale=SCALE, chunk_size=chunk_size)


def divergence(teacher, student):
    """Mean over rows, in float64."""
    log_p, log_q = (x - np.log(np.exp(x).sum(axis=1, keepdims=True)) for x in (teacher, student))
    return np.mean(np.sum(np.exp(log_p) * (log_p - log_q), axis=1))


class TestSimilarityDistillation(LossContract):
    loss = staticmethod(distil)
    test_chunks_give_the_dense_result = ChunkedLossContract.test_chunks_give_the_dense_result
    test_sharded_chunks_are_as_on_one_device = (
        ChunkedLossContract.test_sharded_chunks_are_as_on_one_device
    )
    test_ring_gives_the_dense_result = ChunkedLossContract.test_ring_gives_the_dense_result
    compiled = ChunkedLossContract.compiled
    temporary_bytes = ChunkedLossContract.temporary_bytes

    def make_inputs(self, batch, features=12):
        rng = np.random.default_rng(0)
        student = {name: unit_rows(rng, batch, features) for name in ("image", "text")}
        return student | {
            f"teacher_{name}": unit_rows(rng, batch, features // 2) for name in ("image", "text")
        }

    @staticmethod
    def oracle(inputs):
        image, text, teacher_image, teacher_text = (
            np.float64(inputs[name]) for name in ("image", "text", "teacher_image", "teacher_text")
        )
        student, teacher = SCALE * image @ text.T, SCALE * teacher_image @ teacher_text.T
        return (divergence(teacher, student) + divergence(teacher.T, student.T)) / 2

    def test_gradient_is_the_oracles(self):
        """That of the student: none reaches the teacher."""
        inputs = self.make_inputs(16)
        _, gradients = self.value_and_gradient(inputs)
        for name in ("teacher_image", "teacher_text"):
            assert not gradients[name].any()
        rng = np.random.default_rng(1)
        for name in ("image", "text"):
            wide = {key: value.astype(np.float64) for key, value in inputs.items()}
            step = 1e-5 * rng.normal(size=wide[name].shape)
            ahead = self.oracle(wide | {name: wide[name] + step})
            behind = self.oracle(wide | {name: wide[name] - step})
            change = np.sum(np.float64(gradients[name]) * step)
            assert change == pytest.approx((ahead - behind) / 2, rel=1e-4)

    def test_chunks_bound_the_memory(self):
        """Two matrices of logits, and texts of both models beside each other."""
        chunked = self.temporary_bytes(8192, 512)
        assert chunked <= 4 * 8192 * (16 * 512 + 8 * 512)
        assert chunked <= self.temporary_bytes(8192, 8192) / 6


@pytest.mark.parametrize("chunk_size", [None, 2])
def test_golden_values(chunk_size):
    arrays = map(jnp.asarray, (CAPTIONS, EYE, TEACHER, EYE))
    found = similarity_distillation(*arrays, 100.0, chunk_size=chunk_size)
    assert found.metrics["image_divergence"] == pytest.approx(2.637760, abs=5e-6)
    assert found.metrics["text_divergence"] == pytest.approx(1.665229, abs=5e-6)
    assert found.loss == pytest.approx(2.151495, abs=5e-6)


@pytest.mark.parametrize("chunk_size", [None, 5])
def test_a_student_like_its_teacher_stays(chunk_size):
    rng = np.random.default_rng(0)
    image, text = (jnp.asarray(unit_rows(rng, 16, 8)) for _ in range(2))

    def loss(image, text):
        return similarity_distillation(
            image, text, *map(jax.lax.stop_gradient, (image, text)), 100.0, chunk_size=chunk_size
        ).loss

    value, gradients = jax.value_and_grad(loss, argnums=(0, 1))(image, text)
    assert value == pytest.approx(0, abs=2e-6)
    assert max(float(jnp.abs(gradient).max()) for gradient in gradients) < 2e-5
