"""Lists of triples: columns in any order, splits, names from files or from WordNet."""

import gzip

import pytest

from kgclip_jax.data.graph_sources.edge_lists import NO_SYNSET, EdgeLists
from kgclip_jax.data.graph_sources.graph_source import NO_END, NO_NUMBER
from kgclip_jax.errors import ConfigError, DataError
from kgclip_jax.schema import parse
from tests.data.graph_sources.graph_layouts import (
    entities_of,
    names_of,
    store,
    triples_of,
    wordnet,
)


def written(folder, train, **settings):
    (folder / "train.txt").write_text(train)
    return EdgeLists(folder=str(folder), **settings)


@pytest.mark.parametrize(
    ("columns", "line"),
    [
        ("head,relation,tail", "dog\tIsA\tanimal"),
        ("relation,head,tail", "IsA\tdog\tanimal"),
        ("-,tail,head,-,relation", "9\tanimal\tdog\t\tIsA"),
        ("relation,head,tail,weight", "IsA\tdog\tanimal\t2.5e0"),
        ("relation,head,tail,weight", "IsA\tdog\tanimal\t0.25E+1"),
    ],
)
def test_columns_come_in_any_order(tmp_path, columns, line):
    graph = store(written(tmp_path, f"{line}\n", columns=columns), tmp_path / "graph")
    assert triples_of(graph) == {("dog", "IsA", "animal")}
    assert graph.splits["train"].weights == (2.5 if "weight" in columns else 1)


@pytest.mark.parametrize(
    "columns", ["head,tail", "head,head,relation,tail", "head,relation,tail,note", ""]
)
def test_other_columns_are_refused(columns):
    with pytest.raises(ConfigError, match=r"edges: columns: expected head, relation, tail"):
        parse(EdgeLists, {"columns": columns}, "edges")


@pytest.mark.parametrize("end", [".txt", ".tsv", "", ".txt.gz", ".tsv.gz", ".gz"])
def test_splits_are_files_and_share_entities(tmp_path, end):
    for split, head in {"train": "dog", "valid": "cat", "test": "owl"}.items():
        content = f"{head}\tIsA\tanimal\n".encode()
        packed = gzip.compress(content) if end.endswith(".gz") else content
        (tmp_path / f"{split}{end}").write_bytes(packed)
    graph = store(EdgeLists(folder=str(tmp_path)), tmp_path / "graph")
    assert triples_of(graph, "valid") == {("cat", "IsA", "animal")}
    assert triples_of(graph, "test") == {("owl", "IsA", "animal")}
    assert sorted(names_of(graph)) == ["animal", "cat", "dog", "owl"]


def test_one_file_is_for_training(tmp_path):
    path = tmp_path / "mine.tsv"
    path.write_text("a\tr\tb\n")
    (tmp_path / "names.txt").write_text("a\tthe first\nb\tthe second\n")
    graph = store(EdgeLists(folder=str(path), names="names.txt"), tmp_path / "graph")
    assert names_of(graph) == {"a": "the first", "b": "the second"}
    with pytest.raises(DataError, match=r"no file train\.txt, train\.tsv or train, nor such"):
        EdgeLists(folder=str(tmp_path)).files()


def test_names_and_glosses_come_from_a_file(tmp_path):
    (tmp_path / "entity2text.txt").write_text(
        "/m/01\tDog\ta barking animal\tman's friend\r\n\n/m/02\tAnimal\n/m/03\tnobody speaks of\t\n"
    )
    source = written(tmp_path, "/m/01\tr\t/m/02\n/m/04\tr\t/m/02\n", names="entity2text.txt")
    found = entities_of(store(source, tmp_path / "graph"))
    assert {key: (row["name"], row["glosses"]) for key, row in found.items()} == {
        "/m/01": ("Dog", ["a barking animal", "man's friend"]),
        "/m/02": ("Animal", []),
        "/m/03": ("nobody speaks of", []),
        "/m/04": ("", []),
    }


def test_a_line_without_a_name_is_named(tmp_path):
    (tmp_path / "names").write_text("a\tA\nb\n")
    source = written(tmp_path, "a\tr\tb\n", names="names")
    with pytest.raises(DataError, match=r"names, line 2: 'b' is not an entity and its name"):
        store(source, tmp_path / "graph")


def test_what_cannot_be_used_is_counted(tmp_path):
    lines = "a\tr\tb\t1\na\tr\tc\theavy\na\tr\td\t-1\n\tr\tb\t1\na\t\tb\t1\na\tr\t\t1\n"
    source = written(tmp_path, lines, columns="head,relation,tail,weight")
    with pytest.raises(DataError, match=rf"{NO_END}: 3 of 4, .*train\.txt, line 1 ff\."):
        store(source, tmp_path / "graph", bad_share=0.7)
    graph = store(source, tmp_path / "graph", bad_share=0.8)
    assert triples_of(graph) == {("a", "r", "b")}
    assert graph.contents.left_out == {NO_END: 3, NO_NUMBER: 2}


@pytest.mark.parametrize(
    ("relation", "phrase"),
    [
        ("_member_of_domain_usage", "member of domain usage"),
        ("/film/film/genre", "film genre"),
        ("HasPrerequisite", "has prerequisite"),
    ],
)
def test_relations_are_told_in_words(relation, phrase):
    assert EdgeLists().phrase(relation) == phrase


class TestSynsets:
    """WN18RR calls synsets by their offsets."""

    def test_synsets_name_the_entities(self, tmp_path):
        wordnet(tmp_path)
        source = written(
            tmp_path,
            "02084071\t_hypernym\t00002137\n00002137\t_hypernym\t00001740\n",
            wordnet=str(tmp_path),
        )
        found = entities_of(store(source, tmp_path / "graph"))
        assert {key: (row["name"], row["glosses"]) for key, row in found.items()} == {
            "02084071": ("dog", ["a barking animal"]),
            "00002137": ("animal", ["a living thing"]),
            "00001740": ("entity", ["that which is perceived", "with obstinate determination"]),
        }

    def test_entities_of_another_version_are_counted(self, tmp_path):
        wordnet(tmp_path)
        source = written(tmp_path, "02084071\tr\t00000009\n", wordnet=str(tmp_path))
        with pytest.raises(DataError, match=rf"{NO_SYNSET}: 1 of 3, .*: 00000009"):
            store(source, tmp_path / "graph", bad_share=0.1)
        graph = store(source, tmp_path / "graph", bad_share=0.5)
        assert names_of(graph) == {"02084071": "dog", "00000009": ""}
        assert graph.contents.left_out == {NO_SYNSET: 1}

    def test_there_is_one_place_for_names(self):
        with pytest.raises(ConfigError, match=r"names or wordnet: expected one of them"):
            parse(EdgeLists, {"names": "a", "wordnet": "b"})


def test_wn18rr(tmp_path, shared_data):
    graph = store(EdgeLists(folder=str(shared_data / "kg" / "wn18rr")), tmp_path / "graph")
    assert graph.contents.triples == {"train": 86_835, "valid": 3_034, "test": 3_134}
    assert (len(graph), len(graph.contents.relations)) == (40_943, 11)
    assert ("02174461", "_hypernym", "02176268") in triples_of(graph, "valid")


def test_conceptnet_100k(tmp_path, shared_data):
    source = EdgeLists(
        folder=str(shared_data / "kg" / "conceptnet100k"), columns="relation,head,tail"
    )
    graph = store(source, tmp_path / "graph")
    assert ("hockey", "ReceivesAction", "play on ice") in triples_of(graph)
    assert len(graph.contents.relations) == 34
    doubles = graph.contents.left_out["triple that is there already"]
    assert sum(graph.contents.triples.values()) + doubles == 101_200 + 1_200 + 4_204
