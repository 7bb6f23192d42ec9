"""Small knowledge graphs, written as folders."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from kgclip_jax.knowledge.graph.entities import entity_rows
from kgclip_jax.knowledge.graph.graph_folder import EdgeList, Relations, write_graph
from kgclip_jax.knowledge.graph.knowledge_graph import KnowledgeGraph

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
