"""What several captions of one picture say together: a set of facts, each of them a string.

    dog                there is a dog
    dog, brown         it is brown
    dog, on, sofa      it is on a sofa

where a tab stands for the comma. Things of one name are taken for one thing: where one caption has
"a brown dog on a sofa" and another "a dog with a ball", it may be true that a brown dog has a ball.
"""

from collections.abc import Sequence
from typing import TypeAlias

from kgclip_jax.knowledge.scene_graph import SceneGraph

Facts: TypeAlias = frozenset[str]
Known: TypeAlias = SceneGraph | Facts  # all that it says is true


def property_fact(name: str, attribute: str) -> str:
    """Return the fact that a thing has an attribute."""
    return f"{name}\t{attribute}"


def relation_fact(subject: str, predicate: str, thing: str) -> str:
    """Return the fact that a relation holds between two things."""
    return f"{subject}\t{predicate}\t{thing}"


def facts_of(graphs: Sequence[SceneGraph]) -> Facts:
    """Return what graphs say together, but for relations of a thing to itself."""
    facts = set()
    for objects, relations in graphs:
        for name, attributes, _ in objects:
            facts.add(name)
            facts.update([property_fact(name, attribute) for attribute, _ in attributes])
        for subject, predicate, thing, _ in relations:
            one, other = objects[subject].name, objects[thing].name
            if one != other:
                facts.add(relation_fact(one, predicate, other))
    return frozenset(facts)


def together(graphs: Sequence[SceneGraph]) -> list[Known]:
    """Return what several graphs of one picture say, together or alone.

    What needs two things of one name is true only if one graph alone says it.
    """
    if len(graphs) < 2:
        return list(graphs)
    # The others, without a name that occurs twice, say nothing that all together do not.
    return [facts_of(graphs), *[graph for graph in graphs if repeats_a_name(graph)]]


def repeats_a_name(graph: SceneGraph) -> bool:
    """Tell whether two things of a graph have one name."""
    return len({thing.name for thing in graph.objects}) < len(graph.objects)
