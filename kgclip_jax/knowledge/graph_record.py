"""The scene graphs of a record as bytes, from which one graph is read in microseconds.

Numbers of 32 bits, the lowest byte first, then names:

    size          of all, in numbers
    checksum      CRC-32 of all that follows
    letters       bytes of the names
    captions      hash of the captions, two numbers
    names         how many there are in graphs
    graphs        how many there are, one for each caption
    alone         how many of them tell more than the facts do
    places        where each graph begins, and where the last one ends
    alone         which ones these are
    graphs        of each: how many objects, attributes, relations; then lists of numbers: which
                  names objects, attributes and predicates have; how many attributes each object;
                  first and second object of each relation; where the spans of all begin, and end
    names         in UTF-8, between zero bytes: the key, those of the graphs, facts

Whatever has no span has one without letters. The facts are what all captions say together, see
`kgclip_jax.knowledge.facts`, so that reading five captions does not mean to build five graphs.
"""

import hashlib
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate, chain, islice, repeat
from operator import ge
from pathlib import Path
from struct import Struct
from typing import Any, TypeVar

import numpy as np

from kgclip_jax.errors import DataError
from kgclip_jax.knowledge.facts import Known, facts_of, repeats_a_name
from kgclip_jax.knowledge.scene_graph import Attribute, Relation, SceneGraph, SceneObject, Span

AGAIN = "make the graphs again: python launch/prepare.py parse, or graphs"

_HEAD = 8
_TWO_NUMBERS = Struct("<II")

T = TypeVar("T", bound=tuple)
_new: Callable[..., Any] = tuple.__new__


class GraphRecord:
    """A record that is read; each of its graphs is built when it is asked for.

    Attributes:
        content: all of it, as numbers.
        key: of the record.
        captions: texts that the graphs were made of, once they are told.
    """

    def __init__(self, content: memoryview, path: Path, place: int) -> None:
        """Read a record.

        Args:
            content: its numbers, as `memoryview.cast("I")` gives them.
            path: the file that they come from, for messages.
            place: of the first of them in the file.

        Raises:
            DataError: it is damaged.
        """
        self.content = content
        self.captions: Sequence[str] = ()
        self._file = path, place
        if len(content) < _HEAD or content[0] != len(content):
            raise self._error("no record begins and ends here")
        if content[1] != zlib.crc32(content[2:]):
            raise self._error("its checksum is another one")
        letters = content[2]
        end = len(content) - (letters + 3) // 4
        if end < _HEAD:
            raise self._error("it has no numbers")
        try:
            text = content[end:].tobytes()[:letters].decode("utf-8", "surrogatepass")
        except UnicodeDecodeError as error:
            raise self._error("its names are not UTF-8") from error
        self._numbers: list[int] = content[:end].tolist()
        self._names = text.split("\0")
        self.key = self._names[0]

    def describe(self, captions: Sequence[str]) -> None:
        """Tell which texts the graphs are of. Raises DataError if they were made of others."""
        if (self._numbers[3], self._numbers[4]) != _hash_of(captions):
            raise self._error(f"its graphs are not of the texts {list(captions)}")
        self.captions = captions

    def graph(self, number: int) -> SceneGraph:
        """Build the graph of a caption.

        Raises:
            DataError: it is malformed, a span ends beyond the caption, or there is no such caption.
        """
        if not 0 <= number < len(self.captions):
            raise self._error(f"caption {number} is none of {len(self.captions)}")
        try:
            start, stop = self._numbers[_HEAD + number : _HEAD + number + 2]
            graph, end = _graph(self._numbers[start:stop], self._names)
        except ValueError as error:
            raise self._error(f"caption {number}: {error}") from error
        if end > len(self.captions[number]):
            text = self.captions[number]
            raise self._error(f"caption {number}: a span ends beyond the text {text!r}")
        return graph

    def known(self) -> list[Known]:
        """Return what all captions say, as `facts.together` does. Raises DataError as `graph`."""
        names, graphs, alone = self._numbers[5:_HEAD]
        place = _HEAD + graphs + 1
        known: list[Known] = [self.graph(n) for n in self._numbers[place : place + alone]]
        return known if graphs < 2 else [frozenset(self._names[1 + names :]), *known]

    def _error(self, problem: str) -> DataError:
        path, place = self._file
        whose = f" ({self.key!r})" if hasattr(self, "key") else ""
        return DataError(f"{path}, record at {place}{whose}: {problem}; {AGAIN}")


def pack(key: str, captions: Sequence[str], graphs: Sequence[SceneGraph]) -> bytes:
    """Return a record as bytes.

    A zero byte in a name becomes a space.
    """
    if len(captions) != len(graphs):
        raise ValueError(f"{len(graphs)} graphs of {len(captions)} captions")
    names: dict[str, int] = {}
    rows = [_numbers(graph, names) for graph in graphs]
    several = len(graphs) > 1
    alone = [n for n, graph in enumerate(graphs) if not several or repeats_a_name(graph)]
    facts = sorted(facts_of(graphs)) if several else []
    text = "\0".join([plain(name) for name in (key, *names, *facts)])
    encoded = text.encode("utf-8", "surrogatepass")
    first = _HEAD + len(graphs) + 1 + len(alone)
    places = accumulate(map(len, rows), initial=first)
    head = len(encoded), *_hash_of(captions), len(names), len(graphs), len(alone)
    numbers = np.array([*head, *places, *alone, *chain.from_iterable(rows)], "<u4").tobytes()
    content = numbers + encoded + bytes(-len(encoded) % 4)
    size = 2 + len(content) // 4
    return np.array([size, zlib.crc32(content)], "<u4").tobytes() + content


def plain(name: str) -> str:
    """Return a name as it is stored."""
    return name.replace("\0", " ")


def _hash_of(captions: Sequence[str]) -> tuple[int, int]:
    text = "\0".join(captions).encode("utf-8", "surrogatepass")
    first, second = _TWO_NUMBERS.unpack(hashlib.blake2b(text, digest_size=8).digest())
    return first, second


def _numbers(graph: SceneGraph, names: dict[str, int]) -> list[int]:
    """Return the numbers of a graph; new names are added."""
    objects, relations = graph
    attributes = [attribute for thing in objects for attribute in thing.attributes]
    called = [
        *(thing.name for thing in objects),
        *(attribute.name for attribute in attributes),
        *(relation.predicate for relation in relations),
    ]
    parts: list[SceneObject | Attribute | Relation] = [*objects, *attributes, *relations]
    spans = [part.span or Span(0, 0) for part in parts]
    return [
        *(len(objects), len(attributes), len(relations)),
        *[names.setdefault(plain(name), 1 + len(names)) for name in called],
        *[len(thing.attributes) for thing in objects],
        *[relation.subject for relation in relations],
        *[relation.object for relation in relations],
        *[span.start for span in spans],
        *[span.stop for span in spans],
    ]


def _graph(row: Sequence[int], names: Sequence[str]) -> tuple[SceneGraph, int]:
    """Return the graph that `_numbers` made numbers of, and where its last span ends."""
    objects, attributes, relations = row[:3]
    described = objects + attributes
    count = described + relations
    counts = 3 + count
    subjects = counts + objects
    things = subjects + relations
    starts = things + relations
    stops = starts + count
    if len(row) != stops + count or sum(row[counts:subjects]) != attributes:
        raise ValueError("its numbers do not add up")
    if relations and max(row[subjects:starts]) >= objects:
        raise ValueError(f"a relation leads to none of the {objects} objects")
    try:
        called = [*map(names.__getitem__, row[3:counts])]
    except IndexError as error:
        raise ValueError(f"a name is none of {len(names)}") from error
    spans = _spans(row[starts:stops], row[stops:])
    owned: list[tuple[Attribute, ...]] = [()] * objects
    if attributes:
        own = _each(Attribute, called[objects:described], spans[objects:described])
        owned = [tuple(islice(own, number)) if number else () for number in row[counts:subjects]]
    scene = _each(SceneObject, called[:objects], owned, spans[:objects])
    links = row[subjects:things], called[described:], row[things:starts], spans[described:]
    graph = SceneGraph(tuple(scene), tuple(_each(Relation, *links)))
    return graph, max(row[stops:], default=0)


def _spans(starts: Sequence[int], stops: Sequence[int]) -> Sequence[Span | None]:
    spans = [*_each(Span, starts, stops)]
    if any(map(ge, starts, stops)):
        return [span if span.start < span.stop else None for span in spans]
    return spans


def _each(kind: type[T], *columns: Iterable[object]) -> Iterator[T]:
    """Yield a named tuple of each row; its own constructor would take twice as long."""
    return map(_new, repeat(kind), zip(*columns, strict=True))
