"""Other words in place of some spans of a caption, and the scene graph of the new text.

Whole spans are exchanged, never strings that happen to look alike. The article before new words is
made to fit ("a apple" becomes "an apple"), and the first word of a sentence keeps its capital.
"""

from collections.abc import Mapping, Sequence

from kgclip_jax.knowledge.english import article, capitalise, starts_sentence
from kgclip_jax.knowledge.scene_graph import Attribute, Relation, SceneGraph, SceneObject, Span

_ARTICLES = frozenset(("a", "A", "an", "An", "AN"))

# Named tuples take much of the time of a negative. So these are plain ones, and those of its graph
# are made without the constructors of their classes, which take twice as long.
Change = tuple[Span, str]  # a span gives way to other words
Shift = tuple[int, int, int]  # start, stop, by: a change there moves all that follows, by so much
_new = tuple.__new__


def rewrite(text: str, changes: Sequence[Change]) -> tuple[str, list[Shift]]:
    """Make changes in a text, and repair articles and capitals around them.

    Args:
        text: a caption.
        changes: none of them empty, in the order of the text, without overlap.

    Returns:
        The new text, and how places in the old text move, in the order of the text.
    """
    pieces: list[str] = []
    shifts: list[Shift] = []
    done = 0
    for (start, stop), words in changes:
        if text[start].isupper() and starts_sentence(text, start):
            words = capitalise(words)
        found = _article_before(text, start, done)
        if found and found.lower() != article(words):
            fitting = capitalise(article(words)) if found[0] == "A" else article(words)
            end = start - 1
            pieces += (text[done : end - len(found)], fitting)
            shifts.append((end - len(found), end, len(fitting) - len(found)))
            done = end
        pieces += (text[done:start], words)
        shifts.append((start, stop, len(words) - (stop - start)))
        done = stop
    pieces.append(text[done:])
    return "".join(pieces), shifts


class CutSpanError(ValueError):
    """A change covers a part of a span, so the graph of the new text is not known."""


def place(span: Span, shifts: Sequence[Shift]) -> Span:
    """Return where a span of the old text lies in the new one.

    A span that was changed as a whole, or holds changes, covers the new words.

    Raises:
        CutSpanError: a change covers only a part of it.
    """
    start, stop = new_start, new_stop = span
    if stop <= shifts[0][0]:  # nothing before it changes
        return span
    for change_start, change_stop, by in shifts:
        if change_stop <= start:
            new_start += by
            new_stop += by
        elif stop <= change_start:
            break
        elif start <= change_start and change_stop <= stop:
            new_stop += by
        else:
            raise CutSpanError
    return _new(Span, (new_start, new_stop))


def renamed(
    graph: SceneGraph, names: Mapping[Span | None, str], shifts: Sequence[Shift]
) -> SceneGraph:
    """Return the graph of a text in which some spans hold other names.

    Args:
        graph: of the old text.
        names: what the changed spans of the old text now say. An attribute that several objects
            share changes for all of them.
        shifts: what `rewrite` returned.

    Raises:
        CutSpanError: a change covers a part of a span.
    """
    objects = [_moved(thing, shifts, names) for thing in graph.objects]
    return SceneGraph(tuple(objects), _moved_relations(graph, shifts, names))


def exchanged(
    graph: SceneGraph, left: tuple[int, Span], right: tuple[int, Span], shifts: Sequence[Shift]
) -> SceneGraph:
    """Return the graph of a text in which two objects, with their attributes, changed places.

    Args:
        graph: of the old text.
        left: number of an object, and the span of all its words.
        right: the other one.
        shifts: what `rewrite` returned.

    Returns:
        The new graph: its relations hold between whatever stands in the places now.

    Raises:
        CutSpanError: a change covers a part of a span.
    """
    objects = [
        thing if number in (left[0], right[0]) else _moved(thing, shifts, {})
        for number, thing in enumerate(graph.objects)
    ]
    for (number, span), (target, target_span) in ((left, right), (right, left)):
        by = place(target_span, shifts).start - span.start
        objects[target] = _moved(graph.objects[number], ((0, 0, by),), {})
    return SceneGraph(tuple(objects), _moved_relations(graph, shifts, {}))


def _moved(
    thing: SceneObject, shifts: Sequence[Shift], names: Mapping[Span | None, str]
) -> SceneObject:
    """Return an object with its spans in their new places, and its new names."""
    name, attributes, span = thing
    if attributes:
        attributes = tuple(
            [
                _new(Attribute, (names.get(s, attribute), s and place(s, shifts)))
                for attribute, s in attributes
            ]
        )
    elif span is None or span[1] <= shifts[0][0]:  # nothing before it changes
        return thing
    return _new(SceneObject, (names.get(span, name), attributes, span and place(span, shifts)))


def _moved_relations(
    graph: SceneGraph, shifts: Sequence[Shift], names: Mapping[Span | None, str]
) -> tuple[Relation, ...]:
    """Return the relations of a graph with their spans in their new places, and new names."""
    first = shifts[0][0]
    return tuple(
        [
            relation
            if (span := relation[3]) is None or span[1] <= first
            else _new(
                Relation,
                (relation[0], names.get(span, relation[1]), relation[2], place(span, shifts)),
            )
            for relation in graph.relations
        ]
    )


def _article_before(text: str, position: int, done: int) -> str | None:
    """Return the "a" or "an" that stands one space before a position, at `done` or after."""
    if position <= done or text[position - 1] != " " or text[position - 2] not in "aAnN":
        return None
    word = text[max(done, position - 4) : position - 1].rpartition(" ")[2]
    return word if word in _ARTICLES else None
