"""Filtered ranks of link prediction (Bordes et al., NeurIPS 2013), and what is told of them."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float64, Int32, Int64

from kgclip_jax.knowledge.graph.knowledge_graph import KnowledgeGraph, TripleIds

Scorer = Callable[[TripleIds, bool], Float[np.ndarray, "n entities"]]

HITS = (1, 3, 10)
_ROWS = 256


class Ranks(NamedTuple):
    """Where the true entities of some triples stand among all that are not true as well.

    Attributes:
        head: ranks from 1, of heads given relation and tail.
        tail: likewise.
        unseen: number of triples with an entity that no training triple has.
    """

    head: Float64[np.ndarray, " n"]
    tail: Float64[np.ndarray, " n"]
    unseen: int

    def metrics(self) -> dict[str, float]:
        """Return mean rank, mean reciprocal rank and shares of ranks up to 1, 3 and 10.

        Both ends count alike, and those of unseen entities too.
        """
        ranks = np.concatenate([self.head, self.tail])
        shares = {f"hits@{most}": float(np.mean(ranks <= most)) for most in HITS}
        return {
            "mean_rank": float(ranks.mean()),
            "mean_reciprocal_rank": float(np.mean(1 / ranks)),
            **shares,
        }


def filtered_ranks(graph: KnowledgeGraph, triples: TripleIds, score: Scorer) -> Ranks:
    """Rank the true head and tail of triples among all entities.

    Other entities that make a triple of any split are left out. Equal scores have their mean rank,
    so that a scorer which knows nothing gains nothing by it.

    Args:
        graph: knows what is true.
        triples: to be found again.
        score: returns a score of each entity as the tail of (head, relation), or with True as the
            head of (relation, tail); more is better, NaN is last.
    """
    heads, tails = [], []
    for start in range(0, len(triples.head), _ROWS):
        part = TripleIds(*(ids[start : start + _ROWS] for ids in triples))
        heads.append(_ranks(graph, part, score(part, True), of_head=True))
        tails.append(_ranks(graph, part, score(part, False), of_head=False))
    train = graph.splits["train"]
    seen = [
        train.outgoing.degrees(ids) + train.incoming.degrees(ids) > 0
        for ids in (triples.head, triples.tail)
    ]
    unseen = int(np.count_nonzero(~(seen[0] & seen[1])))
    return Ranks(np.concatenate(heads), np.concatenate(tails), unseen)


def _ranks(
    graph: KnowledgeGraph,
    triples: TripleIds,
    scores: Float[np.ndarray, "n entities"],
    *,
    of_head: bool,
) -> Float64[np.ndarray, " n"]:
    given, wanted = (triples.tail, triples.head) if of_head else (triples.head, triples.tail)
    scores = np.where(np.isnan(scores), -np.inf, scores)
    own = scores[np.arange(len(wanted)), wanted]
    above = np.count_nonzero(scores > own[:, None], axis=1)
    equal = np.count_nonzero(scores == own[:, None], axis=1)
    owner, others = _true(graph, given, triples.relation, of_head=of_head)
    another = others != wanted[owner]
    owner, others = owner[another], others[another]
    theirs = scores[owner, others]
    above -= np.bincount(owner[theirs > own[owner]], minlength=len(wanted))
    equal -= np.bincount(owner[theirs == own[owner]], minlength=len(wanted))
    return above + (equal + 1) / 2


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
