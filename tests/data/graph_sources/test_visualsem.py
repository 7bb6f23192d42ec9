"""VisualSem 2: main senses, glosses of a language, images that are there."""

import json

import pytest

from kgclip_jax.data.graph_sources.visualsem import STRAY_GLOSS
from kgclip_jax.data.skips import MISSING_IMAGE
from kgclip_jax.errors import DataError
from kgclip_jax.preparation.knowledge_graphs import UNKNOWN_ENTITY
from tests.data.graph_sources.graph_layouts import (
    ANIMAL,
    DOG,
    entities_of,
    names_of,
    store,
    triples_of,
    visualsem,
)

FILES = ("nodes.v2.json", "tuples.v2.json", "gloss_files/nodes.glosses.json")
IMAGE = "images/e5/e525636a309e03478d28abad5f77c8a9878a51f7.jpg"


def change(folder, file, edit):
    path = folder / file
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))


def test_nodes_have_names_glosses_and_images(tmp_path):
    graph = store(visualsem(tmp_path), tmp_path / "graph")
    found = entities_of(graph)
    assert {key: (row["name"], row["glosses"], row["images"]) for key, row in found.items()} == {
        DOG: ("domestic dog", ["A barking animal."], [IMAGE]),
        ANIMAL: ("animal", [], []),
    }
    assert graph.contents.phrases == ("is a",)
    assert triples_of(graph) == {(DOG, "is-a", ANIMAL)}


def test_glosses_may_be_of_another_language(tmp_path):
    found = entities_of(store(visualsem(tmp_path, language="de"), tmp_path / "graph"))
    assert found[ANIMAL]["glosses"] == ["Ein Lebewesen."]


@pytest.mark.parametrize(
    ("sense", "senses", "name"),
    [
        ("dog", [], "dog"),
        ("WIKI:EN:Ice_cream", [], "Ice cream"),
        ("ice_cream#n#1", ["x"], "ice cream"),
        ("C#", [], "C#"),
        ("", ["ice_cream", "x"], "ice cream"),
        ("", [], ""),
    ],
)
def test_names_are_main_senses(tmp_path, sense, senses, name):
    source = visualsem(tmp_path)
    change(tmp_path, FILES[0], lambda nodes: nodes[DOG].update(ms=sense, se=senses))
    assert names_of(store(source, tmp_path / "graph"))[DOG] == name


def test_missing_images_are_counted(tmp_path):
    source = visualsem(tmp_path)
    (tmp_path / IMAGE).unlink()
    with pytest.raises(DataError, match=rf"{MISSING_IMAGE}: 1 of 3, .*{IMAGE}"):
        store(source, tmp_path / "graph")
    graph = store(source, tmp_path / "graph", bad_share=0.5)
    assert entities_of(graph)[DOG]["images"] == []


def test_without_the_folder_of_images(tmp_path):
    source = visualsem(tmp_path)
    (tmp_path / "images").rename(tmp_path / "elsewhere")
    with pytest.raises(DataError, match=r"images: no such folder; .*--set=images=false"):
        store(source, tmp_path / "graph")
    graph = store(visualsem(tmp_path, images=False), tmp_path / "text")
    assert entities_of(graph)[DOG]["images"] == []
    assert graph.contents.left_out == {}


def test_what_leads_nowhere_is_counted(tmp_path):
    source = visualsem(tmp_path)
    change(tmp_path, FILES[1], lambda t: t[ANIMAL].append({"s": "bn:1n", "r": "is-a", "r_id": 1}))
    change(tmp_path, FILES[2], lambda glosses: glosses.append({"bn:2n": {"en": ["stray"]}}))
    with pytest.raises(DataError, match=rf"{STRAY_GLOSS}: 1 of 3, "):
        store(source, tmp_path / "graph")
    graph = store(source, tmp_path / "graph", bad_share=0.5)
    assert graph.contents.left_out == {STRAY_GLOSS: 1, UNKNOWN_ENTITY: 1}
    assert sorted(names_of(graph)) == sorted([DOG, ANIMAL])


@pytest.mark.parametrize(
    ("file", "edit", "message"),
    [
        (FILES[0], lambda nodes: nodes.update({DOG: []}), f"{DOG} is not an object"),
        (FILES[0], lambda nodes: nodes[DOG].update(ims={}), f"{DOG} has no 'ims' of type list"),
        (FILES[0], lambda nodes: nodes[DOG].update(ims=[7]), rf"{DOG}\.ims has 7, no name"),
        (FILES[1], lambda tuples: tuples.update({DOG: {}}), f"expected a list under '{DOG}'"),
        (FILES[1], lambda tuples: tuples[ANIMAL].append({"s": DOG}), rf"{ANIMAL}\[1\] has no 'r'"),
        (FILES[2], lambda glosses: glosses.append({DOG: []}), f"{DOG} is not an object"),
        (FILES[2], lambda glosses: glosses.append({DOG: {"en": "x"}}), rf"{DOG}\.en is not a list"),
    ],
)
def test_malformed_entries_are_named(tmp_path, file, edit, message):
    source = visualsem(tmp_path)
    change(tmp_path, file, edit)
    with pytest.raises(DataError, match=rf"{file}: .*{message}"):
        store(source, tmp_path / "graph")


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("content", ["", "{", "[1]", '{"a": "\\ud800"'])
def test_files_that_are_not_whole_are_named(tmp_path, file, content):
    source = visualsem(tmp_path)
    (tmp_path / file).write_text(content)
    with pytest.raises(DataError, match=file):
        store(source, tmp_path / "graph")
