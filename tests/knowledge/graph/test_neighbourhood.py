import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgclip_jax.knowledge.graph.neighbourhood import NeighbourhoodSampler
from tests.knowledge.graph.made_up_graphs import indexed, random_edges

ENTITIES, RELATIONS = 30, 3


def sampler_of(edges, *, fanout=100, hops=2, most=ENTITIES):
    incoming = indexed(edges, ENTITIES).incoming
    return NeighbourhoodSampler(incoming, fanout, hops, most)


def edges_in(found):
    """The sampled edges by names of entities."""
    rows, places = np.nonzero(found.mask)
    return {
        (
            int(found.entities[found.neighbours[row, place]]),
            int(found.relations[row, place]),
            int(found.entities[row]),
        )
        for row, place in zip(rows, places, strict=True)
    }


@given(st.integers(0, 2**32), st.integers(0, 80), st.integers(0, 3), st.integers(1, 4))
def test_with_room_for_all_it_is_all_that_lies_so_far_away(seed, count, hops, roots):
    edges = random_edges(seed, ENTITIES, RELATIONS, count)
    triples = set(
        zip(edges.head.tolist(), edges.relation.tolist(), edges.tail.tolist(), strict=True)
    )
    starts = np.random.default_rng(seed).integers(ENTITIES, size=roots)
    found = sampler_of(edges, hops=hops)(starts, seed) if hops else None
    if found is None:
        return
    reached, inner = set(starts.tolist()), set()
    for _ in range(hops):
        inner |= reached
        reached = reached | {h for h, _, t in triples if t in inner}
    assert set(found.entities[: found.present].tolist()) == reached
    assert set(found.entities[: found.roots].tolist()) == set(starts.tolist())
    assert edges_in(found) == {triple for triple in triples if triple[2] in inner}
    assert found.left_out == 0


def test_what_does_not_fit_is_left_out_with_its_edges():
    edges = random_edges(0, ENTITIES, RELATIONS, 200)
    roots = np.array([4, 9])
    whole = sampler_of(edges)(roots, 0)
    part = sampler_of(edges, most=8)(roots, 0)
    assert part.present == 8
    assert part.left_out > 0
    assert part.entities[:2].tolist() == roots.tolist()
    assert len(set(part.entities.tolist())) == 8
    kept = set(part.entities.tolist())
    assert edges_in(part) <= {(h, r, t) for h, r, t in edges_in(whole) if {h, t} <= kept}
    assert part.mask[:2].any(axis=1).all()


def test_who_does_not_fit_at_two_hops_is_left_out_once():
    edges = random_edges(0, 1, 1, 4)._replace(
        head=np.array([1, 2, 1, 2], np.int32), tail=np.array([0, 0, 2, 1], np.int32)
    )
    found = NeighbourhoodSampler(indexed(edges, 3).incoming, 4, 2, 2)(np.array([0]), 0)
    assert (found.present, found.left_out) == (2, 1)


def test_no_entity_is_left_out_more_often_than_others():
    """Not those of high numbers, as a plain cut would."""
    head = np.arange(1, 21)
    edges = random_edges(0, 1, 1, 20)._replace(
        head=head.astype(np.int32), tail=np.zeros(20, np.int32), relation=np.zeros(20, np.int32)
    )
    sampler = NeighbourhoodSampler(indexed(edges, 21).incoming, 20, 1, 6)
    kept = np.zeros(21)
    for step in range(2_000):
        kept[sampler(np.array([0]), 0, step).entities] += 1
    assert kept[0] == 2_000
    assert kept[1:] == pytest.approx(500, abs=100)


def test_roots_that_do_not_fit_are_an_error_and_doubles_count_once():
    edges = random_edges(0, ENTITIES, RELATIONS, 50)
    with pytest.raises(ValueError, match="3 roots do not fit into 2 entities"):
        sampler_of(edges, most=2)(np.array([1, 2, 3]), 0)
    assert sampler_of(edges, most=2)(np.array([1, 2, 1]), 0).roots == 2


def test_threads_and_copies_sample_the_same():
    edges = random_edges(0, ENTITIES, RELATIONS, 200)
    sampler = sampler_of(edges, fanout=3, most=20)
    roots = [np.random.default_rng(step).integers(ENTITIES, size=3) for step in range(64)]

    def sample(step):
        return sampler(roots[step], 0, step)

    alone = [sample(step) for step in range(64)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(sample, range(64)))
    copy = pickle.loads(pickle.dumps(sampler))
    for first, second, step in zip(alone, together, range(64), strict=True):
        third = copy(roots[step], 0, step)
        for one, two, three in zip(first, second, third, strict=True):
            assert np.array_equal(one, two)
            assert np.array_equal(one, three)
    assert not np.array_equal(
        sampler(roots[0], 0, 5).neighbours, sampler(roots[0], 0, 6).neighbours
    )
