"""Filtered ranks of link prediction (Bordes et al., NeurIPS 2013)."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float64, Int, Int32, Int64

from kgclip_jax.knowledge.graph.knowledge_graph import KnowledgeGraph, TripleIds

Scorer = Callable[[TripleIds, bool], Float[np.ndarray, "n entities"]]

_ROWS, _SCORES = 256, 2**26  # at once, at most


class Ranks(NamedTuple):
    """Where the true entities of some triples stand among all that are not true as well.

    Attributes:
        ranks: from 1.
        candidates: how many entities each was ranked among, itself included.
    """

    ranks: Float64[np.ndarray, " n"]
    candidates: Int64[np.ndarray, " n"]


_NONE = Ranks(np.zeros(0), np.zeros(0, np.int64))


def filtered_ranks(
    graph: KnowledgeGraph, triples: TripleIds, score: Scorer, *, of_head: bool
) -> Ranks:
    """Rank the true heads, or tails, of triples among all entities.

    Other entities that make a triple of any split are left out. Equal scores have their mean rank,
    so that a scorer which knows nothing gains nothing by it.

    Args:
        graph: knows what is true.
        triples: to be found again.
        score: returns a score of each entity as the tail of (head, relation), or with True as the
            head of (relation, tail); more is better, NaN is last, -inf is no candidate.
        of_head: rank heads.
    """
    found = [_NONE]
    rows = max(1, min(_ROWS, _SCORES // len(graph)))
    for start in range(0, len(triples.head), rows):
        part = TripleIds(*(ids[start : start + rows] for ids in triples))
        found.append(_ranks(graph, part, score(part, of_head), of_head=of_head))
    return _joined(found)


def filtered_relation_ranks(
    graph: KnowledgeGraph, triples: TripleIds, scores: Float[np.ndarray, "n relations"]
) -> Ranks:
    """Rank the true relation of each triple among those that are not true as well.

    Args:
        graph: knows what is true.
        triples: to be found again.
        scores: of each relation between head and tail; more is better, NaN is last.
    """
    found = [_NONE]
    count = scores.shape[1]
    every, rows = np.arange(count), max(1, _SCORES // count)
    for start in range(0, len(scores), rows):
        head, relation, tail = (ids[start : start + rows] for ids in triples)
        ends = np.repeat(head, count), np.tile(every, len(head)), np.repeat(tail, count)
        true = graph.contains(*ends).reshape(-1, count)
        found.append(ranks_among(scores[start : start + rows], relation, true))
    return _joined(found)


def _joined(parts: Sequence[Ranks]) -> Ranks:
    return Ranks(*map(np.concatenate, zip(*parts, strict=True)))


def unseen(graph: KnowledgeGraph, triples: TripleIds) -> Bool[np.ndarray, " n"]:
    """Tell which triples have an entity that no training triple has."""
    train = graph.splits["train"]
    head, tail = (
        train.outgoing.degrees(ids) + train.incoming.degrees(ids) > 0
        for ids in (triples.head, triples.tail)
    )
    return ~(head & tail)


def _ranks(
    graph: KnowledgeGraph,
    triples: TripleIds,
    scores: Float[np.ndarray, "n entities"],
    *,
    of_head: bool,
) -> Ranks:
    given, wanted = (triples.tail, triples.head) if of_head else (triples.head, triples.tail)
    true = np.zeros(scores.shape, bool)
    true[_true(graph, given, triples.relation, of_head=of_head)] = True
    return ranks_among(scores, wanted, true)


def ranks_among(
    scores: Float[np.ndarray, "n candidates"],
    wanted: Int[np.ndarray, " n"],
    true: Bool[np.ndarray, "n candidates"],
) -> Ranks:
    """Rank one of the candidates of each row among those that are not true as well.

    Args:
        scores: more is better, NaN is last, -inf is no candidate.
        wanted: what is ranked.
        true: which candidates are left out, but for the wanted one.
    """
    own_place = np.arange(len(wanted)), wanted
    scores = np.where(np.isnan(scores), np.finfo(scores.dtype).min, scores)
    own = scores[own_place]
    scores[true] = -np.inf
    scores[own_place] = own
    above = np.count_nonzero(scores > own[:, None], axis=1)
    equal = np.count_nonzero(scores == own[:, None], axis=1)
    return Ranks(above + (equal + 1) / 2, np.count_nonzero(scores > -np.inf, axis=1))


def _true(
    graph: KnowledgeGraph,
    given: Int32[np.ndarray, " n"],
    relation: Int32[np.ndarray, " n"],
    *,
    of_head: bool,
) -> tuple[Int64[np.ndarray, " _"], Int64[np.ndarray, " _"]]:
    """Return all rows and entities that make a triple of any split, each once."""
    sides = [split.incoming if of_head else split.outgoing for split in graph.splits.values()]
    found = [side.by_relation(given, relation) for side in sides]
    places = np.concatenate([part.owner * len(graph) + part.neighbours for part in found])
    return np.divmod(np.unique(places), len(graph))
