import numpy as np
import pytest

from kgclip_jax.knowledge.graph.corruption import corrupted
from kgclip_jax.knowledge.graph.knowledge_graph import TripleIds
from kgclip_jax.random import bits_of
from tests.knowledge.graph.made_up_graphs import ANIMALS, make_graph


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    return make_graph(tmp_path_factory.mktemp("graph"))


def drawn(graph, count, *parts):
    split = graph.splits["train"]
    rows = np.arange(len(split))
    triples = split.triples(rows)
    return triples, corrupted(graph, triples, bits_of(rows, count, *parts))


def test_a_negative_is_false_in_all_splits(graph):
    triples, found = drawn(graph, 300, "negatives")
    head, relation, tail = (ids[:, None] for ids in triples)
    heads = np.where(found.of_head, found.entities, head)
    tails = np.where(found.of_head, tail, found.entities)
    relations = np.broadcast_to(relation, heads.shape)
    true = graph.contains(heads.ravel(), relations.ravel(), tails.ravel())
    assert found.mask.mean() > 0.98
    assert not true[found.mask.ravel()].any()


def test_all_that_is_false_is_drawn_as_often(graph):
    """The head of (dog, is a, animal) may be anything but dog, cat and, in valid, mouse."""
    names = graph.entities["name"].to_pylist()
    relation = graph.contents.relations.index("is a")
    triple = TripleIds(
        *(np.full(1, x, np.int32) for x in (names.index("dog"), relation, names.index("animal")))
    )
    found = corrupted(graph, triple, bits_of(np.zeros(1, int), 20_000, "even"))
    assert found.of_head.mean() == pytest.approx(0.5, abs=0.015)
    counts = np.bincount(found.entities[found.of_head], minlength=len(names))
    allowed = {"animal", "cheese", "food"}
    for name, count in zip(names, counts / counts.sum(), strict=True):
        assert count == pytest.approx(1 / 3 if name in allowed else 0, abs=0.015)


def test_where_nothing_is_false_there_is_no_negative(tmp_path):
    everything = [(h, "r", t) for h in "abc" for t in "abc"]
    _, found = drawn(make_graph(tmp_path, {"train": everything}), 5, "none")
    assert not found.mask.any()


def test_no_negatives_may_be_wanted(graph):
    _, found = drawn(graph, 0, "none")
    assert found.entities.shape == found.of_head.shape == found.mask.shape == (6, 0)


def test_the_given_numbers_are_left_alone(graph):
    triples, bits = graph.splits["train"].triples(np.arange(2)), bits_of(np.arange(2), 8, "mine")
    first, second = (corrupted(graph, triples, bits).entities for _ in range(2))
    assert np.array_equal(first, second)


def test_it_is_a_function_of_seed_and_row(graph):
    _, found = drawn(graph, 8, 0, "a")
    _, again = drawn(graph, 8, 0, "a")
    _, other = drawn(graph, 8, 1, "a")
    assert np.array_equal(found.entities, again.entities)
    assert not np.array_equal(found.entities, other.entities)
    split = graph.splits["train"]
    alone = corrupted(graph, split.triples(np.array([3])), bits_of(np.array([3]), 8, 0, "a"))
    assert np.array_equal(alone.entities[0], found.entities[3])
    assert len(ANIMALS["train"]) == len(found.entities)
