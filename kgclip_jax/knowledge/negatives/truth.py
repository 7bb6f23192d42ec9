"""Is a negative false? As far as scene graphs know."""

from functools import lru_cache

from kgclip_jax.knowledge.facts import Facts, Known, property_fact, relation_fact
from kgclip_jax.knowledge.scene_graph import Relation, SceneGraph, entails

# Relations that hold both ways, alone or after a verb ("stand next to"); "by" and "with" only
# alone, for "ridden by" and "covered with" do not.
_SYMMETRIC = (
    *("across from", "adjacent to", "alongside", "beside", "close to", "near", "next to"),
    *("opposite", "opposite of", "together with", "touching"),
)
# What two do together: verbs as parsers name them, and as annotators do; "play" is no such one
# alone, for a man plays a guitar.
_VERBS = """
    arm-wrestle/arm-wrestling battle/battling box/boxing collide/colliding cuddle/cuddling
    embrace/embracing face/facing fight/fighting hug/hugging kiss/kissing marry/marrying
    meet/meeting wed/wedding wrestle/wrestling
"""
_VERBS_WITH = """
    argue/arguing chat/chatting compete/competing converse/conversing dance/dancing
    interact/interacting jog/jogging mix/mixing play/playing pose/posing race/racing run/running
    shake_hands/shaking_hands hold_hands/holding_hands join_hands/joining_hands
    link_arms/linking_arms lock_arms/locking_arms sit/sitting spar/sparring speak/speaking
    stand/standing swim/swimming talk/talking travel/traveling walk/walking
"""
_VERBS_TO = "speak/speaking talk/talking"
_VERBS_AGAINST = "compete/competing fight/fighting play/playing race/racing"


def _forms(verbs: str) -> list[str]:
    return [verb.replace("_", " ") for verb in verbs.replace("/", " ").split()]


_RECIPROCAL = (
    *_forms(_VERBS),
    *(f"{verb} with" for verb in _forms(_VERBS) + _forms(_VERBS_WITH)),
    *(f"{verb} to" for verb in _forms(_VERBS_TO)),
    *(f"{verb} against" for verb in _forms(_VERBS_AGAINST)),
)
_ALONE = frozenset((*_SYMMETRIC, *_RECIPROCAL, "by", "with"))
_AFTER_A_VERB = tuple(f" {predicate}" for predicate in _SYMMETRIC)


class Truth:
    """All that is known to be true of a picture, by graphs and sets of facts."""

    def __init__(self, *known: Known) -> None:
        """Take what is known; symmetric relations hold both ways in it, however it is written."""
        self._known = known
        self._scenes: list[Known] = []

    def holds(self, claim: SceneGraph) -> bool:
        """Tell whether one of the graphs, or of the sets of facts, says all that a claim does."""
        if not self._scenes:  # most captions without a negative never ask
            self._scenes = [
                known if isinstance(known, frozenset) else _both_ways(known)
                for known in self._known
            ]
        return any(
            _stated(known, claim) if isinstance(known, frozenset) else entails(known, claim)
            for known in self._scenes
        )


def _stated(facts: Facts, claim: SceneGraph) -> bool:
    """Tell whether facts say all that a claim does; they know of one thing of each name."""
    objects, relations = claim
    for subject, predicate, thing, _ in relations:
        one, other = objects[subject].name, objects[thing].name
        if relation_fact(one, predicate, other) not in facts and not (
            _is_symmetric(predicate) and relation_fact(other, predicate, one) in facts
        ):
            return False
    for name, attributes, _ in objects:
        if name not in facts:
            return False
        for attribute, _ in attributes:
            if property_fact(name, attribute) not in facts:
                return False
    return len({thing.name for thing in objects}) == len(objects)


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
