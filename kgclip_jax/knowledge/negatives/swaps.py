"""Two parts of a caption change places: objects, attributes, or the arguments of a relation.

    swap_objects     the nouns change places, attributes stay where they are
                     "a small dog above a large cat" / "a small cat above a large dog"
    swap_attributes  attributes of two objects change places, never those of one object
                     "a small dog above a large cat" / "a large dog above a small cat"
    swap_relation    the two sides of a relation change places with all their attributes
                     "a small dog above a large cat" / "a large cat above a small dog"
    structure_clip   attributes where they can be swapped, else the nouns of a relation
                     (Structure-CLIP, AAAI 2024)

Each kind is a generator of all its swaps of a caption, in random order. Swaps may be true all the
same ("a cat and a dog"): `truth` sorts those out. With `agreement` nouns change places only when
both are singular or both plural, and attributes when they are of one shape (see
`vocabulary.attribute_shape`), so that grammar does not give the false caption away: a rule of ours.
"""

from collections.abc import Iterator
from itertools import chain, combinations

from kgclip_jax.knowledge.english import determiner_before, plural, words_at
from kgclip_jax.knowledge.negatives.negative import Negative
from kgclip_jax.knowledge.negatives.rewriting import (
    CutSpanError,
    Shift,
    exchanged,
    renamed,
    rewrite,
)
from kgclip_jax.knowledge.scene_graph import Attribute, SceneGraph, SceneObject, Span
from kgclip_jax.knowledge.vocabulary import attribute_shape
from kgclip_jax.random import FastRandom

# Words for the stage, not for a thing on it.
SCENERY = frozenset(("background", "foreground", "distance", "image", "picture", "scene", "view"))

Phrase = tuple[Span, str]  # words of a caption, and what its graph calls them (or the first)


def swap_objects(
    text: str,
    graph: SceneGraph,
    random: FastRandom,
    *,
    agreement: bool = True,
    related: bool = False,
) -> Iterator[Negative]:
    """Exchange two nouns.

    Args:
        text: the caption.
        graph: what it says.
        random: decides the order.
        agreement: only two of one number.
        related: only those that a relation ties together.
    """
    objects = graph.objects
    if related:
        ties = dict.fromkeys(
            [(r[0], r[2]) if r[0] < r[2] else (r[2], r[0]) for r in graph.relations]
        )
        pairs = [(objects[first], objects[second]) for first, second in ties]
    else:
        pairs = list(combinations(objects, 2))
    for one, other in random.in_any_order(pairs):
        if (
            one.name != other.name
            and (nouns := _interchangeable(text, one, other, agreement))
            and (negative := _exchange_names(text, graph, *nouns, kind="swap_objects"))
        ):
            yield negative


def swap_attributes(
    text: str, graph: SceneGraph, random: FastRandom, *, agreement: bool = True
) -> Iterator[Negative]:
    """Exchange attributes of two objects; neither has the other's attribute already."""
    bearers = [thing for thing in graph.objects if thing.attributes]
    pairs = [
        ((first.span, first.name), (second.span, second.name))
        for one, other in combinations(bearers, 2)
        for first in one.attributes
        for second in other.attributes
        if first.span
        and second.span
        and not (_has(other, first) or _has(one, second))
        and (not agreement or _shape(text, first.span) == _shape(text, second.span))
    ]
    for one, other in random.in_any_order(pairs):
        if negative := _exchange_names(text, graph, one, other, kind="swap_attributes"):
            yield negative


def swap_relation(
    text: str, graph: SceneGraph, random: FastRandom, *, agreement: bool = True
) -> Iterator[Negative]:
    """Exchange subject and object of a relation, each with its article and attributes."""
    objects = graph.objects
    for subject, _, thing, _ in random.in_any_order(list(graph.relations)):
        if (
            subject != thing
            and _interchangeable(text, objects[subject], objects[thing], agreement)
            and (negative := _exchange_sides(text, graph, subject, thing))
        ):
            yield negative


def structure_clip(
    text: str, graph: SceneGraph, random: FastRandom, *, agreement: bool = True
) -> Iterator[Negative]:
    """Exchange attributes; where no such swap is left, the nouns of a relation."""
    return chain(
        swap_attributes(text, graph, random, agreement=agreement),
        swap_objects(text, graph, random, agreement=agreement, related=True),
    )


def _exchange_names(
    text: str, graph: SceneGraph, one: Phrase, other: Phrase, *, kind: str
) -> Negative | None:
    """Exchange the words of two spans, and what the graph calls them, if neither cuts a span."""
    left, right = (one, other) if one < other else (other, one)
    (span, name), (other_span, other_name) = left, right
    if span[1] > other_span[0]:
        return None
    new_text, shifts = _exchange_words(text, left, right)
    try:
        new_graph = renamed(graph, {span: other_name, other_span: name}, shifts)
    except CutSpanError:
        return None
    return Negative(new_text, new_graph, kind)


def _exchange_sides(text: str, graph: SceneGraph, subject: int, thing: int) -> Negative | None:
    """Exchange two nouns with all that belongs to them, if that cuts no span."""
    left, right = _phrase(text, graph.objects[subject]), _phrase(text, graph.objects[thing])
    if right < left:
        left, right, subject, thing = right, left, thing, subject
    span, other_span = left[0], right[0]
    if span[1] > other_span[0]:
        return None
    new_text, shifts = _exchange_words(text, left, right)
    try:
        new_graph = exchanged(graph, (subject, span), (thing, other_span), shifts)
    except CutSpanError:
        return None
    return Negative(new_text, new_graph, "swap_relation")


def _exchange_words(text: str, left: Phrase, right: Phrase) -> tuple[str, list[Shift]]:
    changes = ((left[0], words_at(text, *right)), (right[0], words_at(text, *left)))
    return rewrite(text, changes)


def _interchangeable(
    text: str, one: SceneObject, other: SceneObject, agreement: bool
) -> tuple[Phrase, Phrase] | None:
    """Return the nouns of two things, if with agreement both are singular or both plural."""
    (name, _, span), (other_name, _, other_span) = one, other
    if span is None or other_span is None or name in SCENERY or other_name in SCENERY:
        return None
    if agreement:
        words, other_words = text[span[0] : span[1]], text[other_span[0] : other_span[1]]
        if plural(words, name) != plural(other_words, other_name):
            return None
    return (span, name), (other_span, other_name)


def _shape(text: str, span: Span) -> str:
    return attribute_shape(text[span[0] : span[1]])


def _has(thing: SceneObject, attribute: Attribute) -> bool:
    """Tell whether an object has an attribute of that name, or shares the very words."""
    name, span = attribute
    return name in [own for own, _ in thing.attributes] or span in [s for _, s in thing.attributes]


def _phrase(text: str, thing: SceneObject) -> Phrase:
    """Return all words of an object, from its article or first attribute on."""
    name, attributes, span = thing
    start, stop = span or (0, 0)
    for attribute, here in attributes:
        if here is not None:
            if here[0] < start:
                start, name = here[0], attribute
            if here[1] > stop:
                stop = here[1]
    if determiner := determiner_before(text, start):
        start, name = determiner.start, text[determiner.start : determiner.stop].lower()
    return Span(start, stop), name
