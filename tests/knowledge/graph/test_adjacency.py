import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgclip_jax.knowledge.graph.adjacency import Adjacency, below
from kgclip_jax.random import bits_of
from tests.knowledge.graph.made_up_graphs import indexed, random_edges


def true_edges(edges):
    return set(zip(edges.head.tolist(), edges.relation.tolist(), edges.tail.tolist(), strict=True))


@given(st.integers(0, 2**32), st.integers(1, 12), st.integers(1, 4), st.integers(0, 60))
def test_it_contains_what_was_put_in_and_nothing_else(seed, entities, relations, count):
    edges = random_edges(seed, entities, relations, count)
    split = indexed(edges, entities)
    there = true_edges(edges)
    assert len(split.outgoing.edges) == len(split.incoming.edges) == len(there)
    asked = np.stack(np.meshgrid(*map(np.arange, (entities, relations, entities)))).reshape(3, -1)
    expected = [tuple(triple) in there for triple in asked.T.tolist()]
    assert split.outgoing.contains(*asked).tolist() == expected
    assert split.incoming.contains(*asked[::-1]).tolist() == expected


@given(st.integers(0, 2**32), st.integers(1, 12), st.integers(0, 80), st.integers(1, 6))
def test_a_sample_has_different_edges_and_all_of_a_node_of_few(seed, entities, count, fanout):
    edges = random_edges(seed, entities, 3, count)
    adjacency = indexed(edges, entities).incoming
    nodes = np.arange(entities)
    found = adjacency.sample(nodes, bits_of(nodes, fanout + 1, seed, "sample"))
    there = true_edges(edges)
    for node, degree in enumerate(adjacency.degrees(nodes).tolist()):
        mask = found.mask[node]
        drawn = list(
            zip(
                found.neighbours[node][mask].tolist(),
                found.relations[node][mask].tolist(),
                strict=True,
            )
        )
        assert len(drawn) == len(set(drawn)) == min(degree, fanout)
        assert {(head, relation, node) for head, relation in drawn} <= there


@pytest.mark.parametrize("degree", [5, 7, 9])
def test_each_edge_is_as_likely_as_any_other(degree):
    """Five of a degree that no five equal parts divide: part sizes must not show."""
    fanout, draws = 4, 20_000
    adjacency = Adjacency(np.array([0, degree]), np.arange(degree))
    nodes = np.zeros(draws, int)
    found = adjacency.sample(nodes, bits_of(np.arange(draws), fanout + 1, "fair"))
    counts = np.bincount(found.neighbours.ravel(), minlength=degree)
    expected = draws * fanout / degree
    deviation = np.sqrt(draws * fanout / degree * (1 - fanout / degree))
    assert np.abs(counts - expected).max() < 4 * deviation


def test_numbers_below_a_limit_are_uniform_and_reach_its_ends():
    limits = np.array([1, 2, 3, 2**31])
    bits = bits_of(np.arange(30_000), 4, "below")
    numbers = below(bits, limits)
    assert numbers[:, 0].max() == 0
    assert np.bincount(numbers[:, 2]) / 30_000 == pytest.approx([1 / 3] * 3, abs=0.01)
    assert numbers[:, 3].max() < 2**31
    assert numbers[:, 3].max() > 2**30
    assert below(bits[:, :1], np.array([0])).max() == 0
