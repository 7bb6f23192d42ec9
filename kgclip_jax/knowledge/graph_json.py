"""Scene graphs as JSON values, and back.

    {"objects": [["dog", [2, 5], [["black", [8, 13]]]], ["ball", null, []]],
     "relations": [[0, "chase", 1, [14, 20]]]}

An object is its name, its span and its attributes; a relation is the numbers of two objects with
the predicate between them, and its span. Spans that no caption has are null.
"""

from typing import Any

from kgclip_jax.errors import DataError
from kgclip_jax.knowledge.scene_graph import Attribute, Relation, SceneGraph, SceneObject, Span


def graph_to_json(graph: SceneGraph) -> dict[str, Any]:
    """Return a graph as lists, numbers and strings."""
    return {
        "objects": [
            [thing.name, _plain(thing.span), [[a.name, _plain(a.span)] for a in thing.attributes]]
            for thing in graph.objects
        ],
        "relations": [
            [relation.subject, relation.predicate, relation.object, _plain(relation.span)]
            for relation in graph.relations
        ],
    }


def graph_from_json(value: Any, where: str) -> SceneGraph:
    """Return the graph that `graph_to_json` made a value of.

    Types are compared one by one: `match` looks each list up as an abstract sequence, which takes
    longer than all the rest.

    Args:
        value: what the JSON decoder gave.
        where: names the file and the record, for the error.

    Raises:
        DataError: it is no graph, or a relation leads to an object that is not there.
    """
    if type(value) is dict:
        objects, relations = value.get("objects"), value.get("relations")
        if type(objects) is list and type(relations) is list:
            things = tuple([_object(entry, where) for entry in objects])
            links = tuple([_relation(entry, len(things), where) for entry in relations])
            return SceneGraph(things, links)
    raise DataError(f"{where}: a scene graph has lists of objects and of relations")


def _object(entry: Any, where: str) -> SceneObject:
    if type(entry) is list and len(entry) == 3:
        name, span, attributes = entry
        if type(name) is str and type(attributes) is list:
            properties = tuple([_attribute(attribute, where) for attribute in attributes])
            return SceneObject(name, properties, _span(span, where))
    raise DataError(f"{where}: an object must be [name, span, attributes], not {entry!r}")


def _attribute(entry: Any, where: str) -> Attribute:
    if type(entry) is list and len(entry) == 2 and type(entry[0]) is str:
        return Attribute(entry[0], _span(entry[1], where))
    raise DataError(f"{where}: an attribute must be [name, span], not {entry!r}")


def _relation(entry: Any, objects: int, where: str) -> Relation:
    if type(entry) is list and len(entry) == 4:
        subject, predicate, other, span = entry
        if type(subject) is int and type(predicate) is str and type(other) is int:
            if 0 <= subject < objects and 0 <= other < objects:
                return Relation(subject, predicate, other, _span(span, where))
            raise DataError(f"{where}: relation {entry!r} leads to none of the {objects} objects")
    raise DataError(f"{where}: a relation must be [object, predicate, object, span], not {entry!r}")


def _span(entry: Any, where: str) -> Span | None:
    if entry is None:
        return None
    if type(entry) is list and len(entry) == 2:
        start, stop = entry
        if type(start) is int and type(stop) is int and 0 <= start < stop:
            return Span(start, stop)
    raise DataError(f"{where}: a span must be [start, stop] of some letters or null, not {entry!r}")


def _plain(span: Span | None) -> list[int] | None:
    return None if span is None else list(span)
