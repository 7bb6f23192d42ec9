"""Is a negative false? As far as scene graphs know."""

from functools import lru_cache

from kgclip_jax.knowledge.scene_graph import Relation, SceneGraph, entails

# Relations that hold both ways, alone or after a verb ("stand next to"); "by" and "with" only
# alone, for "ridden by" and "covered with" do not.
_SYMMETRIC = (
    *("across from", "adjacent to", "alongside", "beside", "close to", "near", "next to"),
    *("opposite", "opposite of", "together with", "touching"),
)
# What two do together, as parsers and as annotators name it.
_RECIPROCAL = (
    *("compete with", "competing with", "dance with", "dancing with", "embrace", "embracing"),
    *("face", "facing", "fight", "fighting", "fight with", "fighting with", "hug", "hugging"),
    *("kiss", "kissing", "meet", "meeting", "play with", "playing with", "speak to", "speak with"),
    *("speaking to", "speaking with", "talk to", "talk with", "talking to", "talking with"),
    *("wrestle", "wrestling", "wrestle with", "wrestling with"),
)
_ALONE = frozenset((*_SYMMETRIC, *_RECIPROCAL, "by", "with"))
_AFTER_A_VERB = tuple(f" {predicate}" for predicate in _SYMMETRIC)


class Truth:
    """All that is known to be true of a picture, by one graph or several."""

    def __init__(self, *graphs: SceneGraph) -> None:
        """Take the graphs; symmetric relations hold both ways in them, however they are written."""
        self._graphs = graphs
        self._scenes: list[SceneGraph] = []

    def holds(self, claim: SceneGraph) -> bool:
        """Tell whether one of the graphs says all that a claim does."""
        if not self._scenes:  # most captions without a negative never ask
            self._scenes = [_both_ways(graph) for graph in self._graphs]
        return any(entails(scene, claim) for scene in self._scenes)


def _both_ways(graph: SceneGraph) -> SceneGraph:
    """Return the graph with the converse of each symmetric relation."""
    objects, relations = graph
    for subject, predicate, thing, _ in graph.relations:
        if _is_symmetric(predicate):
            relations += (Relation(thing, predicate, subject),)
    return SceneGraph(objects, relations) if len(relations) > len(graph.relations) else graph


@lru_cache(2**16)
def _is_symmetric(predicate: str) -> bool:
    return predicate in _ALONE or predicate.endswith(_AFTER_A_VERB)
