"""COCO-order and Flickr30k-order: a caption, and four of its shuffles.

The shuffles of a caption's words (as a tagger cuts them):

    nouns and adjectives     nouns change places with nouns, adjectives with adjectives
    all but these            all other words change places
    within trigrams          the words of each three change places
    trigrams                 threes of words change places

All five texts are lower-cased, the characters . ! " ( ) * # : ; ~ become spaces, and what exceeds
30 words is cut. Precision@1: the caption beats all its shuffles; chance is 1/5. A shuffle that
gives the caption back, or differs from it in white space alone ("a dog , asleep"), is no wrong text
and does not count, which is what the authors do by listing the caption first and taking the
arg-max. (Chance is then 1/4, and so on; a caption without any shuffle is left out.)

Differences: the authors shuffle without a seed, and cut words for the trigrams with NLTK instead of
spaCy. With Karpathy's test split of COCO there are 25,010 captions, of Flickr30k 5,000.

Source: Yuksekgonul et al., When and why vision-language models behave like bags-of-words, ICLR
2023.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeAlias

import numpy as np

from kgclip_jax.data.evaluation_sets import Question
from kgclip_jax.data.questions import ask
from kgclip_jax.data.suites.assembly import Assembly
from kgclip_jax.errors import DataError
from kgclip_jax.knowledge.negatives.shuffles import shuffle_blocks, shuffle_within, trigrams
from kgclip_jax.knowledge.parsing.tree import NOUNS
from kgclip_jax.random import FastRandom, generator

Words: TypeAlias = list[str]
Tagged: TypeAlias = Sequence[tuple[str, str]]  # words with their Penn Treebank tags
Tagger: TypeAlias = Callable[[Iterable[str]], Iterator[Tagged]]

MOST_WORDS = 30

_ADJECTIVES = ("JJ", "JJR", "JJS")
_TO_SPACE = re.compile(r'[.!"()*#:;~\s]+')


def order(
    suite: Assembly, captions: Sequence[tuple[int, str]], tagger: Tagger, seed: int
) -> list[Question]:
    """Ask which of five texts is the caption; captions come with the numbers of their pictures."""
    decisions = []
    for number, tagged in enumerate(tagger(text for _, text in captions)):
        picture, right = captions[number][0], plain(captions[number][1])
        texts = {_letters(right): right}
        for words in shuffles(tagged, generator(seed, "order", number)):
            text = plain(" ".join(words))
            texts.setdefault(_letters(text), text)
        if wrong := [*texts.values()][1:]:
            decisions.append(suite.caption_choice(picture, right, wrong))
    if not decisions:
        return []
    chance = float(np.mean([1 / (1 + len(decision.wrong)) for decision in decisions]))
    return [ask("precision@1", decisions, chance=chance)]


def shuffles(tagged: Tagged, rng: np.random.Generator) -> list[Words]:
    """Return the four shuffles of a tagged caption, as lists of words."""
    random, count = FastRandom(rng), len(tagged)
    nouns = [place for place, (_, tag) in enumerate(tagged) if tag in NOUNS]
    adjectives = [place for place, (_, tag) in enumerate(tagged) if tag in _ADJECTIVES]
    others = sorted({*range(count)} - {*nouns, *adjectives})
    orders = [
        shuffle_within(count, [nouns, adjectives], random),
        shuffle_within(count, [others], random),
        shuffle_within(count, trigrams(count), random),
        shuffle_blocks(trigrams(count), random),
    ]
    return [[tagged[place][0] for place in order] for order in orders]


def plain(text: str) -> str:
    """Lower-case, drop the marks that do not count, and cut."""
    return " ".join(_TO_SPACE.sub(" ", text.lower()).split()[:MOST_WORDS])


def _letters(text: str) -> str:
    """What a tokenizer that passes over white space may read: a tagger parts "dog," in two."""
    return "".join(text.split())


def spacy_tagger(model: str) -> Tagger:
    """Load the part of a spaCy model that tags words.

    Raises:
        DataError: spaCy or the model is not installed.
    """
    try:
        import spacy

        pipeline = spacy.load(model, exclude=["parser", "ner", "lemmatizer", "attribute_ruler"])
    except (ImportError, OSError) as error:
        raise DataError(
            f"the order suite needs spaCy's model {model!r} to find nouns and adjectives: "
            "pip install -r requirements-parse.txt"
        ) from error

    def tag(texts: Iterable[str]) -> Iterator[Tagged]:
        for document in pipeline.pipe(texts, batch_size=256):
            yield [(token.text, token.tag_) for token in document]

    return tag
