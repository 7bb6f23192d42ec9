"""To networkx and back: nothing is lost, and what users make themselves is read or refused."""

import networkx as nx
import numpy as np
import pandas
import pytest

from kgclip_jax.errors import DataError
from kgclip_jax.knowledge.graph.exchange_networkx import from_networkx, to_networkx
from tests.knowledge.graph.made_up_graphs import ANIMALS, make_graph, triples_of
from tests.knowledge.graph.rich_graph import facts_of, make_rich_graph


def test_there_and_back_it_is_the_same_to_the_last_bit(tmp_path):
    graph = make_rich_graph(tmp_path)
    again = from_networkx(to_networkx(graph), tmp_path / "again")
    assert again.contents.fingerprint == graph.contents.fingerprint
    assert again.contents.pictures == graph.contents.pictures
    assert facts_of(again) == facts_of(graph)
    assert again.entities.equals(graph.entities)


def test_networkx_finds_in_it_what_was_put_in(tmp_path):
    graph = to_networkx(make_graph(tmp_path))
    edges = {split: set() for split in ANIMALS}
    for head, tail, known in graph.edges(data=True):
        edges[known["split"]].add((head, known["relation"], tail))
    assert edges == {split: set(triples) for split, triples in ANIMALS.items()}
    assert nx.shortest_path(graph, "cat", "food") == ["cat", "mouse", "cheese", "food"]
    assert graph.nodes["dog"] == {
        "name": "dog",
        "glosses": [],
        "images": [],
        "box": None,
        "kind": "entity",
    }


def test_a_graph_of_bare_edges_is_enough(tmp_path):
    """Nodes may be of any kind; other attributes stay unread."""
    columns = {"source": [1], "target": ["two"], "relation": ["isPartOf"], "weight": [2]}
    frame = pandas.DataFrame(columns | {"colour": ["red"]})
    attributes = ["relation", "weight", "colour"]
    bare = nx.from_pandas_edgelist(frame, edge_attr=attributes, create_using=nx.MultiDiGraph)
    graph = from_networkx(bare, tmp_path)
    assert facts_of(graph) == {("1", "isPartOf", "is part of", "two", 2.0, "", "train")}
    assert graph.names(np.array([0, 1])) == ["1", "two"]
    assert triples_of(graph, "test") == set()


def one(**attributes):
    graph = nx.MultiDiGraph()
    graph.add_node("dog", **{key: attributes.pop(key) for key in NODE if key in attributes})
    graph.add_edge("dog", "cat", **({"relation": "sees"} | attributes))
    return graph


NODE = ("name", "glosses", "images", "box", "kind")


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda: one(relation=None), "edge 'dog' -> 'cat': relation must be a text, not None"),
        (lambda: one(split="dev"), "split must be one of train, valid, test, not 'dev'"),
        (lambda: one(weight="heavy"), "weight must be a number of at least 0, not 'heavy'"),
        (lambda: one(weight=float("nan")), "weight must be a number of at least 0, not nan"),
        (lambda: one(weight=-1), "weight must be a number of at least 0, not -1"),
        (lambda: one(source=1), "source must be a text, not 1"),
        (lambda: one(name=None), "node 'dog': name must be a text, not None"),
        (
            lambda: one(glosses="a text"),
            "node 'dog': glosses must be a list of texts, not 'a text'",
        ),
        (lambda: one(images=[1]), "images must be a list of files"),
        (lambda: one(box=(1, 2, 3)), "box must be left, top, width and height"),
        (lambda: nx.MultiGraph([("a", "b")]), "does not tell heads from tails"),
        (lambda: nx.MultiDiGraph(), "the graph is empty: there is no triple to train on"),
        (lambda: one(split="test"), "the graph is empty: there is no triple to train on"),
        (lambda: nx.MultiDiGraph([(1, "1")]), "two nodes are called '1' as text"),
    ],
)
def test_what_is_none_is_named(tmp_path, made, message):
    with pytest.raises(DataError) as refusal:
        from_networkx(made(), tmp_path)
    assert message in str(refusal.value)
