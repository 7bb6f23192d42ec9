"""Distances between a student's and a teacher's embeddings of texts."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kgclip_jax.batch import Features, TextBlock
from kgclip_jax.errors import ConfigError
from kgclip_jax.models.presets import preset
from kgclip_jax.objectives.objective import Context
from kgclip_jax.objectives.text_distillation import (
    TextDistillation,
    cosine_distance,
    relational_distance,
    squared_distance,
)
from tests.objectives.loss_contract import ChunkedLossContract, LossContract, unit_rows

RNG = np.random.default_rng(0)
STUDENT = jnp.asarray(unit_rows(RNG, 6, 4))
TEACHER = jnp.asarray(RNG.normal(size=(6, 5)), jnp.float32)
MAP = jnp.asarray(RNG.normal(size=(4, 5)), jnp.float32)
CONTEXT = Context(jnp.ones(()), None, 0)


def run(student, teacher, head=lambda x: x @ MAP, **settings):
    objective = TextDistillation(stream="words", **settings)
    rows = TextBlock(Features(student, None, None, student), {"teacher": teacher})
    heads = dict.fromkeys(objective.heads, head)
    return objective.loss(heads, objective.embed(heads, rows, {}, CONTEXT), CONTEXT).loss


def test_it_is_zero_where_the_map_leads_to_the_teacher():
    assert run(STUDENT, STUDENT @ MAP) == pytest.approx(0, abs=1e-10)
    assert run(STUDENT, 3 * STUDENT @ MAP, form="cosine") == pytest.approx(0, abs=1e-5)
    orthogonal, _ = np.linalg.qr(RNG.normal(size=(5, 5)))
    turned = 2 * STUDENT @ jnp.asarray(orthogonal[:4], jnp.float32)
    assert run(STUDENT, turned, form="relational", heads=()) == pytest.approx(0, abs=1e-6)


def test_it_is_quadratic_in_the_residual():
    mapped = STUDENT @ MAP
    once, twice = (run(STUDENT, mapped + factor * TEACHER) for factor in (1, 2))
    assert once == pytest.approx(float(jnp.square(TEACHER).sum(axis=1).mean()), rel=1e-5)
    assert twice == pytest.approx(4 * float(once), rel=1e-5)
    assert run(STUDENT, mapped + TEACHER, mean=True) == pytest.approx(float(once) / 5, rel=1e-5)


def test_no_gradient_reaches_the_teacher():
    def losses(student, teacher):
        mapped = student @ MAP
        return (
            squared_distance(mapped, teacher).sum()
            + cosine_distance(mapped, teacher).sum()
            + relational_distance(student, teacher)
        )

    of_student, of_teacher = jax.grad(losses, argnums=(0, 1))(STUDENT, TEACHER)
    assert of_student.any()
    assert not of_teacher.any()


def test_a_table_in_half_precision_is_compared_in_full():
    exact = run(STUDENT, TEACHER.astype(jnp.float16).astype(jnp.float32))
    assert run(STUDENT, TEACHER.astype(jnp.float16)) == exact


def test_a_lone_text_has_no_relations():
    assert relational_distance(STUDENT[:1], TEACHER[:1]) == pytest.approx(0, abs=1e-6)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ConfigError, match=r"heads\.teacher_map\.width must be 5: that of the"):
        run(STUDENT, TEACHER, head=lambda x: x)
    with pytest.raises(ConfigError, match=r"stream 'words' has no table 'llama'"):
        run(STUDENT, TEACHER, table="llama")
    for settings in ({"form": "relational"}, {"heads": ()}, {"heads": ("one", "two")}):
        with pytest.raises(ValueError, match=r"heads: form '\w+' takes [01]"):
            TextDistillation(**settings).check(preset("tiny"), {})


@partial(jax.jit, static_argnames="chunk_size")
def relate(inputs, chunk_size=None):
    return relational_distance(**inputs, chunk_size=chunk_size), {}


class TestRelational(LossContract):
    loss = staticmethod(relate)
    test_chunks_give_the_dense_result = ChunkedLossContract.test_chunks_give_the_dense_result
    test_sharded_chunks_are_as_on_one_device = (
        ChunkedLossContract.test_sharded_chunks_are_as_on_one_device
    )
    test_ring_gives_the_dense_result = ChunkedLossContract.test_ring_gives_the_dense_result
    compiled = ChunkedLossContract.compiled
    temporary_bytes = ChunkedLossContract.temporary_bytes

    def make_inputs(self, batch, features=12):
        rng = np.random.default_rng(0)
        return {
            "student": unit_rows(rng, batch, features),
            "teacher": unit_rows(rng, batch, features // 2),
        }

    @staticmethod
    def oracle(inputs):
        student, teacher = (np.float64(inputs[name]) for name in ("student", "teacher"))
        student, teacher = (
            x / np.linalg.norm(x, axis=1, keepdims=True) for x in (student, teacher)
        )
        difference = student @ student.T - teacher @ teacher.T
        n = len(student)
        return np.square(difference).sum() / max(n * (n - 1), 1)

    def test_gradient_is_the_oracles(self):
        """That of the student: none reaches the teacher."""
        inputs = self.make_inputs(16)
        _, gradients = self.value_and_gradient(inputs)
        wide = {key: value.astype(np.float64) for key, value in inputs.items()}
        step = 1e-5 * np.random.default_rng(1).normal(size=wide["student"].shape)
        ahead = self.oracle(wide | {"student": wide["student"] + step})
        behind = self.oracle(wide | {"student": wide["student"] - step})
        change = np.sum(np.float64(gradients["student"]) * step)
        assert change == pytest.approx((ahead - behind) / 2, rel=1e-4)
        assert not gradients["teacher"].any()

    def test_chunks_bound_the_memory(self):
        """Two matrices of cosines, and texts of both models beside each other."""
        chunked = self.temporary_bytes(8192, 512)
        assert chunked <= 4 * 8192 * (8 * 512 + 8 * 512)
        assert chunked <= self.temporary_bytes(8192, 8192) / 3
