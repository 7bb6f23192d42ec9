"""What is worth knowing of a knowledge graph before a model learns it: sizes, and what is odd."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int32
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components

from kgclip_jax.knowledge.graph.adjacency import unpacked
from kgclip_jax.knowledge.graph.graph_folder import entity_views
from kgclip_jax.knowledge.graph.knowledge_graph import KnowledgeGraph, Split, TripleIds

IS_ABOVE = frozenset(("is a", "hypernym", "is a kind of", "is an instance of"))  # phrases


@dataclass(frozen=True)
class HeldOutChecks:
    """What training gives away of the triples of another split.

    Attributes:
        triples: their number.
        known: those that are in training too.
        turned: those whose ends training joins the other way round: a model of symmetric relations
            knows these without having learned anything (Toutanova and Chen 2015; WN18, FB15k).
        joined: those whose ends training joins in their own direction by another relation.
        unseen: those with an entity that no training triple has.
    """

    triples: int
    known: int
    turned: int
    joined: int
    unseen: int


@dataclass(frozen=True)
class GraphChecks:
    """What there is in a graph.

    Attributes:
        entities: their number.
        with_text: those with a name or a gloss.
        with_images: those with an image.
        without_view: those with neither; only a table of entities can learn them.
        alone: those without a triple to train on.
        triples: number of those to train on, by relation, the most frequent first.
        loops: training triples that join an entity with itself.
        in_cycles: entities that relations of IS_ABOVE lead from back to themselves.
        held_out: of valid and test.
    """

    entities: int
    with_text: int
    with_images: int
    without_view: int
    alone: int
    triples: Mapping[str, int]
    loops: int
    in_cycles: int
    held_out: Mapping[str, HeldOutChecks]


def check_graph(graph: KnowledgeGraph) -> GraphChecks:
    """Go once through a graph."""
    views = entity_views(graph.entities)
    train = graph.splits["train"]
    relations, tails = unpacked(train.outgoing.edges)
    counts = np.bincount(relations, minlength=len(graph.contents.relations))
    alone = _degrees(train) == 0
    return GraphChecks(
        entities=len(graph),
        with_text=int(views["text"].sum()),
        with_images=int(views["image"].sum()),
        without_view=int(np.count_nonzero(~(views["text"] | views["image"]))),
        alone=int(alone.sum()),
        triples={
            graph.contents.relations[place]: int(counts[place])
            for place in np.argsort(-counts, kind="stable").tolist()
        },
        loops=int(np.count_nonzero(train.heads == tails)),
        in_cycles=_in_cycles(graph, relations, tails),
        held_out={
            name: _check_held_out(train, split.triples(np.arange(len(split))), alone)
            for name, split in graph.splits.items()
            if name != "train" and len(split)
        },
    )


def _degrees(split: Split) -> np.ndarray:
    return np.diff(split.outgoing.offsets) + np.diff(split.incoming.offsets)


def _in_cycles(
    graph: KnowledgeGraph,
    relations: Int32[np.ndarray, " triples"],
    tails: Int32[np.ndarray, " triples"],
) -> int:
    """Count entities that is-a relations lead from back to themselves, over others."""
    places = [place for place, phrase in enumerate(graph.contents.phrases) if phrase in IS_ABOVE]
    above = np.isin(relations, places)
    heads, tails = graph.splits["train"].heads[above], tails[above]
    size = len(graph)
    links = csr_matrix((np.ones(len(heads), np.int8), (heads, tails)), (size, size))
    _, component = connected_components(links, connection="strong")
    return int(np.sum(sizes[sizes > 1])) if len(sizes := np.bincount(component)) else 0


def _check_held_out(
    train: Split, triples: TripleIds, alone: Bool[np.ndarray, " entities"]
) -> HeldOutChecks:
    known = train.outgoing.contains(*triples)
    return HeldOutChecks(
        triples=len(known),
        known=int(known.sum()),
        turned=int(_joins(train, triples.tail, triples.head).sum()),
        joined=int((_joins(train, triples.head, triples.tail) & ~known).sum()),
        unseen=int((alone[triples.head] | alone[triples.tail]).sum()),
    )


def _joins(
    train: Split, heads: Int32[np.ndarray, " n"], tails: Int32[np.ndarray, " n"]
) -> Bool[np.ndarray, " n"]:
    """Tell which pairs are joined by any relation: a triple has few ends, so all are looked at."""
    degrees = train.outgoing.degrees(heads)
    owner = np.repeat(np.arange(len(heads)), degrees)
    first = np.cumsum(degrees) - degrees
    places = np.arange(len(owner)) + (train.outgoing.offsets[heads] - first)[owner]
    _, met = unpacked(train.outgoing.edges[places])
    found = np.zeros(len(heads), bool)
    found[owner[met == tails[owner]]] = True
    return found
