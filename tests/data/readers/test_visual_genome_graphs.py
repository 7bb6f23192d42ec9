import json

import pytest

from kgclip_jax.data.readers.visual_genome_graphs import visual_genome_graphs
from kgclip_jax.data.skips import Skips
from kgclip_jax.errors import DataError
from kgclip_jax.knowledge.scene_graph import Attribute, Relation, SceneGraph, SceneObject

BOX = {"x": 1, "y": 2, "w": 3, "h": 4}
TREE = {"object_id": 8, "names": ["Tree", "plant"], "attributes": ["Green ", "tall", "green"]} | BOX
HILL = {"object_id": 9, "name": " small  hill", "synsets": ["hill.n.01"]} | BOX
ON = {"relationship_id": 1, "predicate": " ON", "subject_id": 8, "object_id": 9}

GRAPH = SceneGraph(
    (
        SceneObject("tree", (Attribute("green"), Attribute("tall"))),
        SceneObject("small hill"),
    ),
    (Relation(0, "on", 1),),
)


def write(folder, *entries, file="scene_graphs.json"):
    (folder / file).write_text(json.dumps(entries))
    return folder


def picture(things=(TREE, HILL), links=(ON,), identity=1):
    return {"image_id": identity, "objects": list(things), "relationships": list(links)}


def test_names_are_lower_case_and_attributes_come_once(tmp_path):
    old = {"id": 2, "objects": [HILL], "relationships": []}
    write(tmp_path, picture(), old)
    assert list(visual_genome_graphs(tmp_path, Skips())) == [
        (1, GRAPH),
        (2, SceneGraph((SceneObject("small hill"),))),
    ]


def test_an_object_that_comes_twice_is_one(tmp_path):
    again = {"object_id": 9, "names": ["mound"], "attributes": ["wet"]}
    write(tmp_path, picture((TREE, HILL, again)))
    ((_, graph),) = visual_genome_graphs(tmp_path, Skips())
    assert graph.objects[1:] == (SceneObject("small hill", (Attribute("wet"),)),)


def related(identity, *links):
    return {"image_id": identity, "relationships": list(links)}


LINK = {
    "relationship_id": 1,
    "predicate": "ON",
    "subject": {"object_id": 8, "name": "tree"},
    "object": {"object_id": 9, "names": ["small hill"]},
}


@pytest.mark.parametrize("order", [[1, 2, 3], [3, 1, 2], [2, 3, 1]])
def test_two_files_are_joined_in_any_order(tmp_path, order):
    cat = {"object_id": 5, "names": ["cat"]}
    write(tmp_path, related(1, LINK), related(2), related(4), file="relationships.json")
    described = {
        1: {"image_id": 1, "attributes": [TREE]},
        2: {"image_id": 2, "attributes": [cat]},
        3: {"image_id": 3, "attributes": [HILL]},
    }
    write(tmp_path, *[described[number] for number in order], file="attributes.json")
    graphs = dict(visual_genome_graphs(tmp_path, Skips()))
    assert graphs == {
        1: GRAPH,
        2: SceneGraph((SceneObject("cat"),)),
        3: SceneGraph((SceneObject("small hill"),)),
        4: SceneGraph(()),
    }


def test_what_is_left_out_is_counted(tmp_path, caplog):
    nameless = {"object_id": 7, "names": [""]}
    links = [ON | {"object_id": 77}, ON | {"subject_id": 7}, ON | {"predicate": " "}, ON]
    write(tmp_path, picture((TREE, nameless, HILL), links))
    with pytest.raises(DataError, match=r"missing object: 2 of 4.*0\.4.*: 1/8-77, 1/7-9$"):
        list(visual_genome_graphs(tmp_path, Skips(), bad_share=0.4))
    skips = Skips()
    assert list(visual_genome_graphs(tmp_path, skips, bad_share=0.5)) == [(1, GRAPH)]
    assert skips.counts["relation to a missing object"] == 2
    assert "'object without a name': 1" in caplog.text
    assert "'relation to a missing object': 2" in caplog.text
    assert "'relation without a predicate': 1" in caplog.text


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([picture(), picture()], r"\[1\] repeats the image id 1"),
        ([{"objects": []}], r"\[0\] has no 'id' of type int"),
        ([picture(things=["tree"])], r"\[0\]\.objects\[0\] is not an object"),
        ([picture([{"names": ["x"]}])], r"\[0\]\.objects\[0\] has no 'object_id' of type int"),
        ([picture([{"object_id": 1}])], r"\[0\]\.objects\[0\]\.names is not a list of strings"),
        ([picture([{"object_id": 1, "name": 5}])], r"objects\[0\]\.names is not a list of str"),
        ([picture([TREE | {"attributes": "x"}])], r"\[0\]\.attributes is not a list of strings"),
        ([picture(links=[{"predicate": "on"}])], r"relationships\[0\] has no 'subject_id' of type"),
        ([{"image_id": 1, "objects": []}], r"expected a list under '\[0\]\.relationships'"),
    ],
)
def test_malformed_graphs_are_named(tmp_path, entries, message):
    with pytest.raises(DataError, match=rf"scene_graphs\.json: .*{message}"):
        list(visual_genome_graphs(write(tmp_path, *entries), Skips()))


def test_malformed_relationships_are_named(tmp_path):
    write(tmp_path, file="attributes.json")
    write(tmp_path, related(1, LINK | {"object": {"object_id": 3}}), file="relationships.json")
    with pytest.raises(
        DataError, match=r"ionships\.json: \[0\]\.relationships\[0\]\.object\.names"
    ):
        list(visual_genome_graphs(tmp_path, Skips()))


def test_missing_files_are_named(tmp_path):
    write(tmp_path, file="attributes.json")
    with pytest.raises(DataError, match=r"neither scene_graphs\.json nor relationships\.json and"):
        list(visual_genome_graphs(tmp_path, Skips()))
