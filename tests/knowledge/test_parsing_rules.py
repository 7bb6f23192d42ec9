"""Rules on dependency trees that are written by hand, without spaCy."""

import pytest

from kgclip_jax.knowledge.parsing.lemmas import Lemmas
from kgclip_jax.knowledge.parsing.parser import read_graph
from kgclip_jax.knowledge.parsing.tree import Tree
from kgclip_jax.knowledge.scene_graph import SceneGraph, Span

LEMMAS = Lemmas(
    {
        "noun": {"men": ["man"]},
        "verb": {"is": ["be"], "are": ["be"], "sat": ["sit"], "carried": ["carry"]},
    },
    {"noun": {"dog", "glass"}, "verb": {"ride", "sit", "carry", "dress", "hold", "stare", "star"}},
    {
        "noun": [("s", ""), ("es", "")],
        "verb": [("s", ""), ("ies", "y"), ("es", ""), ("ing", "e"), ("ing", "")],
    },
)


def tree(text: str, analysis: str) -> Tree:
    """A tree of a caption, whose analysis has "tag label head" for each word, heads from 1."""
    words = [word.split() for word in analysis.split("|")]
    spans, start = [], 0
    for word in text.split():
        start = text.index(word, start)
        spans.append(Span(start, start + len(word)))
        start += len(word)
    tags, labels, heads = zip(*words, strict=True)
    return Tree(text, tags, labels, [int(head) - 1 for head in heads], spans)


def said(text: str, graph: SceneGraph) -> tuple[list[str], list[str]]:
    """Objects with their attributes, and relations, in short; spans are checked by their words."""
    things = []
    for thing in graph.objects:
        assert thing.span is not None
        attributes = [
            f"{text[a.span.start : a.span.stop].lower()}" for a in thing.attributes if a.span
        ]
        assert attributes == [a.name for a in thing.attributes]
        things.append(" ".join([*attributes, thing.name]))
    names = [thing.name for thing in graph.objects]
    links = [f"{names[r.subject]} {r.predicate} {names[r.object]}" for r in graph.relations]
    return things, links


CASES = {
    "A Man rides fire trucks": (
        "DT det 2|NN nsubj 3|VBZ ROOT 3|NN compound 5|NNS dobj 3",
        ["man", "fire truck"],
        ["man ride fire truck"],
    ),
    "black and white dogs": (
        "JJ amod 4|CC cc 1|JJ conj 1|NNS ROOT 4",
        ["black white dog"],
        [],
    ),
    "the dog is brown and wet": (
        "DT det 2|NN nsubj 3|VBZ ROOT 3|JJ acomp 3|CC cc 4|JJ conj 4",
        ["brown wet dog"],
        [],
    ),
    "the dog is not brown": (
        "DT det 2|NN nsubj 3|VBZ ROOT 3|RB neg 3|JJ acomp 3",
        ["dog"],
        [],
    ),
    "a ball carried by a dog": (
        "DT det 2|NN ROOT 2|VBN acl 2|IN agent 3|DT det 6|NN pobj 4",
        ["ball", "dog"],
        ["dog carry ball"],
    ),
    "men dressed in suits sat quietly on chairs": (
        "NNS nsubj 5|VBN acl 1|IN prep 2|NNS pobj 3|VBD ROOT 5|RB advmod 5|IN prep 5|NNS pobj 7",
        ["man", "suit", "chair"],
        ["man dressed in suit", "man sit on chair"],
    ),
    "a cat in front of a house": (
        "DT det 2|NN ROOT 2|IN prep 2|NN pobj 3|IN prep 4|DT det 7|NN pobj 5",
        ["cat", "house"],
        ["cat in front of house"],
    ),
    "a cat next to it": (
        "DT det 2|NN ROOT 2|JJ amod 2|IN prep 3|PRP pobj 4",
        ["cat"],
        [],
    ),
    "a group of men hold two dogs": (
        "DT det 2|NN nsubj 5|IN prep 2|NNS pobj 3|VBP ROOT 5|CD nummod 7|NNS dobj 5",
        ["man", "dog"],
        ["man hold dog"],
    ),
    "a man and a dog in a car with no roof": (
        "DT det 2|NN ROOT 2|CC cc 2|DT det 5|NN conj 2|IN prep 5|DT det 8|NN pobj 6|IN prep 8|"
        "DT det 11|NN pobj 9",
        ["man", "dog", "car"],
        ["dog in car"],
    ),
    "a dog holds a ball in its mouth on grass": (
        "DT det 2|NN nsubj 3|VBZ ROOT 3|DT det 5|NN dobj 3|IN prep 3|PRP$ poss 8|NN pobj 6|"
        "IN prep 3|NN pobj 9",
        ["dog", "ball", "mouth", "grass"],
        ["dog hold ball", "ball in mouth", "dog on grass"],
    ),
    "a man who rides a horse": (
        "DT det 2|NN ROOT 2|WP nsubj 4|VBZ relcl 2|DT det 6|NN dobj 4",
        ["man", "horse"],
        ["man ride horse"],
    ),
    "men staring": ("NNS ROOT 1|VBG acl 1", ["staring man"], []),
    "a man with a dog behind him": (
        "DT det 2|NN ROOT 2|IN prep 2|DT det 5|NN pobj 3|IN prep 5|PRP pobj 6",
        ["man", "dog"],
        ["man with dog", "dog behind man"],
    ),
    "there are dogs and a cat in cars": (
        "EX expl 2|VBP ROOT 2|NNS attr 2|CC cc 3|DT det 6|NN conj 3|IN prep 2|NNS pobj 7",
        ["dog", "cat", "car"],
        ["dog in car", "cat in car"],
    ),
    "the girl is not holding glasses": (
        "DT det 2|NN nsubj 5|VBZ aux 5|RB neg 5|VBG ROOT 5|NNS dobj 5",
        ["girl", "glasses"],
        ["girl not hold glasses"],
    ),
    "a man 's hat": ("DT det 2|NN poss 4|POS case 2|NN ROOT 4", ["man", "hat"], ["man have hat"]),
    "bird 's eye view of a driver": (  # which raised KeyError: nobody has the view
        "NN poss 4|POS case 1|NN compound 4|NN ROOT 4|IN prep 4|DT det 7|NN pobj 5",
        ["bird", "driver"],
        [],
    ),
    "a dark blue shirt of light colour": (
        "DT det 4|JJ amod 4|JJ amod 4|NN ROOT 4|IN prep 4|JJ amod 7|NN pobj 5",
        ["dark blue light shirt"],
        [],
    ),
}


@pytest.mark.parametrize("text", CASES)
def test_a_tree_is_read(text: str) -> None:
    analysis, things, links = CASES[text]
    assert said(text, read_graph(tree(text, analysis), LEMMAS)) == (things, links)


def test_spans_are_those_of_the_caption() -> None:
    text = "A dog  chases Motor bikes"
    graph = read_graph(
        tree(text, "DT det 2|NN nsubj 3|VBZ ROOT 3|NN compound 5|NNS dobj 3"), LEMMAS
    )
    (relation,) = graph.relations
    assert [graph.objects[1].span, relation.span] == [Span(14, 25), Span(7, 13)]


def test_hyphens_join_words() -> None:
    text = "t-shirts"
    joined = Tree(
        text,
        ["NN", "HYPH", "NNS"],
        ["compound", "punct", "ROOT"],
        [2, 2, 2],
        [Span(0, 1), Span(1, 2), Span(2, 8)],
    )
    assert [thing[0] for thing in read_graph(joined, LEMMAS).objects] == ["t-shirt"]


@pytest.mark.parametrize(
    ("word", "tag", "lemma"),
    [
        ("dogs", "NNS", "dog"),
        ("men", "NNS", "man"),
        ("glass", "NN", "glass"),
        ("pants", "NNS", "pants"),
        ("blimps", "NNS", "blimp"),
        ("staring", "VBG", "stare"),
        ("singing", "VBG", "sing"),
        ("wakeboarding", "VBG", "wakeboard"),
        ("dress", "VBZ", "dress"),
        ("smaller", "JJR", "smaller"),
    ],
)
def test_base_forms(word: str, tag: str, lemma: str) -> None:
    assert LEMMAS(word, tag) == LEMMAS(word, tag) == lemma
