"""Filtered ranks against a plain loop, and what they are for scorers that know nothing."""

import numpy as np
import pytest

from kgclip_jax.knowledge.graph.knowledge_graph import TripleIds
from kgclip_jax.knowledge.graph.link_ranks import filtered_ranks, unseen
from tests.knowledge.graph.made_up_graphs import ANIMALS, edges_of, make_graph, triples_of


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    rng = np.random.default_rng(0)
    names = [f"e{number}" for number in range(15)]
    rows = [
        (names[h], f"r{r}", names[t])
        for h, r, t in {tuple(row) for row in rng.integers([15, 2, 15], size=(120, 3)).tolist()}
    ]
    splits = {"train": rows[:70], "valid": rows[70:80], "test": [*rows[80:], rows[0]]}
    return make_graph(tmp_path_factory.mktemp("graph"), splits)


def asked(graph):
    split = graph.splits["test"]
    return split.triples(np.arange(len(split)))


def scorer(graph, seed=0, levels=4):
    """Scores with many ties."""
    table = np.random.default_rng(seed).integers(levels, size=(2, len(graph), 2, len(graph)))

    def score(triples, of_head):
        given = triples.tail if of_head else triples.head
        return table[int(of_head), given, triples.relation].astype(np.float32)

    return score


def loop(graph, triples, score):
    """Ranks one by one, in sets of names of numbers."""
    true = set()
    names, relations = graph.entities["name"].to_pylist(), list(graph.contents.relations)
    for split in graph.splits:
        ids = edges_of(sorted(triples_of(graph, split)), names, relations)
        true |= set(zip(*(x.tolist() for x in ids[:3]), strict=True))
    ranks = {True: [], False: []}
    for of_head in ranks:
        scores = score(triples, of_head)
        for row, (h, r, t) in enumerate(zip(*(x.tolist() for x in triples), strict=True)):
            wanted = h if of_head else t
            others = [
                e
                for e in range(len(graph))
                if e != wanted and ((e, r, t) if of_head else (h, r, e)) not in true
            ]
            own = scores[row, wanted]
            above = sum(scores[row, e] > own for e in others)
            equal = sum(scores[row, e] == own for e in others)
            ranks[of_head].append(1 + above + equal / 2)
    return ranks


ENDS = pytest.mark.parametrize("of_head", [True, False])


@ENDS
def test_ranks_are_those_of_a_plain_loop(graph, of_head):
    triples, score = asked(graph), scorer(graph)
    found = filtered_ranks(graph, triples, score, of_head=of_head)
    assert found.ranks.tolist() == loop(graph, triples, score)[of_head]


@ENDS
def test_a_constant_scorer_ranks_in_the_middle_of_the_candidates(graph, of_head):
    def score(some, _):
        return np.zeros((len(some.head), 15))

    triples = asked(graph)
    found = filtered_ranks(graph, triples, score, of_head=of_head)
    assert found.ranks.tolist() == loop(graph, triples, score)[of_head]
    assert found.ranks.tolist() == ((found.candidates + 1) / 2).tolist()


@ENDS
def test_without_other_true_entities_all_are_candidates(tmp_path, of_head):
    graph = make_graph(tmp_path, {"train": [("a", "r", "b"), ("c", "r", "d")]})
    one = TripleIds(*(np.array([x], np.int32) for x in (0, 0, 1)))
    found = filtered_ranks(graph, one, lambda some, _: np.zeros((1, 4)), of_head=of_head)
    assert (found.ranks.tolist(), found.candidates.tolist()) == ([(4 + 1) / 2], [4])


@ENDS
def test_a_perfect_scorer_is_first_and_what_has_no_score_is_no_candidate(graph, of_head):
    triples = asked(graph)

    def perfect(some, of_head):
        scores = np.full((len(some.head), 15), -np.inf)
        scores[np.arange(len(some.head)), some.head if of_head else some.tail] = 1
        return scores

    found = filtered_ranks(graph, triples, perfect, of_head=of_head)
    assert {*found.ranks.tolist()} == {*found.candidates.tolist()} == {1}


@ENDS
def test_the_true_entity_without_a_score_is_last(graph, of_head):
    triples = asked(graph)

    def broken(some, of_head):
        scores = np.ones((len(some.head), 15))
        scores[np.arange(len(some.head)), some.head if of_head else some.tail] = np.nan
        return scores

    found = filtered_ranks(graph, triples, broken, of_head=of_head)
    assert found.ranks.tolist() == found.candidates.tolist()


@ENDS
def test_a_scorer_that_broke_down_ranks_in_the_middle(graph, of_head):
    def broken(some, _):
        return np.full((len(some.head), 15), np.nan)

    found = filtered_ranks(graph, asked(graph), broken, of_head=of_head)
    assert found.ranks.tolist() == ((found.candidates + 1) / 2).tolist()


def test_triples_of_entities_that_training_never_saw_are_told(tmp_path):
    graph = make_graph(
        tmp_path, ANIMALS | {"test": [("dog", "eats", "food"), ("cat", "eats", "bone")]}
    )
    triples = asked(graph)
    bones = [graph.names(ids)[0] == "bone" for ids in triples.tail[:, None]]
    assert unseen(graph, triples).tolist() == bones
