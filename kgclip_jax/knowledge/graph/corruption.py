"""Negative triples: one end replaced, and never one that is true in any split."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int32, UInt64

from kgclip_jax.knowledge.graph.adjacency import below
from kgclip_jax.knowledge.graph.knowledge_graph import KnowledgeGraph, TripleIds
from kgclip_jax.random import hashed

TRIES = 8  # a hub may be the head of most true triples of a relation


class Corruptions(NamedTuple):
    """k wrong ends for each of n triples."""

    entities: Int32[np.ndarray, "n k"]
    of_head: Bool[np.ndarray, "n k"]  # it takes the head's place; False: the tail's
    mask: Bool[np.ndarray, "n k"]  # False: none was found, and the entity means nothing


def corrupted(
    graph: KnowledgeGraph, triples: TripleIds, bits: UInt64[np.ndarray, "n k"]
) -> Corruptions:
    """Replace the head or the tail of triples by any other entity, each end half of the time.

    An entity that makes a triple of any split is drawn again; after TRIES draws the negative is
    absent. Unfiltered ones teach a model that true triples are wrong, above all the test's.

    Args:
        graph: knows what is true.
        triples: of it.
        bits: uniform random numbers.
    """
    shape = bits.shape
    head, relation, tail = (np.repeat(ids, shape[1]) for ids in triples)
    bits = bits.flatten()  # a copy, which is drawn from again
    of_head = bits >> np.uint64(63) == 1
    entities = np.zeros(len(bits), np.int32)
    waiting = np.arange(len(bits))
    for _ in range(TRIES):
        bits[waiting] = hashed(bits[waiting])
        drawn = below(bits[waiting], np.array(len(graph))).astype(np.int32)
        entities[waiting] = drawn
        replaces_head = of_head[waiting]
        true = graph.contains(
            np.where(replaces_head, drawn, head[waiting]),
            relation[waiting],
            np.where(replaces_head, tail[waiting], drawn),
        )
        waiting = waiting[true]
        if not waiting.size:
            break
    mask = np.ones(len(bits), bool)
    mask[waiting] = False
    return Corruptions(entities.reshape(shape), of_head.reshape(shape), mask.reshape(shape))
