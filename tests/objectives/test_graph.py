"""The graph-entity loss: contract, who takes part."""

from functools import partial

import jax
import numpy as np
import pytest

from kgclip_jax.objectives.graph import graph_entity
from tests.objectives.loss_contract import ChunkedLossContract, LossContract, unit_rows


@partial(jax.jit, static_argnames="chunk_size")
def loss_of(inputs, chunk_size=None):
    return graph_entity(**inputs, chunk_size=chunk_size)


class TestGraphEntity(LossContract):
    loss = staticmethod(loss_of)
    test_chunks_give_the_dense_result = ChunkedLossContract.test_chunks_give_the_dense_result
    test_ring_gives_the_dense_result = ChunkedLossContract.test_ring_gives_the_dense_result
    compiled = ChunkedLossContract.compiled
    temporary_bytes = ChunkedLossContract.temporary_bytes
    logits_per_pair = 1
    test_chunks_bound_the_memory = ChunkedLossContract.test_chunks_bound_the_memory

    def make_inputs(self, batch, features=12):
        rng = np.random.default_rng(0)
        return {
            "entity": unit_rows(rng, batch, features),
            "spread": unit_rows(rng, batch, features),
            "present": np.arange(batch) % 3 != 1,
            "scale": np.float32(1 / 0.07),
        }

    @staticmethod
    def oracle(inputs):
        there = np.flatnonzero(inputs["present"])
        entity, spread = (np.float64(inputs[name])[there] for name in ("entity", "spread"))
        logits = np.float64(inputs["scale"]) * entity @ spread.T
        return np.mean(np.log(np.exp(logits).sum(axis=1)) - np.diag(logits))


def test_who_is_absent_changes_nothing():
    inputs = TestGraphEntity().make_inputs(12)
    found = loss_of(inputs)
    spread, entity = inputs["spread"].copy(), inputs["entity"].copy()
    spread[~inputs["present"]] = entity[~inputs["present"]] = 7
    assert loss_of(inputs | {"spread": spread, "entity": entity}).loss == pytest.approx(
        float(found.loss), rel=1e-6
    )
    assert found.metrics["entities"] == 8


def test_nobody_is_no_loss():
    inputs = TestGraphEntity().make_inputs(6)
    found = loss_of(inputs | {"present": np.zeros(6, bool)})
    assert found.loss == 0
    assert found.metrics["accuracy"] == 0
