"""Small knowledge graphs, written as folders."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from kgclip_jax.knowledge.graph.adjacency import Adjacency, packed
from kgclip_jax.knowledge.graph.entities import entity_rows
from kgclip_jax.knowledge.graph.graph_folder import Relations, write_graph
from kgclip_jax.knowledge.graph.knowledge_graph import KnowledgeGraph
from kgclip_jax.knowledge.graph.split_folder import EdgeList

Triple = tuple[str, str, str]

ANIMALS: Mapping[str, Sequence[Triple]] = {
    "train": [
        ("dog", "is a", "animal"),
        ("cat", "is a", "animal"),
        ("dog", "chases", "cat"),
        ("cat", "chases", "mouse"),
        ("mouse", "eats", "cheese"),
        ("cheese", "is a", "food"),
    ],
    "valid": [("mouse", "is a", "animal")],
    "test": [("dog", "eats", "food")],
}

ODD: Mapping[str, Sequence[Triple]] = {
    "train": [
        ("a", "is a", "b"),
        ("b", "is a", "c"),
        ("c", "is a", "a"),
        ("d", "is a", "a"),
        ("d", "likes", "d"),
        ("d", "likes", "e"),
        ("e", "likes", "d"),
        ("", "likes", "e"),
        ("e", "sees", "c"),
        ("e", "sees", "c"),
    ],
    "test": [
        ("a", "is a", "b"),  # known
        ("b", "likes", "a"),  # turned
        ("d", "is a", "e"),  # joined by another relation, and turned
        ("a", "likes", "z"),  # unseen
        ("a", "likes", "e"),
    ],
}


def edges_of(triples: Sequence[Triple], entities: Sequence[str], relations: Sequence[str]):
    rows = [(entities.index(h), relations.index(r), entities.index(t)) for h, r, t in triples]
    ids = np.array(rows, int).reshape(-1, 3)
    return EdgeList.of(*ids.T, weight=np.ones(len(ids)), source=np.zeros(len(ids), int))


def make_graph(folder: Path, splits: Mapping[str, Sequence[Triple]] = ANIMALS, **columns):
    """Write a graph; entities and relations are numbered by name."""
    everything = [triple for triples in splits.values() for triple in triples]
    entities = sorted({end for h, _, t in everything for end in (h, t)})
    relations = sorted({relation for _, relation, _ in everything})
    return write_graph(
        folder,
        entity_rows(entities, entities, **columns),
        Relations(relations, relations),
        {name: edges_of(triples, entities, relations) for name, triples in splits.items()},
        sources=["made up"],
        pictures=str(folder.parent),
        left_out={},
        settings={},
    )


class Indexed(NamedTuple):
    """Edges in memory, from both ends."""

    outgoing: Adjacency
    incoming: Adjacency


def indexed(edges: EdgeList, entities: int) -> Indexed:
    """Index edges, each once, by sorting them as tuples."""
    triples = sorted(set(zip(*(ids.tolist() for ids in edges[:3]), strict=True)))
    sides = []
    for rows in (triples, sorted(triple[::-1] for triple in triples)):
        node, relation, neighbour = np.array(rows, np.int64).reshape(-1, 3).T
        offsets = [sum(node < entity) for entity in range(entities + 1)]
        sides.append(Adjacency(np.array(offsets), packed(relation, neighbour)))
    return Indexed(*sides)


def triples_of(graph: KnowledgeGraph, split: str) -> set[Triple]:
    """Read a split back."""
    ids = graph.splits[split].triples(np.arange(len(graph.splits[split])))
    names = graph.names(ids.head), graph.names(ids.tail)
    return {
        (head, graph.contents.relations[relation], tail)
        for head, relation, tail in zip(names[0], ids.relation.tolist(), names[1], strict=True)
    }


def random_edges(seed: int, entities: int, relations: int, count: int) -> EdgeList:
    rng = np.random.default_rng(seed)
    head, tail = rng.integers(entities, size=(2, count))
    relation = rng.integers(relations, size=count)
    return EdgeList.of(head, relation, tail, np.ones(count), np.zeros(count, int))
