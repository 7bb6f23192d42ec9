"""Graphs side by side in one."""

import os.path
from pathlib import Path

import pytest

from kgclip_jax.data.graph_sources.edge_lists import EdgeLists
from kgclip_jax.data.graph_sources.joined_graphs import JoinedGraphs
from kgclip_jax.errors import DataError
from tests.data.graph_sources.graph_layouts import (
    DOG,
    edge_lists,
    entities_of,
    store,
    triples_of,
    visualsem,
)


def joined(folder, names):
    return JoinedGraphs(folder=str(folder), folders=names)


@pytest.fixture
def graphs(tmp_path):
    for name, write in (("lists", edge_lists), ("visual", visualsem)):
        (tmp_path / "files" / name).mkdir(parents=True)
        source = write(tmp_path / "files" / name)
        store(source, tmp_path / "graphs" / name)
    return tmp_path / "graphs"


def test_all_that_each_graph_holds_is_kept(graphs, tmp_path):
    graph = store(joined(graphs, "lists,visual"), tmp_path / "joined")
    assert graph.contents.triples == {"train": 3, "valid": 1, "test": 1}
    assert triples_of(graph, "valid") == {("lists/fox", "is a", "lists/animal")}
    assert graph.contents.relations == graph.contents.phrases == ("is a",)
    assert graph.contents.sources == ("lists", "visual")
    dog = entities_of(graph)[f"visual/{DOG}"]
    assert (dog["name"], dog["glosses"], dog["kind"]) == (
        "domestic dog",
        ["A barking animal."],
        "node",
    )
    (image,) = dog["images"]
    assert Path(graph.contents.pictures, image).is_file()
    assert not os.path.isabs(image)


def test_some_of_them_are_named(graphs, tmp_path):
    graph = store(joined(graphs, "visual"), tmp_path / "joined")
    assert graph.contents.triples == {"train": 1, "valid": 0, "test": 0}


def test_relations_of_one_graph_stay_apart_though_they_have_the_same_words(tmp_path):
    """Or what is held out would be in train."""
    (tmp_path / "pets").mkdir()
    (tmp_path / "pets" / "train.txt").write_text("dog\tisA\tpet\ndog\tsees\tpet\n")
    (tmp_path / "pets" / "test.txt").write_text("dog\tis_a\tpet\n")
    pets = store(EdgeLists(folder=str(tmp_path / "pets")), tmp_path / "graphs" / "pets")
    assert pets.contents.phrases == ("is a", "sees", "is a")
    graph = store(joined(tmp_path / "graphs", "pets"), tmp_path / "joined")
    assert graph.contents.relations == ("pets/isA", "sees", "pets/is_a")
    assert graph.contents.phrases == pets.contents.phrases
    assert triples_of(graph, "test").isdisjoint(triples_of(graph))


@pytest.mark.parametrize("folders", ["", "lists,lists", "lists,./lists", "../graphs/lists"])
def test_graphs_are_named_once(folders):
    with pytest.raises(ValueError, match="folders must name"):
        JoinedGraphs(folders=folders)


def test_what_is_no_graph_is_named(graphs):
    with pytest.raises(DataError, match=r"visuals/graph.json: not found"):
        joined(graphs, "visuals").files()
