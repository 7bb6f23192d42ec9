"""Knowledge graphs from and to networkx, with all that is known of entities and triples.

A node is an entity; a directed edge with the attribute `relation` is a triple:

    graph = networkx.MultiDiGraph(phrases={"is_a": "is a"}, pictures="photographs")
    graph.add_node("dog", name="dog", glosses=["a barking animal"], images=["dog.jpg"])
    graph.add_edge("dog", "animal", relation="is_a", weight=2.0, source="me", split="train")

Only `relation` has to be there: a node's name is the node, a triple is for training and weighs 1,
and a relation is told in its own words.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np

from kgclip_jax.errors import DataError
from kgclip_jax.knowledge.graph.entities import Box, entity_rows
from kgclip_jax.knowledge.graph.graph_folder import Relations, write_graph
from kgclip_jax.knowledge.graph.knowledge_graph import SPLITS, KnowledgeGraph
from kgclip_jax.knowledge.graph.relation_words import words_of_camel_case
from kgclip_jax.knowledge.graph.split_folder import EdgeList

Attributes = Mapping[str, Any]


def to_networkx(graph: KnowledgeGraph) -> nx.MultiDiGraph:
    """Return a copy in memory: `from_networkx` makes an equal graph of it.

    Nodes are the keys of entities, with the attributes name, glosses, images, box and kind; edges
    have relation, weight, source and split; the graph has phrases, by relation, and pictures, the
    folder that images are paths from.
    """
    contents = graph.contents
    phrases = dict(zip(contents.relations, contents.phrases, strict=True))
    found = nx.MultiDiGraph(phrases=phrases, pictures=contents.pictures)
    rows = graph.entities.to_pylist()
    keys = [row.pop("key") for row in rows]
    found.add_nodes_from(zip(keys, rows, strict=True))
    for name, split in graph.splits.items():
        ids = split.triples(np.arange(len(split)))
        columns = [*ids, split.weights, split.sources]
        for head, relation, tail, weight, source in zip(
            *(x.tolist() for x in columns), strict=True
        ):
            found.add_edge(
                keys[head],
                keys[tail],
                relation=contents.relations[relation],
                weight=weight,
                source=contents.sources[source],
                split=name,
            )
    return found


def from_networkx(graph: nx.Graph, folder: Path) -> KnowledgeGraph:
    """Write a graph into a folder and open it; attributes are those of `to_networkx`.

    Args:
        graph: directed; a `MultiDiGraph` has room for many relations between two entities. What it
            has of other attributes stays unread.
        folder: new, or one that has held a graph.

    Raises:
        DataError: the graph has no directions or no triple to train on, two nodes have one name, or
            an attribute is missing or not of its type; the message names the node or edge.
        UserError: the disk refuses.
    """
    if not graph.is_directed():
        raise DataError("an undirected graph does not tell heads from tails; make a MultiDiGraph")
    keys = [str(node) for node in graph]
    numbers = {node: number for number, node in enumerate(graph)}
    if len(set(keys)) < len(keys):
        ((twice, _),) = Counter(keys).most_common(1)
        raise DataError(f"two nodes are called {twice!r} as text")
    nodes = [
        _checked(f"node {key!r}", _NODE, {"name": key} | attributes)
        for key, attributes in zip(keys, graph.nodes.values(), strict=True)
    ]
    phrases = graph.graph.get("phrases", {})
    relations: dict[str, int] = {name: number for number, name in enumerate(phrases)}
    sources: dict[str, int] = {}
    triples: dict[str, list[tuple[int, int, int, float, int]]] = {split: [] for split in SPLITS}
    for head, tail, attributes in graph.edges(data=True):
        edge = _checked(f"edge {head!r} -> {tail!r}", _EDGE, attributes)
        relation = relations.setdefault(edge["relation"], len(relations))
        source = sources.setdefault(edge["source"], len(sources))
        ids = numbers[head], relation, numbers[tail]
        triples[edge["split"]].append((*ids, float(edge["weight"]), source))
    return write_graph(
        folder,
        entity_rows(
            keys,
            [node["name"] for node in nodes],
            glosses=[node["glosses"] for node in nodes],
            images=[node["images"] for node in nodes],
            boxes=[_box(node["box"]) for node in nodes],
            kinds=[node["kind"] for node in nodes],
        ),
        Relations(
            list(relations), [phrases.get(name, words_of_camel_case(name)) for name in relations]
        ),
        {split: _edges(rows) for split, rows in triples.items()},
        sources=list(sources),
        pictures=str(graph.graph.get("pictures", ".")),
        left_out={},
        settings={"source": {"kind": "networkx"}},
    )


def _box(sides: Sequence[int] | None) -> Box | None:
    if sides is None:
        return None
    left, top, width, height = map(int, sides)
    return left, top, width, height


def _edges(rows: list[tuple[int, int, int, float, int]]) -> EdgeList:
    *ids, weight, source = np.array(rows, np.float64).reshape(-1, 5).T
    head, relation, tail = (column.astype(np.int64) for column in ids)
    return EdgeList.of(head, relation, tail, weight, source.astype(np.int64))


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _are_texts(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(map(_is_text, value))


def _is_box(value: Any) -> bool:
    return value is None or (
        isinstance(value, list | tuple)
        and len(value) == 4
        and all(isinstance(side, int | np.integer) for side in value)
    )


def _is_weight(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and 0 <= float(value) < math.inf


# What may be missing, what it must be, and that in words.
_Field = tuple[Any, Callable[[Any], bool], str]
_NODE: Mapping[str, _Field] = {
    "name": (None, _is_text, "a text"),
    "glosses": ((), _are_texts, "a list of texts"),
    "images": ((), _are_texts, "a list of files"),
    "box": (None, _is_box, "left, top, width and height"),
    "kind": ("entity", _is_text, "a text"),
}
_EDGE: Mapping[str, _Field] = {
    "relation": (None, _is_text, "a text"),
    "weight": (1.0, _is_weight, "a number of at least 0"),
    "source": ("", _is_text, "a text"),
    "split": ("train", SPLITS.__contains__, f"one of {', '.join(SPLITS)}"),
}


def _checked(what: str, fields: Mapping[str, _Field], attributes: Attributes) -> dict[str, Any]:
    """Return the attributes that are read; raise DataError where one is something else."""
    found = {}
    for name, (default, holds, words) in fields.items():
        found[name] = attributes.get(name, default)
        if not holds(found[name]):
            raise DataError(f"{what}: {name} must be {words}, not {found[name]!r}")
    return found
