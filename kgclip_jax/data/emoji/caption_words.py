"""What can be said about an emoji scene: attributes, relations, their words and their sentences."""

from collections.abc import Mapping

# Values of each family that have a word; families in the order of English adjectives.
FAMILIES: Mapping[str, tuple[str, ...]] = {
    "size": ("small", "large"),
    "orientation": ("upside-down",),
    "colour": ("grey", "red", "yellow", "green", "blue", "purple"),
    "background": ("white", "pink", "beige", "cyan"),
}

THING_FAMILIES = ("size", "orientation", "colour")

# What no caption mentions; and what everything is where the family is not used.
DEFAULTS: Mapping[str, str] = {
    "size": "medium",
    "orientation": "upright",
    "colour": "natural",
    "background": "white",
}

CONVERSE: Mapping[str, str] = {
    "left of": "right of",
    "right of": "left of",
    "above": "below",
    "below": "above",
    "in front of": "behind",
    "behind": "in front of",
}

# Words for attributes; where none are listed, the value is its own word.
SYNONYMS: Mapping[str, tuple[str, ...]] = {
    "small": ("small", "little", "tiny"),
    "large": ("large", "big", "huge"),
    "upside-down": ("upside-down", "inverted", "overturned"),
    "grey": ("grey", "gray"),
    "purple": ("purple", "violet"),
}

# "a dog ... a cat"
BETWEEN: Mapping[str, tuple[str, ...]] = {
    "left of": ("left of", "to the left of", "on the left of"),
    "right of": ("right of", "to the right of", "on the right of"),
    "above": ("above", "over"),
    "below": ("below", "beneath", "under"),
    "in front of": ("in front of",),
    "behind": ("behind", "partly behind"),
}

# "a cat with a dog ..."
ASIDE: Mapping[str, tuple[str, ...]] = {
    "left of": ("to its left", "on its left"),
    "right of": ("to its right", "on its right"),
    "above": ("above it", "over it"),
    "below": ("below it", "beneath it", "under it"),
    "in front of": ("in front of it",),
    "behind": ("behind it", "partly behind it"),
}

# Pairs of all phrases for a relation, its plainest first, and all for its converse.
CONVERSE_PHRASES = tuple(
    (BETWEEN[relation] + ASIDE[relation], BETWEEN[converse] + ASIDE[converse])
    for relation, converse in (
        ("left of", "right of"),
        ("above", "below"),
        ("in front of", "behind"),
    )
)

# Slots: {s} the subject, {o} the object, {t} one thing more, {r} a relation between, {a} one aside
# (then {s} stands after {o} in the sentence), {b} the background.
UNRELATED: Mapping[int, tuple[str, ...]] = {
    1: ("{s}", "there is {s}", "here is {s}", "a picture of {s}", "one can see {s}"),
    2: ("{s} and {o}", "there is {s} and {o}", "a picture of {s} and {o}", "{s} with {o}"),
    3: ("{s}, {o} and {t}", "there is {s}, {o} and {t}", "{s} and {o} with {t}"),
}
RELATED = (
    "{s} {r} {o}",
    "{s} is {r} {o}",
    "there is {s} {r} {o}",
    "{r} {o} is {s}",
    "{r} {o} there is {s}",
    "{o} with {s} {a}",
    "there is {o} with {s} {a}",
)
BACKGROUNDS = (" on {b}", " against {b}")
ONE_MORE = ("; also {t}", "; there is also {t}")

# Words of the longest sentence of each kind, without the things themselves.
LONGEST_UNRELATED = 4
LONGEST_RELATED = 7
LONGEST_ONE_MORE = 3
LONGEST_BACKGROUND = 4
