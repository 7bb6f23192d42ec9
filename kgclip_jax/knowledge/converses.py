"""Relations that two things can be told to have from either side.

What is left of a thing has that thing on its right: "a dog under a table" and "a table above a dog"
say the same, and so do "to its left" and "left of".
"""

from collections.abc import Mapping, Sequence

from kgclip_jax.knowledge.triples import Triple

Converses = tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]


def _beside(side: str) -> tuple[str, ...]:
    """Ways to say that something is to the left, or to the right, of something else."""
    places = [
        f"{preposition} {owner} {side}{rest}"
        for preposition in ("to", "on", "at")
        for owner, rests in (("the", (" of", " side of")), ("its", ("", " side")))
        for rest in rests
    ]
    return (f"{side} of", *places)


def _aside(ways: tuple[str, ...]) -> tuple[str, ...]:
    """Ways to say it between two things, and of one just named: "above it"."""
    return (*ways, *(f"{way} it" for way in ways))


_ABOVE, _BELOW = ("above", "over"), ("below", "beneath", "under", "underneath")
_BEHIND = ("behind", "partly behind")

# Pairs: ways to say a relation, the first of which stands for all; and ways to say its converse.
CONVERSES: Converses = (
    (_beside("left"), _beside("right")),
    (_aside(_ABOVE), _aside(_BELOW)),
    (_aside(("in front of",)), _aside(_BEHIND)),
)


_STANDING: Mapping[str, tuple[str, bool]] = {
    way: (ways[0], turned)
    for ways, contrary in CONVERSES
    for turned, group in ((False, ways), (True, contrary))
    for way in group
}


def one_way_round(triples: Sequence[Triple]) -> list[Triple]:
    """Tell each relation in the first of its ways, from whichever side that takes.

    ("dog", "under", "table") becomes ("table", "above", "dog"). Other triples stay as they are.
    """
    told = []
    for head, relation, tail in triples:
        name, turned = _STANDING.get(relation, (relation, False))
        told.append((tail, name, head) if turned else (head, name, tail))
    return told
