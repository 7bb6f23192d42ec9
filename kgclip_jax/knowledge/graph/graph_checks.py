"""What is worth knowing of a knowledge graph before a model learns it: sizes, and what is odd."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int32
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components

from kgclip_jax.knowledge.graph.adjacency import Adjacency, unpacked
from kgclip_jax.knowledge.graph.graph_folder import entity_views
from kgclip_jax.knowledge.graph.knowledge_graph import KnowledgeGraph, Split, TripleIds

IS_ABOVE = frozenset(("is a", "hypernym", "is a kind of", "is an instance of"))  # phrases

_EDGES = 2**21  # that are looked at together


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
    """Go once through a graph. Memory holds some millions of edges, and all those of IS_ABOVE."""
    views = entity_views(graph.entities)
    train, contents = graph.splits["train"], graph.contents
    alone = np.diff(train.outgoing.offsets) + np.diff(train.incoming.offsets) == 0
    above = [place for place, phrase in enumerate(contents.phrases) if phrase in IS_ABOVE]
    counts, loops = np.zeros(len(contents.relations), np.int64), 0
    links = [np.zeros((2, 0), np.int32)]
    for part in _parts(train):
        counts += np.bincount(part.relation, minlength=len(counts))
        loops += int(np.count_nonzero(part.head == part.tail))
        links.append(np.stack([part.head, part.tail])[:, np.isin(part.relation, above)])
    return GraphChecks(
        entities=len(graph),
        with_text=int(views["text"].sum()),
        with_images=int(views["image"].sum()),
        without_view=int(np.count_nonzero(~(views["text"] | views["image"]))),
        alone=int(alone.sum()),
        triples={
            contents.relations[place]: int(counts[place])
            for place in np.argsort(-counts, kind="stable").tolist()
        },
        loops=loops,
        in_cycles=_in_cycles(np.concatenate(links, axis=1), len(graph)),
        held_out={
            name: _check_held_out(train, split, alone)
            for name, split in graph.splits.items()
            if name != "train" and len(split)
        },
    )


def _parts(split: Split) -> Iterator[TripleIds]:
    for start in range(0, len(split), _EDGES):
        yield split.triples(np.arange(start, min(start + _EDGES, len(split))))


def _in_cycles(links: Int32[np.ndarray, "2 links"], entities: int) -> int:
    """Count entities that links lead from back to themselves, over others."""
    heads, tails = links
    matrix = csr_matrix((np.ones(len(heads), np.int8), (heads, tails)), (entities, entities))
    _, component = connected_components(matrix, connection="strong")
    sizes = np.bincount(component)
    return int(np.sum(sizes[sizes > 1]))


def _check_held_out(
    train: Split, split: Split, alone: Bool[np.ndarray, " entities"]
) -> HeldOutChecks:
    sums = np.zeros(4, np.int64)
    for part in _parts(split):
        known = train.outgoing.contains(*part)
        found = (
            known,
            _joins(train, part.tail, part.head),
            _joins(train, part.head, part.tail) & ~known,
            alone[part.head] | alone[part.tail],
        )
        sums += [np.count_nonzero(which) for which in found]
    return HeldOutChecks(len(split), *sums.tolist())


def _joins(
    train: Split, heads: Int32[np.ndarray, " n"], tails: Int32[np.ndarray, " n"]
) -> Bool[np.ndarray, " n"]:
    """Tell which pairs are joined by any relation: edges of the end with fewer are looked at."""
    from_head = train.outgoing.degrees(heads) <= train.incoming.degrees(tails)
    found = np.zeros(len(heads), bool)
    for side, rows, near, far in (
        (train.outgoing, np.flatnonzero(from_head), heads, tails),
        (train.incoming, np.flatnonzero(~from_head), tails, heads),
    ):
        ends = np.cumsum(side.degrees(near[rows]))
        for some in np.split(rows, np.flatnonzero(np.diff(ends // _EDGES)) + 1):
            found[some] = _leads_to(side, near[some], far[some])
    return found


def _leads_to(
    side: Adjacency, near: Int32[np.ndarray, " n"], far: Int32[np.ndarray, " n"]
) -> Bool[np.ndarray, " n"]:
    degrees = side.degrees(near)
    owner = np.repeat(np.arange(len(near)), degrees)
    first = np.cumsum(degrees) - degrees
    _, met = unpacked(side.edges[np.arange(len(owner)) + (side.offsets[near] - first)[owner]])
    found = np.zeros(len(near), bool)
    found[owner[met == far[owner]]] = True
    return found
