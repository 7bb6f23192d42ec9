"""Scene graphs as triples of words, which is how Structure-CLIP stores and encodes them.

A relation is (subject, predicate, object), an attribute is (object, "is", attribute). Relations
come first (Structure-CLIP, AAAI 2024, released code).
"""

import re
from collections.abc import Iterable
from typing import TypeAlias

from kgclip_jax.knowledge.english import plain_words
from kgclip_jax.knowledge.scene_graph import Attribute, Relation, SceneGraph, SceneObject, Span
from kgclip_jax.knowledge.synonyms import meaning

Triple: TypeAlias = tuple[str, str, str]

IS = "is"


def to_triples(graph: SceneGraph, text: str | None = None) -> list[Triple]:
    """Return the relations of a graph and then its attributes, each in their order.

    Args:
        graph: what a text says.
        text: the text, for its own words instead of the graph's names ("tiny" for "small"), where
            spans tell which they are; all by `plain_words`.
    """

    def words(name: str, span: Span | None) -> str:
        if text is None:
            return name
        return plain_words(name if span is None else text[span.start : span.stop])

    objects = [words(thing.name, thing.span) for thing in graph.objects]
    relations = [
        (objects[r.subject], words(r.predicate, r.span), objects[r.object]) for r in graph.relations
    ]
    return relations + [
        (name, IS, words(attribute.name, attribute.span))
        for name, thing in zip(objects, graph.objects, strict=True)
        for attribute in thing.attributes
    ]


def from_triples(text: str, triples: Iterable[Triple]) -> SceneGraph:
    """Build the graph of a caption from its triples, and find the words in the text.

    Objects of one name are one object, but for a triple of something and itself ("man next to
    man"). Only whole words count as found, with the endings of English; what is not found has no
    span. No two spans overlap. Synonyms have one name, see `synonyms.meaning`.
    """
    draft = _Draft(text)
    for head, relation, tail in triples:
        if relation == IS:
            draft.describe(head, tail)
        else:
            draft.relate(head, relation, tail)
    return draft.graph()


class _Draft:
    """A scene graph in the making, and the words of its caption that are not yet taken."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._taken: list[Span] = []
        self._numbers: dict[tuple[str, int], int] = {}  # (name, which of that name) -> object
        self._objects: list[SceneObject] = []
        self._relations: list[Relation] = []

    def relate(self, head: str, predicate: str, tail: str) -> None:
        """Add a relation."""
        subject, thing = self._object(head), self._object(tail, which=int(head == tail))
        start = self._objects[subject].span
        span = self._find(_inflected(predicate), near=start.stop if start else 0)
        self._relations.append(Relation(subject, predicate, thing, span))

    def describe(self, name: str, attribute: str) -> None:
        """Add an attribute, once."""
        number = self._object(name)
        thing = self._objects[number]
        if attribute not in [other.name for other in thing.attributes]:
            near = thing.span.start if thing.span else 0
            span = self._find(_inflected(attribute), near=near)
            if attribute == name and span and thing.span and thing.span < span:
                thing, span = thing._replace(span=span), thing.span  # "an orange orange"
            attributes = (*thing.attributes, Attribute(attribute, span))
            self._objects[number] = thing._replace(attributes=attributes)

    def graph(self) -> SceneGraph:
        """Return what has been added."""
        objects = [
            SceneObject(
                meaning(name),
                tuple([Attribute(meaning(a), where) for a, where in attributes]),
                span,
            )
            for name, attributes, span in self._objects
        ]
        return SceneGraph(tuple(objects), tuple(self._relations))

    def _object(self, name: str, which: int = 0) -> int:
        if (name, which) not in self._numbers:
            self._numbers[name, which] = len(self._objects)
            self._objects.append(SceneObject(name, (), self._find(_plural(name), near=0)))
        return self._numbers[name, which]

    def _find(self, pattern: str, near: int) -> Span | None:
        """Take the free occurrence of whole words that is nearest to a place."""
        matches = re.finditer(rf"(?<!\w)(?:{pattern})(?!\w)", self._text, re.IGNORECASE)
        spans = [Span(*match.span()) for match in matches if match[0].strip()]
        free = [span for span in spans if not self._overlaps(span)]
        if not free:
            return None
        span = min(free, key=lambda span: min(abs(span.start - near), abs(span.stop - near)))
        self._taken.append(span)
        return span

    def _overlaps(self, span: Span) -> bool:
        return any(span.start < other.stop and other.start < span.stop for other in self._taken)


# The words of triples are often lemmas: "ride" for "riding", "old" for "older".


def _plural(noun: str) -> str:
    return re.escape(noun.strip()) + "(?:e?s)?"


def _inflected(words: str) -> str:
    words = words.strip()
    if words.endswith("e"):
        return re.escape(words[:-1]) + "(?:e[drs]?|est|ing)"
    return re.escape(words) + "(?:e?[drs]|est|ing)?"
