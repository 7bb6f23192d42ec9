"""Relations that can be told from either side: what is left of a thing has it on its right."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import TypeAlias

from kgclip_jax.knowledge.english import plain_words
from kgclip_jax.knowledge.triples import Triple

Converses: TypeAlias = tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]
"""Pairs: phrases for a relation, the first of which is its canonical name; and for its converse."""


def canonical(triples: Sequence[Triple], converses: Converses) -> list[Triple]:
    """Give each relation its canonical name, and turn round what was told from the other side.

    Where "under" is of the converse of "above", ("dog", "under", "table") becomes ("table",
    "above", "dog"). Relations that `converses` does not list stay as they are.
    """
    names = _canonical_names(converses)
    told = []
    for head, relation, tail in triples:
        name, inverse = names.get(relation, (relation, False))
        told.append((tail, name, head) if inverse else (head, name, tail))
    return told


def check_converses(converses: Converses) -> None:
    """Raise ValueError unless each phrase stands once, as `to_triples` writes it."""
    groups = [group for pair in converses for group in pair]
    phrases = [phrase for group in groups for phrase in group]
    if not all(groups):
        raise ValueError("converses: a relation and its converse need a phrase each")
    for phrase in phrases:
        if phrase != plain_words(phrase):
            raise ValueError(f"converses: {phrase!r} must be written {plain_words(phrase)!r}")
    twice = sorted({phrase for phrase in phrases if phrases.count(phrase) > 1})
    if twice:
        raise ValueError(f"converses: each phrase must stand once, not {', '.join(twice)}")


@cache
def _canonical_names(converses: Converses) -> Mapping[str, tuple[str, bool]]:
    """For each phrase: the canonical name of its relation, and whether it tells the converse."""
    return {
        phrase: (phrases[0], inverse)
        for phrases, inverse_phrases in converses
        for inverse, group in ((False, phrases), (True, inverse_phrases))
        for phrase in group
    }
