"""Regions of Visual Genome: boxes in pixels of their pictures, frequent predicates."""

import json

import pytest

from kgclip_jax.data.graph_sources.graph_source import (
    LONE_REGION,
    RARE_PREDICATE,
    SMALL_END,
    SMALL_REGION,
)
from kgclip_jax.data.graph_sources.picture_regions import NO_BOX, PictureRegions
from kgclip_jax.data.readers.visual_genome_graphs import MISSING_OBJECT, NAMELESS, NO_PREDICATE
from kgclip_jax.data.skips import EMPTY_BOX, MISSING_IMAGE
from kgclip_jax.errors import DataError
from tests.data.graph_sources.graph_layouts import (
    entities_of,
    picture_regions,
    region,
    relationship,
    store,
    triples_of,
)


def written(folder, objects, relationships, **settings):
    """The usual two pictures, the second with these objects and relations."""
    source = picture_regions(folder, **settings)
    path = folder / "scene_graphs.json"
    first, second = json.loads(path.read_text())
    second |= {"objects": objects, "relationships": relationships}
    path.write_text(json.dumps([first, second]))
    return source


MAN, HAT = region(5, "man", 10, 10, 40, 80), region(6, "hat", 10, 0, 33, 32)


def test_boxes_are_pixels_of_the_picture(tmp_path):
    found = entities_of(store(picture_regions(tmp_path), tmp_path / "graph"))
    assert {key: (row["name"], row["images"], row["box"]) for key, row in found.items()} == {
        "1/8": ("tree", ["VG_100K_2/1.jpg"], [0, 0, 50, 60]),
        "1/9": ("hill", ["VG_100K_2/1.jpg"], [0, 40, 200, 60]),
        "2/5": ("man", ["VG_100K_2/2.jpg"], [10, 10, 40, 80]),
        "2/6": ("hat", ["VG_100K_2/2.jpg"], [10, 0, 33, 32]),
    }
    assert {row["kind"] for row in found.values()} == {"region"}


@pytest.mark.parametrize("name", ["relationships.json", "scene_graphs.json"])
def test_files_of_either_kind(tmp_path, name):
    source = picture_regions(tmp_path)
    if name == "relationships.json":
        whole = tmp_path / "scene_graphs.json"
        pictures = json.loads(whole.read_text())
        whole.unlink()
        for picture in pictures:
            things = {thing["object_id"]: thing for thing in picture.pop("objects")}
            picture["attributes"] = [*things.values()]
            for link in picture["relationships"]:
                link["subject"] = things[link.pop("subject_id")]
                link["object"] = things[link.pop("object_id")]
        (tmp_path / name).write_text(json.dumps(pictures))
        (tmp_path / "attributes.json").write_text(json.dumps(pictures))
    assert name in source.files()
    graph = store(source, tmp_path / "graph")
    assert triples_of(graph) == {("1/8", "on", "1/9"), ("2/5", "wears", "2/6")}
    assert len(graph) == 4


@pytest.mark.parametrize(
    ("objects", "links", "reasons"),
    [
        ([MAN, HAT | {"w": 31}], [(5, "has", 6)], {SMALL_REGION: 1, SMALL_END: 1, LONE_REGION: 1}),
        ([MAN, HAT | {"x": 180}], [(5, "has", 6)], {SMALL_REGION: 1, SMALL_END: 1, LONE_REGION: 1}),
        ([MAN, HAT | {"x": 200}], [(5, "has", 6)], {EMPTY_BOX: 1, SMALL_END: 1, LONE_REGION: 1}),
        ([MAN, HAT | {"names": [" "]}], [(5, "has", 6)],
         {NAMELESS: 1, SMALL_END: 1, LONE_REGION: 1}),
        ([MAN, {"object_id": 6, "names": ["hat"]}], [(5, "has", 6)],
         {NO_BOX: 1, SMALL_END: 1, LONE_REGION: 1}),
        ([MAN, HAT], [(5, "has", 7)], {MISSING_OBJECT: 1, LONE_REGION: 2}),
        ([MAN, HAT], [(5, " ", 6)], {NO_PREDICATE: 1, LONE_REGION: 2}),
        ([MAN, HAT, HAT], [(5, "has", 6)], {}),
        ([], [], {}),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_counted(tmp_path, objects, links, reasons):
    source = written(tmp_path, objects, [relationship(*link) for link in links])
    graph = store(source, tmp_path / "graph", bad_share=0.5)
    assert graph.contents.left_out == reasons
    assert ("1/8", "on", "1/9") in triples_of(graph)


def test_faults_of_the_files_have_a_limit(tmp_path):
    source = written(tmp_path, [MAN, HAT], [relationship(5, "has", 7)])
    with pytest.raises(DataError, match=rf"{MISSING_OBJECT}: 1 of 2, .*2/5-7"):
        store(source, tmp_path / "graph", bad_share=0.1)


def test_small_is_a_setting(tmp_path):
    graph = store(picture_regions(tmp_path, least_side=40), tmp_path / "graph")
    assert sorted(entities_of(graph)) == ["1/8", "1/9"]


@pytest.mark.parametrize(
    ("most", "kept"), [(1, {"on"}), (2, {"on", "near"}), (0, {"on", "near", "has"})]
)
def test_frequent_predicates_stay(tmp_path, most, kept):
    links = [(5, "ON", 6), (5, "near", 6), (6, "Near ", 5), (6, "on", 5), (5, "has", 6)]
    source = written(
        tmp_path, [MAN, HAT], [relationship(*link) for link in links], most_predicates=most
    )
    graph = store(source, tmp_path / "graph")
    assert set(graph.contents.relations) == kept
    rare = {0: 0, 1: 3, 2: 1}[most]
    assert graph.contents.left_out.get(RARE_PREDICATE, 0) == rare


def test_a_missing_picture_is_counted(tmp_path):
    source = picture_regions(tmp_path)
    (tmp_path / "VG_100K_2" / "2.jpg").unlink()
    with pytest.raises(DataError, match=rf"{MISSING_IMAGE}: 1 of 3, .*VG_100K_2/2\.jpg"):
        store(source, tmp_path / "graph")
    assert len(store(source, tmp_path / "graph", bad_share=0.5)) == 2


def test_a_picture_that_is_not_listed_is_named(tmp_path):
    source = picture_regions(tmp_path)
    path = tmp_path / "image_data.json"
    path.write_text(json.dumps(json.loads(path.read_text())[:1]))
    with pytest.raises(DataError, match=r"the picture 2 is not in image_data\.json"):
        store(source, tmp_path / "graph")


@pytest.mark.parametrize("box", [{"x": "1"}, {"h": None}])
def test_a_malformed_box_is_named(tmp_path, box):
    source = written(tmp_path, [MAN, HAT | box], [])
    (key,) = box
    with pytest.raises(DataError, match=rf"json: \[1\]\.objects\[1\] has no '{key}' of type int"):
        store(source, tmp_path / "graph")


def test_the_files_are_not_read_again_for_blocks_that_are_there(tmp_path, monkeypatch):
    """Counting predicates takes a pass over the largest file."""
    source = PictureRegions(folder=picture_regions(tmp_path).folder)
    assert len(list(source.triples())) == 1
    assert "_predicates" not in vars(source)
