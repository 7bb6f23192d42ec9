import json
import pickle
import re

import numpy as np
import pyarrow as pa
import pytest

from kgclip_jax.errors import DataError
from kgclip_jax.knowledge.graph.entities import entity_rows
from kgclip_jax.knowledge.graph.graph_folder import Relations, write_graph
from kgclip_jax.knowledge.graph.knowledge_graph import KnowledgeGraph
from kgclip_jax.knowledge.graph.split_folder import EdgeList
from tests.knowledge.graph.made_up_graphs import ANIMALS, edges_of, make_graph, triples_of

IMAGES = {"dog": ["dog.jpg"], "mouse": ["a.jpg", "b.jpg"]}


@pytest.fixture
def graph(tmp_path):
    names = sorted({end for triples in ANIMALS.values() for h, _, t in triples for end in (h, t)})
    return make_graph(
        tmp_path / "graph",
        images=[IMAGES.get(name, []) for name in names],
        boxes=[(1, 2, 3, 4) if name == "dog" else None for name in names],
    )


def test_what_is_written_is_read(graph):
    for split, triples in ANIMALS.items():
        assert triples_of(graph, split) == set(triples)
    dog = graph.entities.slice(graph.entities["name"].to_pylist().index("dog"), 1)
    assert dog.to_pylist() == [
        {
            "key": "dog",
            "name": "dog",
            "glosses": [],
            "images": ["dog.jpg"],
            "box": [1, 2, 3, 4],
            "kind": "entity",
        }
    ]
    assert len(graph) == 6


def test_triples_are_known_by_what_can_be_seen_of_their_ends(graph):
    split = graph.splits["train"]
    ids = split.triples(split.rows_of["image_image"])
    assert len(ids.head) == 0
    ids = split.triples(split.rows_of["image_text"])
    assert set(zip(graph.names(ids.head), graph.names(ids.tail), strict=True)) == {
        ("dog", "animal"),
        ("dog", "cat"),
        ("mouse", "cheese"),
    }
    assert len(split.rows_of["text_text"]) == len(split)


def test_a_triple_of_any_split_is_true(graph):
    names = graph.entities["name"].to_pylist()
    relations = list(graph.contents.relations)
    for triples in ANIMALS.values():
        assert graph.contains(*edges_of(triples, names, relations)[:3]).all()
    wrong = [("animal", "is a", "dog"), ("dog", "is a", "food")]
    assert not graph.contains(*edges_of(wrong, names, relations)[:3]).any()


def test_of_equal_triples_the_heaviest_stays_and_the_others_are_counted(tmp_path):
    ids = np.array([0, 0, 0, 1])
    edges = EdgeList.of(ids, ids * 0, 1 - ids, np.array([1, 3, 2, 0.5]), np.arange(4))
    graph = write_graph(
        tmp_path,
        entity_rows(["a", "b"], ["a", "b"]),
        Relations(["r"], ["r"]),
        {"train": edges},
        sources=list("wxyz"),
        pictures=".",
        left_out={"odd": 7},
        settings={},
    )
    assert graph.splits["train"].weights.tolist() == [3, 0.5]
    assert graph.splits["train"].sources.tolist() == [1, 3]
    assert graph.contents.left_out == {"odd": 7, "triple that is there already": 2}


def test_it_pickles_as_its_path_and_maps_its_files(graph):
    assert len(pickle.dumps(graph)) < 300
    again = pickle.loads(pickle.dumps(graph))
    assert triples_of(again, "train") == set(ANIMALS["train"])
    column = again.splits["train"].heads
    assert isinstance(column.base, np.memmap)
    assert not column.flags.writeable


def test_the_fingerprint_is_of_what_it_holds(graph, tmp_path):
    same = make_graph(tmp_path / "bare")
    again = make_graph(tmp_path / "elsewhere")
    assert same.contents.fingerprint == again.contents.fingerprint != graph.contents.fingerprint
    fewer = make_graph(tmp_path / "fewer", ANIMALS | {"test": []})
    assert fewer.contents.fingerprint != same.contents.fingerprint


def test_the_fingerprint_does_not_know_in_how_many_parts_entities_came(tmp_path):
    names, kinds = ["a", "b", "c", "d"], ["x", "y", "y", "x"]
    edges = edges_of([("a", "r", "d")], names, ["r"])
    whole = entity_rows(names, names, kinds=kinds)
    parts = [entity_rows(names[i:j], names[i:j], kinds=kinds[i:j]) for i, j in ((0, 0), (0, 1))]
    graphs = [
        write_graph(
            tmp_path / str(number),
            entities,
            Relations(many(["r"]), many(["r"])),
            {"train": edges},
            sources=[""],
            pictures=".",
            left_out={},
            settings={},
        )
        for number, (many, entities) in enumerate(
            ((list, whole), (tuple, pa.concat_tables([*parts, whole.slice(1)])))
        )
    ]
    assert graphs[0].contents.fingerprint == graphs[1].contents.fingerprint


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda f: (f / "graph.json").unlink(), "graph.json: not found; let"),
        (lambda f: (f / "train/heads.npy").unlink(), "train/heads.npy: .*No such file"),
        (lambda f: (f / "train/heads.npy").write_bytes(b"\x93NUMPY"), "train/heads.npy: "),
        (lambda f: np.save(f / "test/heads.npy", np.zeros(9, np.int32)), "expected 1 numbers"),
        (lambda f: np.save(f / "train/weights.npy", np.zeros(6)), "of type float32"),
        (lambda f: (f / "graph.json").write_text("{}"), "graph.json"),
    ],
)
def test_a_damaged_folder_is_refused(graph, harm, said):
    harm(graph.folder)
    with pytest.raises(DataError, match=said):
        KnowledgeGraph(graph.folder)


def test_damaged_entities_are_refused(graph):
    path = graph.folder / "entities.arrow"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DataError, match=re.escape("entities.arrow: ")):
        KnowledgeGraph(graph.folder).names(np.array([0]))


def test_another_number_of_entities_is_refused(graph, tmp_path):
    other = make_graph(tmp_path / "other", {"train": [("a", "r", "b")]})
    (other.folder / "entities.arrow").rename(graph.folder / "entities.arrow")
    with pytest.raises(DataError, match="does not hold the columns of 6 entities"):
        KnowledgeGraph(graph.folder).names(np.array([0]))


def test_an_empty_graph_is_refused(tmp_path):
    with pytest.raises(DataError, match="the graph is empty"):
        make_graph(tmp_path, {"train": [], "test": [("a", "r", "b")]})


def test_more_sources_than_numbers_are_refused(tmp_path):
    edges = EdgeList.of(*np.zeros((3, 1), int), np.ones(1), np.zeros(1, int))
    sources, entities = [str(number) for number in range(2**15 + 1)], entity_rows(["a"], ["a"])
    facts = {"pictures": ".", "left_out": {}, "settings": {}}
    with pytest.raises(DataError, match=r"32,769 sources are more than 2\*\*15"):
        write_graph(
            tmp_path, entities, Relations("r", "r"), {"train": edges}, sources=sources, **facts
        )


def test_while_it_is_written_there_is_no_graph(graph, monkeypatch):
    """A kill between two files leaves no folder that looks whole."""
    contents = json.loads((graph.folder / "graph.json").read_text())
    assert contents["triples"] == {"train": 6, "valid": 1, "test": 1}

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("kgclip_jax.knowledge.graph.graph_folder._write_entities", killed)
    with pytest.raises(KeyboardInterrupt):
        make_graph(graph.folder)
    with pytest.raises(DataError, match="not found"):
        KnowledgeGraph(graph.folder)
