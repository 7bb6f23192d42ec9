"""Scene graphs: objects with attributes, and relations between them, tied to spans of a caption."""

from typing import NamedTuple


class Span(NamedTuple):
    """Characters [start, stop) of a caption."""

    start: int
    stop: int


class Attribute(NamedTuple):
    """A property of an object ("small"). `span` is None when no caption mentions it."""

    name: str
    span: Span | None = None


class SceneObject(NamedTuple):
    """A thing in a scene. `span` covers its name (not its attributes) in the caption."""

    name: str
    attributes: tuple[Attribute, ...] = ()
    span: Span | None = None


class Relation(NamedTuple):
    """`objects[subject]` stands in the relation `predicate` to `objects[object]`."""

    subject: int
    predicate: str
    object: int
    span: Span | None = None


class SceneGraph(NamedTuple):
    """The meaning of a picture or of a caption."""

    objects: tuple[SceneObject, ...]
    relations: tuple[Relation, ...] = ()


def entails(scene: SceneGraph, claim: SceneGraph) -> bool:
    """Tell whether everything `claim` says is true of `scene`.

    True if the claim's objects can be found as different objects of the scene, by name, with at
    least the claimed attributes, so that the scene lists each claimed relation between them. Names
    are compared as strings; spans play no part.
    """
    if not (_may_link(scene, claim) and _may_have(scene, claim)):
        return False
    relations = {(r.subject, r.predicate, r.object) for r in scene.relations}
    properties = [{attribute.name for attribute in thing.attributes} for thing in scene.objects]

    def extend(found: tuple[int, ...]) -> bool:
        if len(found) == len(claim.objects):
            return all(
                (found[r.subject], r.predicate, found[r.object]) in relations
                for r in claim.relations
            )
        wanted = claim.objects[len(found)]
        return any(
            thing.name == wanted.name
            and index not in found
            and all(attribute.name in properties[index] for attribute in wanted.attributes)
            and extend((*found, index))
            for index, thing in enumerate(scene.objects)
        )

    return extend(())


def _may_link(scene: SceneGraph, claim: SceneGraph) -> bool:
    """Tell whether each relation of a claim holds between things of these names.

    That refutes most claims, at a fraction of the cost of a search for their objects.
    """
    objects, relations = scene
    for subject, predicate, thing, _ in claim.relations:
        one, other = claim.objects[subject][0], claim.objects[thing][0]
        for here, known, there, _ in relations:
            if known == predicate and objects[here][0] == one and objects[there][0] == other:
                break
        else:
            return False
    return True


def _may_have(scene: SceneGraph, claim: SceneGraph) -> bool:
    """Tell whether each thing of a claim is like one of the scene, in name and attributes."""
    for name, attributes, _ in claim.objects:
        for known, properties, _ in scene.objects:
            if known == name and (
                not attributes
                or {attribute[0] for attribute in attributes}.issubset([p[0] for p in properties])
            ):
                break
        else:
            return False
    return True
