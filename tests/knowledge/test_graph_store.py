"""Folders of graphs: what comes back, and what is refused by name."""

import json
import pickle

import pytest

from kgclip_jax.errors import DataError
from kgclip_jax.knowledge import graph_store
from kgclip_jax.knowledge.graph_record import pack
from kgclip_jax.knowledge.graph_store import (
    Contents,
    GraphStore,
    complete,
    pack_picture,
    part_file,
)
from kgclip_jax.knowledge.scene_graph import SceneGraph, SceneObject, Span


def graph_of(caption):
    span = Span(0, len(caption)) if caption else None
    return SceneGraph((SceneObject(caption, (), span),))


RECORDS = {f"{number}.jpg": [f"dog {number}", "a \ud800 cat", ""] for number in range(20)}
COUNTS = {"records": 20, "captions": 60, "objects": 60, "attributes": 0, "relations": 0}
CONTENTS = Contents({"model": "x"}, 3, **COUNTS, related=0, skipped={"empty caption": 2})


def write_parts(folder, records=None):
    """Three parts, the second of which is empty."""
    stored = [
        pack(key, captions, [graph_of(caption) for caption in captions])
        for key, captions in (records or list(RECORDS.items()))
    ]
    for number, part in enumerate([stored[:15], [], stored[15:]]):
        (folder / part_file(number, 3)).write_bytes(b"".join(part))


@pytest.fixture
def store(tmp_path):
    write_parts(tmp_path)
    complete(tmp_path, CONTENTS)
    return GraphStore(tmp_path)


def first_graph(store, number):
    return store.graphs(f"{number}.jpg", RECORDS[f"{number}.jpg"]).graph(0)


def test_every_caption_has_its_graph(store):
    assert len(store) == 20
    for key, captions in RECORDS.items():
        graphs = store.graphs(key, captions)
        assert [graphs.graph(n) for n in range(3)] == [graph_of(caption) for caption in captions]
        assert graphs.known() == [{f"dog {key.removesuffix('.jpg')}", "a \ud800 cat", ""}]


def test_a_store_pickles_cheaply_after_use(store):
    store.graphs("3.jpg", RECORDS["3.jpg"])
    pickled = pickle.dumps(store)
    assert len(pickled) < 500
    assert first_graph(pickle.loads(pickled), 17) == graph_of("dog 17")


def test_keys_of_one_hash_are_told_apart(tmp_path, monkeypatch):
    monkeypatch.setattr(graph_store, "_number", lambda key: len(key))
    write_parts(tmp_path)
    complete(tmp_path, CONTENTS)
    store = GraphStore(tmp_path)
    assert [first_graph(store, n) for n in range(20)] == [graph_of(f"dog {n}") for n in range(20)]
    with pytest.raises(DataError, match=r"no record 'x\.jpg'"):
        store.graphs("x.jpg", ["dog"])


def test_hashes_that_are_one_floating_point_number_are_told_apart(tmp_path, monkeypatch):
    """NumPy compares 64-bit integers of both signs as floating-point numbers."""
    number = lambda key: 2**60 + int(key.removesuffix(".jpg"))  # noqa: E731
    monkeypatch.setattr(graph_store, "_number", number)
    write_parts(tmp_path)
    complete(tmp_path, CONTENTS)
    store = GraphStore(tmp_path)
    assert [first_graph(store, n) for n in range(20)] == [graph_of(f"dog {n}") for n in range(20)]


def test_the_record_that_was_asked_for_last_is_read_once(store, monkeypatch):
    graphs = store.graphs("3.jpg", RECORDS["3.jpg"])
    assert store.graphs("3.jpg", list(RECORDS["3.jpg"])) is graphs
    assert store.graphs("4.jpg", RECORDS["4.jpg"]) is not graphs
    with pytest.raises(DataError, match=r"\('4\.jpg'\): its graphs are not of the texts \['dog'\]"):
        store.graphs("4.jpg", ["dog"])


def test_pictures_have_graphs_without_a_text(tmp_path):
    scenes = [SceneGraph((SceneObject(f"dog {number}"),)) for number in range(3)]
    stored = [pack_picture(str(number), scene) for number, scene in enumerate(scenes)]
    (tmp_path / part_file(0, 1)).write_bytes(b"".join(stored))
    complete(tmp_path, Contents({}, 1, 3, 3, 3, 0, 0, 0, {}, "pictures"))
    store = GraphStore(tmp_path)
    assert store.contents.of == "pictures"
    assert store.picture("2") == scenes[2]
    with pytest.raises(DataError, match="no record '3'"):
        store.picture("3")


def test_what_is_stored_of_a_record_tells_what_its_graphs_say(store):
    captions = RECORDS["3.jpg"]
    content = pack("3.jpg", captions, [graph_of(caption) for caption in captions])
    assert store.content("3.jpg") == content


def test_keys_that_come_twice_are_refused(tmp_path):
    write_parts(tmp_path, [*RECORDS.items(), ("4.jpg", ["again"])])
    with pytest.raises(
        DataError, match=r"graphs-.*, record at \d+: another record has the key '4\.jpg'"
    ):
        complete(tmp_path, CONTENTS)
    assert not (tmp_path / "graphs.json").exists()


def test_what_was_not_parsed_is_refused_by_name(store):
    with pytest.raises(DataError, match=r"no record '21\.jpg'; make the graphs again"):
        store.graphs("21.jpg", ["dog 21"])


class TestDamage:
    def test_an_unfinished_folder(self, tmp_path):
        with pytest.raises(DataError, match=r"graphs\.json: not found; let .*prepare\.py"):
            GraphStore(tmp_path)

    @pytest.mark.parametrize("content", ["{", "[]", '{"parts": 1}'])
    def test_malformed_contents(self, store, content):
        (store.folder / "graphs.json").write_text(content)
        with pytest.raises(DataError, match=r"graphs\.json\b.*; make the graphs again"):
            GraphStore(store.folder)

    @pytest.mark.parametrize("content", [b"", b"junk", None])
    def test_a_broken_or_lost_index(self, store, content):
        path = store.folder / "graphs.npy"
        path.unlink()
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(DataError, match=r"graphs\.npy: no whole NumPy array"):
            GraphStore(store.folder)

    def test_an_index_of_another_folder(self, store, tmp_path_factory):
        other = tmp_path_factory.mktemp("other")
        write_parts(other, list(RECORDS.items())[:9])
        complete(other, CONTENTS)
        (other / "graphs.npy").rename(store.folder / "graphs.npy")
        with pytest.raises(DataError, match="does not index 20 records"):
            GraphStore(store.folder)

    def test_a_lost_part(self, store):
        (store.folder / part_file(2, 3)).unlink()
        with pytest.raises(DataError, match=rf"{part_file(2, 3)}: .*No such file"):
            first_graph(store, 17)

    @pytest.mark.parametrize(
        ("damage", "message"),
        [
            (lambda content: b"x" + content, ": memoryview: length is not a multiple"),
            (lambda content: b"xxxx" + content, ", record at 0: no record begins and ends here"),
            (lambda content: content[:40], ", record at 0: no record begins and ends here"),
            (lambda content: content[:60] + b"x" + content[61:], ", record at 0: its checksum is"),
            (lambda content: b"", ": cannot mmap an empty file"),
        ],
    )
    def test_a_part_of_something_else(self, store, damage, message):
        path = store.folder / part_file(2, 3)
        path.write_bytes(damage(path.read_bytes()))
        with pytest.raises(DataError, match=rf"{part_file(2, 3)}{message}.*; make the graphs"):
            first_graph(store, 15)

    def test_a_damaged_part_is_not_indexed(self, tmp_path):
        write_parts(tmp_path)
        path = tmp_path / part_file(2, 3)
        path.write_bytes(path.read_bytes()[:-4])
        with pytest.raises(DataError, match=rf"{part_file(2, 3)}, record at \d+: no record begins"):
            complete(tmp_path, CONTENTS)

    def test_files_as_they_were_before_are_refused_with_the_command(self, store):
        path = store.folder / "graphs.json"
        contents = json.loads(path.read_text())
        del contents["layout"]
        path.write_text(json.dumps(contents))
        with pytest.raises(
            DataError,
            match=r"graphs\.json: .* layout 1, and 2 is read; make the graphs again: python launch/"
            r"prepare\.py parse, or graphs, into a new folder",
        ):
            GraphStore(store.folder)
