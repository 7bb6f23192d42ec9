"""Losses of triples on made-up readings: golden values, who is compared, what is absent."""

from dataclasses import replace
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kgclip_jax.batch import TripletBlock
from kgclip_jax.errors import ConfigError
from kgclip_jax.models.fusion import Fused
from kgclip_jax.models.presets import preset
from kgclip_jax.objectives.objective import Context
from kgclip_jax.objectives.triplets import Triplets
from kgclip_jax.schema import parse
from tests.objectives.pairs_of_rows import CAPTIONS

RELATIONS = 4
BOTH = Triplets()
CONTEXT = Context(
    jnp.asarray(1.0), None, 0, constants={"relations": np.zeros(RELATIONS, np.float32)}
)


class MadeUpFusion:
    """Reads back what it is told; remembers what was said to be present."""

    settings = SimpleNamespace(relations=RELATIONS)
    scale = jnp.asarray(1 / 0.07)

    def __init__(self, query, answer, logits):
        self.query, self.answer, self.logits = query, answer, logits

    def __call__(self, head, relation, tail, present, seeds):
        self.present = [np.asarray(reading) for reading in present]
        return [Fused(x, self.logits) for x in (self.query, self.answer, self.answer)]


def block(ids, asks_head=None):
    ids = np.array(ids, np.int32)
    asks = np.zeros(len(ids), bool) if asks_head is None else np.array(asks_head)
    seeds = jnp.zeros((len(ids), 2), jnp.uint32)
    return TripletBlock(None, None, None, jnp.asarray(ids), jnp.asarray(asks), seeds)


def run(fusion, *blocks, objective=BOTH, context=CONTEXT):
    heads = {"fusion": fusion}
    rows = {str(number): block for number, block in enumerate(blocks)}
    return objective.loss(heads, objective.embed(heads, rows, {}, context), context)


def golden(logits=None):
    """Queries are unit vectors, so that answers are columns of cosines."""
    logits = jnp.zeros((3, RELATIONS)) if logits is None else logits
    return MadeUpFusion(jnp.eye(3), jnp.asarray(CAPTIONS.T), logits)


DIFFERENT = block([[0, 0, 1], [2, 1, 3], [4, 0, 5]])


def cross_entropy(logits, candidates):
    """Mean over rows, each among those it is compared with."""
    return np.mean(
        [
            np.log(np.exp(logits[i, list(among)]).sum()) - logits[i, i]
            for i, among in enumerate(candidates)
        ]
    )


def test_golden_values():
    found = run(golden(), DIFFERENT)
    assert found.metrics["e2e"] == pytest.approx(0.609394, abs=2e-6)
    assert found.metrics["e2r"] == pytest.approx(np.log(RELATIONS), rel=1e-6)
    assert found.loss == pytest.approx(0.609394 + np.log(RELATIONS), abs=4e-6)
    weighed = Triplets(entity_weight=0.5, relation_weight=2.0)
    assert run(golden(), DIFFERENT, objective=weighed).loss == pytest.approx(
        0.5 * 0.609394 + 2 * np.log(RELATIONS), abs=4e-6
    )
    one = MadeUpFusion(jnp.eye(1, 3), jnp.asarray(CAPTIONS.T[:1]), jnp.zeros((1, RELATIONS)))
    assert run(one, block([[0, 0, 1]])).metrics["e2e"] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("rows", "equal"),
    [
        ([[0, 0, 1], [2, 1, 1], [4, 0, 5]], {(0, 1)}),  # one answer
        ([[0, 0, 1], [0, 0, 3], [4, 0, 5]], {(0, 1)}),  # one question
        ([[0, 0, 1], [0, 1, 3], [4, 0, 5]], set()),  # of one entity, another one
        ([[0, 0, 1], [2, 1, 3], [0, 0, 3]], {(0, 2), (1, 2)}),
    ],
)
def test_those_of_one_question_or_answer_are_no_negatives(rows, equal):
    found = run(golden(), block(rows))
    logits = CAPTIONS / 0.07
    among = [{j for j in range(3) if not {(i, j), (j, i)} & equal} for i in range(3)]
    expected = (cross_entropy(logits, among) + cross_entropy(logits.T, among)) / 2
    assert found.metrics["e2e"] == pytest.approx(expected, rel=1e-5)
    assert found.metrics["equal_pairs"] == pytest.approx(2 * len(equal) / 6)


def test_which_end_is_asked_for_decides_what_is_present_and_what_is_equal():
    rows = [[0, 0, 1], [2, 0, 1], [0, 0, 3]]
    fusion = golden()
    found = run(fusion, block(rows, [True, True, False]))
    query, answer, rest = fusion.present
    assert query.tolist() == [[False, True, True]] * 2 + [[True, True, False]]
    assert answer.tolist() == [[True, False, False]] * 2 + [[False, False, True]]
    assert rest.tolist() == [[True, False, True]] * 3
    # The first two ask for a head of the same; of the third the question is another one.
    assert found.metrics["equal_pairs"] == pytest.approx(2 / 6)


def test_relations_are_told_by_cross_entropy():
    logits = np.random.default_rng(0).normal(size=(3, RELATIONS)).astype(np.float32)
    found = run(golden(jnp.asarray(logits)), DIFFERENT)
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    assert found.metrics["e2r"] == pytest.approx(-log_p[[0, 1, 2], [0, 1, 0]].mean(), rel=1e-5)
    right = (logits.argmax(axis=1) == [0, 1, 0]).mean()
    assert found.metrics["relation_accuracy"] == pytest.approx(right)


def test_blocks_are_compared_with_each_other():
    """Two blocks of three rows are six rows."""
    assert run(golden(), DIFFERENT, DIFFERENT).metrics["equal_pairs"] == pytest.approx(6 / 30)


def test_chunks_bound_the_memory():
    """As those of the contrastive loss: at most eight chunks of logits and three copies."""
    rows, chunk, features = 4096, 256, 64
    heads = {"fusion": SimpleNamespace(scale=MadeUpFusion.scale)}

    def temporary_bytes(chunk_size):
        def loss(query, answer, ids, alone):
            vectors = {"query": query, "answer": answer, "ids": ids}
            vectors |= {"relation_loss": alone, "relation_found": alone}
            return Triplets(chunk_size=chunk_size).loss(heads, vectors, CONTEXT).loss

        shapes = [((rows, features), "float32")] * 2 + [((rows, 2), "int32"), ((rows,), "float32")]
        arguments = [jax.ShapeDtypeStruct(*shape) for shape in shapes]
        compiled = jax.jit(jax.grad(loss, (0, 1))).lower(*arguments).compile()
        return compiled.memory_analysis().temp_size_in_bytes

    chunked = temporary_bytes(chunk)
    assert chunked <= 4 * rows * (8 * chunk + 3 * features)
    assert chunked <= temporary_bytes(rows) / 8


def test_a_head_for_another_graph_is_refused():
    context = CONTEXT._replace(constants={"relations": np.zeros(9, np.float32)})
    with pytest.raises(ConfigError, match=r"config\.heads\.fusion\.relations must be 9"):
        run(golden(), DIFFERENT, context=context)


@pytest.mark.parametrize(
    ("objective", "said"),
    [
        (Triplets(entity_weight=0.0, relation_weight=0.0), "both weights are 0"),
        (Triplets(heads=("a", "b")), "expected the name of one fusion"),
    ],
)
def test_settings_that_make_no_sense_are_refused(objective, said):
    with pytest.raises(ValueError, match=said):
        objective.check(preset("tiny"), {})


def test_it_is_read_from_a_config():
    values = {"heads": ["f"], "entity_weight": 0.0, "chunk_size": 8}
    assert parse(Triplets, values) == replace(
        Triplets(), heads=("f",), entity_weight=0.0, chunk_size=8
    )
