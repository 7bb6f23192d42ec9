import pickle
from collections import Counter

import pytest

from kgclip_jax.knowledge.caption import Caption
from kgclip_jax.knowledge.hierarchy import Hierarchy
from kgclip_jax.knowledge.vocabulary import Form, Part, Vocabulary, Word, form
from kgclip_jax.random import FastRandom, generator
from tests.knowledge.worded import worded

CAPTIONS = [
    worded("{Dogs=dog|#0} {chasing=chase|0>1} a {tiny=small|1} {cat|#1}"),
    worded("a {dog|#0} {with it=with|1>0} a {cat|#1}"),
    worded("a {small|0} {cat|#0} and {two=2|1} {owls=owl|#1}"),
    Caption("no graph"),
]
SINGULAR, PLURAL = Form("object", "singular"), Form("object", "plural")


@pytest.mark.parametrize(
    ("part", "words", "name", "shape"),
    [
        ("object", "Dog", "dog", "singular"),
        ("object", "men", "man", "plural"),
        ("attribute", "tiny", "small", "other"),
        ("attribute", "red", "red", "other"),
        ("attribute", "Two", "2", "number"),
        ("attribute", "12", "12", "number"),
        ("attribute", "Barking", "barking", "participle"),
        ("relation", "Sitting on", "sit on", "ing"),
        ("relation", "covered with", "cover with", "ed"),
        ("relation", "to its left", "left of", "preposition with pronoun"),
        ("relation", "on", "on", "preposition"),
        ("relation", "wears", "wear", "s"),
        ("relation", "wear", "wear", "verb"),
        ("relation", "", "", "verb"),
    ],
)
def test_forms(part: Part, words: str, name: str, shape: str) -> None:
    assert form(part, Word(words, name)) == Form(part, shape)


def test_words_are_counted_by_form() -> None:
    vocabulary = Vocabulary(CAPTIONS)
    assert vocabulary.words(SINGULAR) == (Word("cat", "cat"), Word("dog", "dog"))
    assert set(vocabulary.words(PLURAL)) == {Word("dogs", "dog"), Word("owls", "owl")}
    assert vocabulary.words(Form("attribute", "number")) == (Word("two", "2"),)
    assert vocabulary.words(Form("relation", "ing with pronoun")) == ()


def test_words_are_drawn_by_frequency() -> None:
    vocabulary = pickle.loads(pickle.dumps(Vocabulary(CAPTIONS)))
    random = FastRandom(generator(0, "test"))
    drawn = Counter(vocabulary.draw(SINGULAR, random).name for _ in range(4000))
    assert drawn.keys() == {"cat", "dog"}
    assert abs(drawn["cat"] - 3000) < 5 * 27  # three cats to one dog; a deviation is 27
    with pytest.raises(KeyError):
        vocabulary.draw(Form("object", "dual"), random)


def test_siblings_are_words_of_the_same_form() -> None:
    kinds = Hierarchy({name: ["animal"] for name in ("cat", "dog", "owl")})
    vocabulary = Vocabulary(CAPTIONS, kinds)
    assert vocabulary.siblings(SINGULAR, "cat") == (Word("dog", "dog"),)  # no single owl is known
    assert vocabulary.siblings(PLURAL, "owl") == (Word("dogs", "dog"),)
    assert vocabulary.with_siblings == 4
    assert vocabulary.may_agree("animal", {"dog"})
    assert not vocabulary.may_agree("cat", {"dog"})
