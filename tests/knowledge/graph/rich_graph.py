"""A small graph of all that a graph can hold."""

import numpy as np

from kgclip_jax.knowledge.graph.entities import entity_rows
from kgclip_jax.knowledge.graph.graph_folder import Relations, write_graph
from kgclip_jax.knowledge.graph.split_folder import EdgeList

KEYS = ["n1", "n2", "", "Zürich \u2028 'x'"]
TRIPLES = {
    "train": [(0, 1, 1, 0.1, 1), (0, 0, 1, 1e20, 0), (3, 0, 3, 0.0, 0)],
    "valid": [(0, 1, 1, 1.0, 1)],  # in train, too
    "test": [(1, 0, 2, 1e-9, 1)],
}


def edges_of(rows):
    *ids, weight, source = np.array(rows, float).T
    return EdgeList.of(*np.array(ids, int), weight, source.astype(int))


def make_rich_graph(folder, keys=KEYS, gloss="a living thing\twith a tab"):
    (folder / "images").mkdir(parents=True)
    for name in ("dog.jpg", "other.jpg"):
        (folder / "images" / name).write_bytes(b"never opened")
    return write_graph(
        folder / "graph",
        entity_rows(
            keys,
            ["dog", "", "thing", "city"],
            glosses=[[], [gloss, "another"], [], [""]],
            images=[["images/dog.jpg", "images/other.jpg"], [], [], ["images/dog.jpg"]],
            boxes=[(1, 2, 3, 4), None, None, None],
            kinds=["region", "synset", "entity", "region"],
        ),
        Relations(["is_a", "sees", "never"], ["is a kind of", "sees", "is never"]),
        {split: edges_of(rows) for split, rows in TRIPLES.items()},
        sources=["me", "http://somebody"],
        pictures=str(folder),
        left_out={},
        settings={},
    )


def facts_of(graph):
    """All triples by words: (head, relation, its words, tail, weight, source, split)."""
    keys, found = graph.entities["key"].to_pylist(), set()
    contents = graph.contents
    for name, split in graph.splits.items():
        rows = np.arange(len(split))
        for head, relation, tail, weight, source in zip(
            *split.triples(rows), split.weights.tolist(), split.sources, strict=True
        ):
            words = contents.relations[relation], contents.phrases[relation]
            origin = contents.sources[source]
            found.add((keys[head], *words, keys[tail], weight, origin, name))
    return found
