"""WordNet in its two layouts: words, definitions, pointers in one direction."""

import pytest

from kgclip_jax.data.graph_sources.wordnet import WordNet
from kgclip_jax.errors import DataError
from kgclip_jax.preparation.knowledge_graphs import UNKNOWN_ENTITY
from tests.data.graph_sources.graph_layouts import (
    LAYOUTS,
    LICENCE,
    entities_of,
    names_of,
    store,
    triples_of,
    wordnet,
)


def sr(identity, kind, word=""):
    return f"<SR>ENG31-{identity}<TYPE>{kind}</TYPE>{word and f'<TO>{word}</TO>'}</SR>"


def synset(identity, *words, pos="n", gloss="", pointers="", lexical=""):
    literals = "".join(
        f"<LITERAL>{word}<SENSE>0</SENSE>{'' if number else lexical}</LITERAL>"
        for number, word in enumerate(words)
    )
    return (
        f"<SYNSET><ID>ENG31-{identity}</ID><SYNONYM>{literals}</SYNONYM><POS>{pos}</POS>"
        f"<DEF>{gloss}</DEF>{pointers}</SYNSET>\n"
    )


SYNSETS = [
    synset("00001740-n", "entity", gloss="all &amp; sundry", pointers=sr("00002137-n", "HYPONYM")),
    synset(
        "00002137-n",
        "animal",
        "living creature",
        gloss="a living thing",
        pointers=sr("00001740-n", "HYPERNYM") + sr("02084071-n", "HYPONYM"),
    ),
    synset(
        "02084071-n",
        "dog",
        pointers=sr("00002137-n", "HYPERNYM"),
        lexical=sr("01001000-v", "DERIVATION_RELATED", 1) * 2,
    ),
    synset("01001000-v", "chase", pos="v"),
    synset("00001740-r", "doggedly", pos="b"),
]


def xml(folder, *synsets):
    path = folder / "english_wordnet_version_31.xml"
    path.write_text("<SYNSETS>\n" + "".join(synsets) + "</SYNSETS>\n")
    return WordNet(folder=str(path))


def test_data_files(tmp_path):
    source = wordnet(tmp_path)
    graph = store(source, tmp_path / "graph")
    found = {key: (row["name"], row["glosses"]) for key, row in entities_of(graph).items()}
    assert found == {
        "n00001740": ("entity", ["that which is perceived"]),
        "n00002137": ("animal", ["a living thing"]),
        "n02084071": ("dog", ["a barking animal"]),
        "v01001000": ("chase", ["go after"]),
        "a00001741": ("canine", ["of dogs; or like them"]),
        "a00001800": ("doggish", ["like a dog"]),
        "r00001740": ("doggedly", ["with obstinate determination"]),
    }
    assert graph.contents.phrases[0] == "is a kind of"
    assert graph.contents.left_out == {}
    assert {row["kind"] for row in graph.entities.to_pylist()} == {"synset"}


def test_the_folder_may_be_one_above(tmp_path):
    (tmp_path / "dict").mkdir()
    wordnet(tmp_path / "dict")
    graph = store(WordNet(folder=str(tmp_path)), tmp_path / "graph")
    assert triples_of(graph) == LAYOUTS["wordnet"].triples


def test_xml(tmp_path):
    graph = store(xml(tmp_path, *SYNSETS), tmp_path / "graph")
    assert triples_of(graph) == {
        ("n00002137", "hypernym", "n00001740"),
        ("n02084071", "hypernym", "n00002137"),
        ("n02084071", "derivationally related form", "v01001000"),
    }
    assert names_of(graph)["r00001740"] == "doggedly"
    assert entities_of(graph)["n00001740"]["glosses"] == ["all & sundry"]
    assert entities_of(graph)["n02084071"]["glosses"] == []


@pytest.mark.parametrize("word", ["100", "002", "@"])
def test_words_may_look_like_counts(tmp_path, word):
    line = f"13750415 23 n 02 hundred 0 {word} 0 001 @ 00001740 n 0000 | ten tens  \n"
    wordnet(tmp_path)
    with (tmp_path / "data.noun").open("a") as file:
        file.write(line)
    graph = store(WordNet(folder=str(tmp_path)), tmp_path / "graph")
    assert ("n13750415", "hypernym", "n00001740") in triples_of(graph)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("00001740 03 n 01 entity 0 002 @ 00001740 n 0000 | x", "it has no 2 pointers"),
        ("00001740 03 n 01 entity 0 x | x", "invalid literal"),
        ("00001740 03 n 01 entity 0 000", "expected offset, words, pointers and a gloss"),
        ("00001740 03 x 01 entity 0 000 | x", "expected offset"),
        ("00001740 03 n 01 entity 0 001 ? 00001740 n 0000 | x", r"'\?'"),
    ],
)
def test_a_malformed_line_is_named(tmp_path, line, message):
    wordnet(tmp_path)
    (tmp_path / "data.verb").write_text(f"{LICENCE}{line}\n")
    with pytest.raises(DataError, match=rf"data\.verb, line 2: no synset .*({message})"):
        store(WordNet(folder=str(tmp_path)), tmp_path / "graph")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("<SYNSET><ID>ENG31-00001740-n</ID>\n", "no element found"),
        (synset("1740-n", "entity"), "'ENG31-1740-n' is no ID like ENG31-00001740-n"),
        (synset("00001740-n"), "it has no LITERAL"),
        (synset("00001740-n", "x", pointers=sr("00001740-n", "KNOWS")), "KNOWS"),
        (synset("00001740-n", "a & b"), "not well-formed"),
    ],
)
def test_malformed_xml_is_named(tmp_path, line, message):
    with pytest.raises(DataError, match=rf"31\.xml, line 7: no synset of WordNet \(.*{message}"):
        store(xml(tmp_path, *SYNSETS, line), tmp_path / "graph")


def test_pointers_that_lead_nowhere_are_counted(tmp_path):
    source = xml(tmp_path, *SYNSETS[1:])
    with pytest.raises(DataError, match=rf"{UNKNOWN_ENTITY}: 1 of 3, .*n00002137 hypernym n0000"):
        store(source, tmp_path / "graph")
    graph = store(source, tmp_path / "graph", bad_share=0.34)
    assert graph.contents.left_out == {UNKNOWN_ENTITY: 1}
    assert graph.contents.triples["train"] == 2


def test_missing_files_are_named(tmp_path):
    wordnet(tmp_path)
    (tmp_path / "data.adv").unlink()
    with pytest.raises(DataError, match=r"data\.adv: not found; expected data\.noun, data\.verb"):
        WordNet(folder=str(tmp_path)).files()
    with pytest.raises(DataError, match=r"absent\.xml/data\.noun: not found"):
        WordNet(folder=str(tmp_path / "absent.xml")).files()
