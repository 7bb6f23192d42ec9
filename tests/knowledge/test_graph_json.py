"""Graphs as JSON: what comes back, and what is refused by name."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kgclip_jax.errors import DataError
from kgclip_jax.knowledge.graph_json import graph_from_json, graph_to_json
from kgclip_jax.knowledge.scene_graph import SceneGraph, SceneObject
from tests.knowledge.made_up_graphs import graphs


@given(graphs() | st.just(SceneGraph(())))
@example(SceneGraph((SceneObject("\0"),)))
def test_json_gives_the_same_graph_back(graph):
    text = json.dumps(graph_to_json(graph))
    assert graph_from_json(json.loads(text), "here") == graph


DOG = ["dog", [0, 3], []]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (3, "has lists of objects and of relations"),
        ({"objects": []}, "has lists of objects and of relations"),
        ({"objects": [["dog"]], "relations": []}, r"an object must be .*, not \['dog'\]"),
        ({"objects": [["dog", None, ["x"]]], "relations": []}, "an attribute must be .*, not 'x'"),
        ({"objects": [["dog", [3, 1], []]], "relations": []}, r"a span must be .*, not \[3, 1\]"),
        ({"objects": [["dog", [3, 3], []]], "relations": []}, r"a span must be .*, not \[3, 3\]"),
        ({"objects": [["dog", "0", []]], "relations": []}, "a span must be .*, not '0'"),
        ({"objects": [DOG], "relations": [[0, "on"]]}, "a relation must be "),
        ({"objects": [DOG], "relations": [[0, "on", 1, None]]}, "leads to none of the 1 objects"),
        ({"objects": [DOG], "relations": [[-1, "on", 0, None]]}, "leads to none of the 1 objects"),
    ],
)
def test_malformed_graphs_are_refused_by_name(value, message):
    with pytest.raises(DataError, match=f"file, record 7: .*{message}"):
        graph_from_json(value, "file, record 7")
