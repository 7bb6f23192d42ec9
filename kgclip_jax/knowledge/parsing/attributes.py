"""Attributes: adjectives and participles that describe the things of a caption."""

from collections.abc import Iterator
from typing import NamedTuple

from kgclip_jax.knowledge.parsing.clauses import is_predicate, subjects
from kgclip_jax.knowledge.parsing.lexicon import (
    COLOURED,
    COLOURS,
    NOT_PROPERTIES,
    PROPERTIES,
    SHADES,
)
from kgclip_jax.knowledge.parsing.nouns import coloured, is_thing
from kgclip_jax.knowledge.parsing.tree import Tree

_ADJECTIVES = frozenset({"JJ", "JJR", "JJS", "RB", "VBN", "VBG", "VBD"})
_COMPLEMENTS = frozenset({"dobj", "prep", "dative", "prt", "agent", "xcomp", "ccomp", "acomp"})
_PHRASES = frozenset({"acl", "relcl", "ROOT", "conj", "ccomp"})


class Property(NamedTuple):
    """An attribute of a thing; `first` to `last` are the words that express it."""

    thing: int
    first: int
    last: int


def properties(tree: Tree) -> Iterator[Property]:
    """Yield the attributes of a caption's things.

    They are adjectives and participles before the noun ("a small spotted dog") and behind a verb
    ("the dog is brown"), colours and materials ("a metal cup"), and actions that involve nothing
    else ("a man smiling"). Numbers are no attributes: they cannot change places with a colour.
    """
    for word, label in enumerate(tree.labels):
        if label == "amod" or (label == "compound" and tree.words[word] in PROPERTIES):
            yield from _each(tree, word, _bearers(tree, tree.heads[word]))
        elif label in ("acomp", "oprd"):
            yield from _each(tree, word, _affirmed(tree, tree.heads[word]))
        elif tree.tags[word] in ("JJ", "RB") and is_predicate(tree, word):
            yield from _each(tree, word, _affirmed(tree, word))
        elif tree.tags[word] == "VBG" and _is_bare(tree, word):
            for thing in _affirmed(tree, word):
                yield Property(thing, word, word)


def _bearers(tree: Tree, noun: int) -> list[int]:
    """Return the thing that adjectives of a noun describe: that of "a thing of blue colour"."""
    bearer = coloured(tree, noun)
    noun = noun if bearer is None else bearer
    return [noun] if is_thing(tree, noun) else []


def _affirmed(tree: Tree, predicate: int) -> list[int]:
    """Return the things that something is said of, unless with a "not"."""
    return [] if tree.labelled(predicate, "neg") else subjects(tree, predicate)


def _each(tree: Tree, word: int, things: list[int]) -> Iterator[Property]:
    """Yield an adjective, and those that "and" joins to it, for each thing."""
    if not things or not (tree.tags[word] in _ADJECTIVES or tree.words[word] in PROPERTIES):
        return
    if _is_property(tree, word):
        first, last = _extent(tree, word)
        for thing in things:
            yield Property(thing, first, last)
    for other in tree.labelled(word, "conj"):
        yield from _each(tree, other, things)


def _is_property(tree: Tree, word: int) -> bool:
    """Tell whether an adjective describes by itself, unlike "full of", or "mini" of "mini-race"."""
    if tree.words[word] in NOT_PROPERTIES or tree.labelled(word, "prep", "xcomp"):
        return False
    following = tree.words[word + 1] if word + 1 < len(tree.words) else ""
    if tree.words[word] in SHADES and following in COLOURS:
        return False
    return tree.words[word] != "-" and not (following == "-" and tree.joined(word + 1))


def _extent(tree: Tree, word: int) -> tuple[int, int]:
    """Return the words of an attribute: "dark blue", "long-haired", "blue" of "blue colored"."""
    first = word
    while tree.joined(first) and "-" in (tree.words[first], tree.words[first - 1]):
        first -= 1
    before = first - 1
    if before >= 0 and tree.words[word] in COLOURED and tree.heads[before] == word:
        return before, before
    if before >= 0 and tree.words[word] in COLOURS and tree.words[before] in SHADES:
        return before, word
    return first, word


def _is_bare(tree: Tree, verb: int) -> bool:
    """Tell whether a verb stands without any complement."""
    return (
        tree.labels[verb] in _PHRASES
        and is_predicate(tree, verb)
        and not any(
            tree.labels[child] in _COMPLEMENTS or tree.labelled(child, "prep")
            for child in tree.children[verb]
        )
    )
