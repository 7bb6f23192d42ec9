"""Nouns: which words stand for objects, and how these are called."""

from kgclip_jax.knowledge.parsing.lemmas import Lemmas
from kgclip_jax.knowledge.parsing.lexicon import (
    CALLED_OUT,
    COLOUR_NOUNS,
    COLOURS,
    NEGATIVE_DETERMINERS,
    PICTURES,
    PLACES,
    PRONOUNS,
    PROPERTIES,
    QUANTITIES,
    SHOWING,
    TOGETHER,
)
from kgclip_jax.knowledge.parsing.tree import NOUNS, Tree
from kgclip_jax.knowledge.scene_graph import Span
from kgclip_jax.knowledge.synonyms import meaning

MOST_WORDS = 4  # of a name; a sentence in another language looks like one long name

_NAMING = NOUNS | {"JJ", "UH"}

_ARGUMENTS = frozenset({"nsubj", "nsubjpass", "dobj"})

# A noun with one of these labels tells something about another word.
_MODIFIERS = frozenset(
    ["compound", "amod", "npadvmod", "advmod", "quantmod", "nummod", "prt", "det", "punct"]
)


def is_thing(tree: Tree, word: int) -> bool:
    """Tell whether a word stands for an object of the scene: a noun that heads its phrase."""
    if tree.tags[word] not in _NAMING:
        return False
    if word not in tree.things:
        tree.things[word] = _is_thing(tree, word)
    return tree.things[word]


def meant(tree: Tree, word: int) -> list[int]:
    """Return the things that a word stands for, with those that "and" or "or" joins to it.

    "A group of men and a dog": "group" stands for the men and the dog.
    """
    things = []
    waiting = [word]
    while waiting:
        word = waiting.pop()
        waiting += tree.labelled(word, "conj")[::-1]
        content = counted(tree, word)
        if content is not None:
            waiting.append(content)
        elif is_thing(tree, word):
            things.append(word)
    return things


def name(tree: Tree, word: int, lemmas: Lemmas) -> tuple[str, Span]:
    """Return the name of a thing and where it stands: "fire truck" for "fire trucks".

    Synonyms have one name: "motorcycle" for "motor bikes".
    """
    first = _first(tree, word)
    lemma = lemmas(tree.words[word], tree.tags[word])
    if first == word:
        return meaning(lemma), tree.spans[word]
    compound = tree.phrase(first, word).removesuffix(tree.words[word])
    return meaning(compound + lemma), tree.span(first, word)


def counted(tree: Tree, word: int) -> int | None:
    """Return the people of "a group of people", the dogs of "two of the dogs".

    And what a picture shows, and the house of "the front of a house".
    """
    noun, label = tree.words[word], tree.labels[word]
    if (
        noun in QUANTITIES
        or (tree.tags[word] in ("CD", "DT", "PDT", "JJ") and noun not in NEGATIVE_DETERMINERS)
        or (noun in PICTURES and label in ("ROOT", "attr"))
        or (noun in PLACES and label != "pobj" and tree.tags[word] in NOUNS)
    ):
        return _of(tree, word)
    return None


def described_place(tree: Tree, word: int) -> int | None:
    """Return the house of "in front of the house", where the word is "front"."""
    return _of(tree, word) if _is_place(tree, word) else None


def done_together(tree: Tree, verb: int) -> int | None:
    """Return the hands of "shakes hands with", which are no thing of their own."""
    word = verb + 1
    if tree.words[word + 1 : word + 2] != ["with"]:
        return None
    return word if tree.words[verb] in TOGETHER.get(tree.words[word], ()) else None


def coloured(tree: Tree, word: int) -> int | None:
    """Return the block of "a block of blue colour", where the word is "colour"."""
    preposition = tree.heads[word]
    if (
        tree.words[word] in COLOUR_NOUNS
        and tree.labels[word] == "pobj"
        and tree.words[preposition] in ("of", "in", "with")
    ):
        return tree.heads[preposition]
    return None


def is_denied(tree: Tree, word: int) -> bool:
    """Tell whether a noun names what is not there, as in "no dog", or "neither a dog nor a cat"."""
    if any(
        tree.words[child] in NEGATIVE_DETERMINERS
        for child in tree.labelled(word, "det", "neg", "preconj", "cc")
    ):
        return True
    head = tree.heads[word]
    alternative = any(tree.words[child] in ("or", "nor") for child in tree.labelled(head, "cc"))
    return tree.labels[word] == "conj" and alternative and is_denied(tree, head)


def is_used_as_verb(tree: Tree, word: int) -> bool:
    """Tell whether a word that is tagged as a noun does something: "a multicoloured dog runs"."""
    return tree.tags[word] in NOUNS and any(
        tree.labels[child] in _ARGUMENTS for child in tree.children[word]
    )


def _is_thing(tree: Tree, word: int) -> bool:
    return (
        _is_noun(tree, word)
        and tree.words[word] not in PRONOUNS
        and _role(tree, word) not in _MODIFIERS
        and not is_denied(tree, word)
        and not is_used_as_verb(tree, word)
        and not _is_colour(tree, word)
        and counted(tree, word) is None
        and not _is_place(tree, word)
        and not _shows(tree, word)
        and (word == 0 or done_together(tree, word - 1) is None)
        and coloured(tree, word) is None
        and _length(tree, word) <= MOST_WORDS
    )


def _is_noun(tree: Tree, word: int) -> bool:
    tag = tree.tags[word]
    return (
        tag in NOUNS
        or (tag == "JJ" and tree.labels[word] in ("nsubj", "dobj", "pobj"))  # "plays lacrosse"
        or (tag == "UH" and tree.words[word] in CALLED_OUT)
    )


def _is_colour(tree: Tree, word: int) -> bool:
    """Tell whether a noun is a mere colour, as in "a man in red"; "an orange" is none."""
    return tree.words[word] in COLOURS and not tree.labelled(
        word, "det", "amod", "nummod", "compound"
    )


def _is_place(tree: Tree, word: int) -> bool:
    """Tell whether a word says where and names no thing, as in "on the left"."""
    return tree.words[word] in PLACES and tree.labels[word] == "pobj"


def _shows(tree: Tree, word: int) -> bool:
    """Tell whether a noun is the picture itself, as in "the picture shows a dog"."""
    head = tree.words[tree.heads[word]]
    return tree.words[word] in PICTURES and tree.labels[word] == "nsubj" and head in SHOWING


def _length(tree: Tree, word: int) -> int:
    """Return how many words the name of a thing has; hyphens are none."""
    return sum(part != "-" for part in tree.words[_first(tree, word) : word + 1])


def _of(tree: Tree, word: int) -> int | None:
    for preposition in tree.labelled(word, "prep", "prt"):
        if tree.words[preposition] == "of":
            return next(iter(tree.labelled(preposition, "pobj")), None)
        if tree.words[preposition] == "up" and tree.words[word] == "close":
            return _of(tree, preposition)
    return None


def _role(tree: Tree, word: int) -> str:
    """Return the label of a word, or of the first of those that "and" joins it to."""
    while tree.labels[word] == "conj":
        word = tree.heads[word]
    return tree.labels[word]


def _first(tree: Tree, word: int) -> int:
    """Return the first word of a thing's name: compounds, and what hyphens join to them."""
    first = word
    while first > 0:
        before = first - 1
        compound = tree.labels[before] in ("compound", "nmod") and tree.heads[before] <= word
        if tree.joined(first):
            belongs = "-" in (tree.words[before], tree.words[first])
        else:
            belongs = compound and tree.words[before] not in PROPERTIES
        if not belongs:
            break
        first = before
    return first
