"""Graphs as JSON, and folders of them: what comes back, and what is refused by name."""

import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgclip_jax.errors import DataError
from kgclip_jax.knowledge import graph_store
from kgclip_jax.knowledge.graph_json import graph_from_json, graph_to_json
from kgclip_jax.knowledge.graph_store import (
    Contents,
    GraphStore,
    complete,
    pack,
    pack_picture,
    part_file,
)
from kgclip_jax.knowledge.scene_graph import Attribute, Relation, SceneGraph, SceneObject, Span

spans = st.none() | st.tuples(st.integers(0, 99), st.integers(0, 99)).map(
    lambda ends: Span(min(ends), max(ends) + 1)
)
attributes = st.builds(Attribute, st.text(), spans)
objects = st.lists(
    st.builds(SceneObject, st.text(), st.lists(attributes, max_size=2).map(tuple), spans),
    min_size=1,
    max_size=4,
)


@st.composite
def graphs(draw):
    things = draw(objects)
    numbers = st.integers(0, len(things) - 1)
    links = st.builds(Relation, numbers, st.text(), numbers, spans)
    return SceneGraph(tuple(things), tuple(draw(st.lists(links, max_size=3))))


@given(graphs() | st.just(SceneGraph(())))
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


def graph_of(caption):
    span = Span(0, len(caption)) if caption else None
    return SceneGraph((SceneObject(caption, (), span),))


RECORDS = {f"{number}.jpg": [f"dog {number}", "a \ud800 cat", ""] for number in range(20)}
COUNTS = {"records": 20, "captions": 60, "objects": 60, "attributes": 0, "relations": 0}
CONTENTS = Contents({"model": "x"}, 3, **COUNTS, related=0, skipped={"empty caption": 2})


def write_parts(folder, records=None):
    """Three parts, the second of which is empty."""
    lines = [
        pack(key, captions, [graph_of(caption) for caption in captions])
        for key, captions in (records or list(RECORDS.items()))
    ]
    for number, part in enumerate([lines[:15], [], lines[15:]]):
        (folder / part_file(number, 3)).write_text("".join(part))


@pytest.fixture
def store(tmp_path):
    write_parts(tmp_path)
    complete(tmp_path, CONTENTS)
    return GraphStore(tmp_path)


def test_every_caption_has_its_graph(store):
    assert len(store) == 20
    for key, captions in RECORDS.items():
        for number, caption in enumerate(captions):
            assert store.graph(key, number, caption) == graph_of(caption)


def test_a_store_pickles_cheaply_after_use(store):
    store.graph("3.jpg", 0, "dog 3")
    pickled = pickle.dumps(store)
    assert len(pickled) < 500
    assert pickle.loads(pickled).graph("17.jpg", 0, "dog 17") == graph_of("dog 17")


def test_keys_of_one_hash_are_told_apart(tmp_path, monkeypatch):
    monkeypatch.setattr(graph_store, "_number", lambda key: len(key))
    write_parts(tmp_path)
    complete(tmp_path, CONTENTS)
    store = GraphStore(tmp_path)
    assert [store.graph(f"{n}.jpg", 0, f"dog {n}") for n in range(20)] == [
        graph_of(f"dog {n}") for n in range(20)
    ]
    with pytest.raises(DataError, match=r"no record 'x\.jpg'"):
        store.graph("x.jpg", 0, "dog")


def test_hashes_that_are_one_floating_point_number_are_told_apart(tmp_path, monkeypatch):
    """NumPy compares 64-bit integers of both signs as floating-point numbers."""
    number = lambda key: 2**60 + int(key.removesuffix(".jpg"))  # noqa: E731
    monkeypatch.setattr(graph_store, "_number", number)
    write_parts(tmp_path)
    complete(tmp_path, CONTENTS)
    store = GraphStore(tmp_path)
    for n in range(20):
        assert store.graph(f"{n}.jpg", 0, f"dog {n}") == graph_of(f"dog {n}")


def test_a_graph_that_was_asked_for_is_checked_again(store):
    assert store.graphs("3.jpg", RECORDS["3.jpg"]) == store.graphs("3.jpg", RECORDS["3.jpg"])
    with pytest.raises(DataError, match="its graph is not of the text 'dog 4'"):
        store.graph("3.jpg", 0, "dog 4")


def test_pictures_have_graphs_without_a_text(tmp_path):
    scenes = [SceneGraph((SceneObject(f"dog {number}"),)) for number in range(3)]
    lines = [pack_picture(str(number), scene) for number, scene in enumerate(scenes)]
    (tmp_path / part_file(0, 1)).write_text("".join(lines))
    complete(tmp_path, Contents({}, 1, 3, 3, 3, 0, 0, 0, {}, "pictures"))
    store = GraphStore(tmp_path)
    assert store.contents.of == "pictures"
    assert store.picture("2") == scenes[2]
    with pytest.raises(DataError, match="no record '3'"):
        store.picture("3")


def test_keys_that_come_twice_are_refused(tmp_path):
    write_parts(tmp_path, [*RECORDS.items(), ("4.jpg", ["again"])])
    with pytest.raises(
        DataError, match=r"graphs-.*, byte \d+: another record has the key '4\.jpg'"
    ):
        complete(tmp_path, CONTENTS)
    assert not (tmp_path / "graphs.json").exists()


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (("21.jpg", 0, "dog 21"), "no record '21.jpg'; make the graphs again"),
        (("3.jpg", 3, ""), "caption 3 of record '3.jpg': there are graphs of 3 only"),
        (("3.jpg", -1, ""), "caption -1 of record '3.jpg': there are graphs of 3 only"),
        (("3.jpg", 0, "dog 4"), "caption 0 of record '3.jpg': its graph is not .* 'dog 4'"),
    ],
)
def test_what_was_not_parsed_is_refused_by_name(store, asked, message):
    with pytest.raises(DataError, match=message):
        store.graph(*asked)


def test_a_malformed_graph_names_its_record(tmp_path):
    write_parts(tmp_path)
    path = tmp_path / part_file(0, 3)
    path.write_text(path.read_text().replace('[["dog 3",[0,5],[]]]', '[["dog 3",[0],[]]]'))
    complete(tmp_path, CONTENTS)
    with pytest.raises(DataError, match=rf"{tmp_path}: caption 0 of record '3.jpg': a span must"):
        GraphStore(tmp_path).graph("3.jpg", 0, "dog 3")


@pytest.mark.parametrize(
    "graph",
    [
        '[["dog 3",[0,6],[]]],"relations":[]',
        '[["dog 3",null,[["red",[5,6]]]]],"relations":[]',
        '[["dog 3",[0,5],[]]],"relations":[[0,"on",0,[5,9]]]',
    ],
)
def test_a_span_beyond_the_text_names_its_record(tmp_path, graph):
    write_parts(tmp_path)
    path = tmp_path / part_file(0, 3)
    old = '[["dog 3",[0,5],[]]],"relations":[]'
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, graph))
    complete(tmp_path, CONTENTS)
    with pytest.raises(DataError, match=r"caption 0 of record '3.jpg': a span ends beyond the"):
        GraphStore(tmp_path).graph("3.jpg", 0, "dog 3")


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
            store.graph("17.jpg", 0, "dog 17")

    def test_a_part_of_other_lines(self, store):
        path = store.folder / part_file(2, 3)
        path.write_bytes(b"x" + path.read_bytes())
        with pytest.raises(DataError, match=rf"{part_file(2, 3)}, byte 0, .*: not valid JSON"):
            store.graph("15.jpg", 0, "dog 15")
