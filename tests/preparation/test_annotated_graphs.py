"""Graphs from files of annotations: found by picture and text, counted, refused by name."""

import json

import pytest
from rich.console import Console

from kgclip_jax.data.records import Record
from kgclip_jax.errors import ConfigError, DataError
from kgclip_jax.knowledge.graph_store import GraphStore
from kgclip_jax.knowledge.scene_graph import Attribute, Relation, SceneGraph, SceneObject, Span
from kgclip_jax.preparation.annotated_graphs import (
    Annotations,
    named_annotations,
    store_captions,
    store_pictures,
)
from kgclip_jax.preparation.graph_counts import describe_graphs

SOURCE = {"kind": "photographs", "folder": "album"}
DOG = "A red dog on a sofa"
DOG_GRAPH = SceneGraph(
    (
        SceneObject("dog", (Attribute("red", Span(2, 5)),), Span(6, 9)),
        SceneObject("sofa", (), Span(15, 19)),
    ),
    (Relation(0, "on", 1, Span(10, 12)),),
)


def entry(image, text=DOG, triples=(("dog", "on", "sofa"),), pairs=(("red", "dog"),)):
    return {"image": image, "text": text, "triples": list(triples), "pairs": list(pairs)}


def write(path, *entries):
    path.write_text(json.dumps(entries))
    return path


@pytest.fixture
def album(make_album):
    def album(*records, **options):
        changes = {n: (record, b"never opened") for n, record in enumerate(records)}
        return make_album(len(records), changes, **options)

    return album


def store(records, file, output, *, source=SOURCE, bad_share=0.0):
    console = Console(quiet=True)
    return store_captions(records, source, file, output, bad_share=bad_share, console=console)


class TestCaptions:
    @pytest.mark.parametrize("key", ["1.jpg", "val2014/1.jpg", "1", "1.png"])
    def test_they_are_found_by_picture_and_words(self, album, tmp_path, key):
        """The spans are those of the source's own text."""
        spaced = f"  {DOG}\n"
        file = write(
            tmp_path / "train.json", entry("train2014/1.jpg", "A red  dog on a sofa ", pairs=[])
        )
        output = tmp_path / "graphs"
        contents = store(album(Record(key, [spaced])), file, output)
        graph = GraphStore(output).graphs(key, [spaced]).graph(0)
        assert [spaced[slice(*thing.span)] for thing in graph.objects] == ["dog", "sofa"]
        assert (contents.records, contents.captions, contents.related) == (1, 1, 1)

    def test_the_same_words_about_another_picture_do_not_count(self, album, tmp_path):
        file = write(tmp_path / "train.json", entry("2.jpg"))
        with pytest.raises(DataError, match=r"train\.json: caption without an entry: 1 of 1, "):
            store(album(Record("1.jpg", [DOG])), file, tmp_path / "graphs")

    def test_the_first_of_several_entries_counts(self, album, tmp_path):
        file = write(tmp_path / "train.json", entry("1.jpg"), entry("1.jpg", triples=[], pairs=[]))
        store(album(Record("1.jpg", [DOG])), file, tmp_path / "graphs")
        assert GraphStore(tmp_path / "graphs").graphs("1.jpg", [DOG]).graph(0) == DOG_GRAPH

    def test_what_is_missing_is_counted_up_to_a_share(self, album, tmp_path):
        file = write(tmp_path / "train.json", entry("1.jpg"), entry("2.jpg"), entry("9.jpg"))
        records = album(
            Record("1.jpg", [DOG, "hello"]),
            Record("2.jpg", [DOG, DOG]),
            None,
            skipped={"empty caption": 3},
        )
        output = tmp_path / "graphs"
        with pytest.raises(
            DataError, match=r"caption without an entry: 1 of 4, .* 0\.2 .*: 1\.jpg, caption 1$"
        ):
            store(records, file, output, bad_share=0.2)
        with pytest.raises(DataError, match=r"unreadable record: 1 of 3, .*: record 2 \(no capt"):
            store(records, file, output, bad_share=0.3)
        with pytest.raises(DataError, match=r"graphs\.json: not found"):
            GraphStore(output)
        contents = store(records, file, output, bad_share=0.4)
        missing = {"caption without an entry": 1, "unreadable record": 1}
        assert contents.skipped == {"empty caption": 3} | missing
        assert (contents.records, contents.captions) == (2, 4)
        assert GraphStore(output).graphs("1.jpg", [DOG, "hello"]).graph(1) == SceneGraph(())
        assert describe_graphs(output, contents).endswith(
            ": 4 captions of 2 records: 6 objects, 3 attributes, 3 relations; 75.0% with a relation"
            "; left out: 3 x empty caption, 1 x caption without an entry, 1 x unreadable record"
        )

    def test_a_finished_folder_is_left_alone_and_changes_are_refused(self, album, tmp_path):
        file = write(tmp_path / "train.json", entry("1.jpg"))
        records, output = album(Record("1.jpg", [DOG])), tmp_path / "graphs"
        contents = store(records, file, output)
        before = {path: path.stat().st_mtime_ns for path in output.rglob("*.bin")}
        assert store(records, file, output) == contents
        assert {path: path.stat().st_mtime_ns for path in before} == before
        with pytest.raises(ConfigError, match=r"\(source: keys, captions or boxes"):
            store(album(Record("1.jpg", ["new"])), file, output)
        write(file, entry("1.jpg", pairs=[]))
        with pytest.raises(ConfigError, match=r"graphs was begun otherwise \(sha256\.train\.json"):
            store(records, file, output)
        (tmp_path / "other" / "x").mkdir(parents=True)
        with pytest.raises(ConfigError, match="other holds other files"):
            store(records, file, tmp_path / "other")

    def test_records_of_one_key_are_refused(self, album, tmp_path):
        file = write(tmp_path / "train.json", entry("1.jpg"))
        with pytest.raises(DataError, match=r"another record has the key '1\.jpg'"):
            store(album(*[Record("1.jpg", [DOG])] * 2), file, tmp_path / "graphs")

    def test_a_missing_file_is_named(self, album, tmp_path):
        with pytest.raises(DataError, match=r"train\.json: No such file"):
            store(album(Record("1.jpg", [DOG])), tmp_path / "train.json", tmp_path / "graphs")


THING = {"object_id": 8, "names": ["Tree"], "attributes": ["green"]}
ON = {"predicate": "ON", "subject_id": 8, "object_id": 8}
PICTURES = [
    {"image_id": 3, "objects": [THING], "relationships": [ON, ON | {"object_id": 5}]},
    {"image_id": 1, "objects": [], "relationships": []},
]


class TestPictures:
    def test_they_are_found_by_their_ids(self, tmp_path):
        write(tmp_path / "scene_graphs.json", *PICTURES)
        output, console = tmp_path / "graphs", Console(quiet=True)
        contents = store_pictures(tmp_path, output, bad_share=0.5, console=console)
        tree = SceneObject("tree", (Attribute("green"),))
        assert GraphStore(output).picture("3") == SceneGraph((tree,), (Relation(0, "on", 0),))
        assert GraphStore(output).picture("1") == SceneGraph(())
        assert describe_graphs(output, contents).endswith(
            ": 2 pictures: 1 objects, 1 attributes, 1 relations; 50.0% with a relation; left out: "
            "1 x relation to a missing object"
        )
        before = (output / "graphs-00000-of-00001.bin").stat().st_mtime_ns
        assert store_pictures(tmp_path, output, bad_share=0.5, console=console) == contents
        assert (output / "graphs-00000-of-00001.bin").stat().st_mtime_ns == before

    def test_too_much_left_out_leaves_an_unfinished_folder(self, tmp_path):
        write(tmp_path / "scene_graphs.json", *PICTURES)
        output, console = tmp_path / "graphs", Console(quiet=True)
        with pytest.raises(DataError, match=r"missing object: 1 of 2.*: 3/8-5$"):
            store_pictures(tmp_path, output, bad_share=0.4, console=console)
        with pytest.raises(DataError, match=r"graphs\.json: not found"):
            GraphStore(output)


def test_annotations_have_names():
    for kind in ("structure_clip", "visual_genome"):
        annotations = named_annotations(f"{kind}:a/b:c")
        assert annotations == Annotations(kind, annotations.path)
        assert str(annotations.path) == "a/b:c"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("structure_clip", "named as KIND:PATH, not 'structure_clip'"),
        ("visual_genome:", "named as KIND:PATH"),
        ("structure:x", "of the kind 'structure'; did you mean structure_clip?"),
    ],
)
def test_names_of_nothing_are_refused(name, message):
    with pytest.raises(ConfigError, match=message):
        named_annotations(name)
