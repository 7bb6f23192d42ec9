"""Pairs of scenes with captions of equal words: which thing, attribute and relation go together?

Both scenes of a pair have the same places, drawings and background; what one thing is or shows in
the first, the other thing is or shows in the second:

    swap objects      the things change, the attributes stay in their places
                      "a small dog above a large cat" / "a small cat above a large dog"
    swap attributes   one attribute changes sides, the things stay
                      "a small dog above a large cat" / "a large dog above a small cat"
    swap relation     the things change places and keep their attributes
                      "a small dog above a large cat" / "a large cat above a small dog"

Which scene comes first is a coin toss, and both are always tested, so a scorer that sees only the
texts, or only the pictures, is right exactly half of the time.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from kgclip_jax.data.emoji.caption_words import CONVERSE, DEFAULTS, FAMILIES
from kgclip_jax.data.emoji.captions import Content, choose_wording, write
from kgclip_jax.data.emoji.scenes import (
    Look,
    Scene,
    arrange,
    count_unseen_attributes,
    draw_look,
    draw_scene,
    has_unseen_relation,
    relations_of,
)
from kgclip_jax.data.emoji.world import Splits
from kgclip_jax.errors import ConfigError
from kgclip_jax.knowledge.caption import Caption
from kgclip_jax.random import FastRandom

_ATTEMPTS = 2_000


class Swap(NamedTuple):
    """One item: scene j fits caption j, and not the other."""

    scenes: tuple[Scene, Scene]
    captions: tuple[Caption, Caption]


SwapRule = Callable[[Splits, FastRandom], Swap | None]


def draw_swap(rule: SwapRule, parts: Splits, random: FastRandom) -> Swap:
    """Draw one item of a kind.

    Raises:
        ConfigError: the world leaves no such item.
    """
    for _ in range(_ATTEMPTS):
        if swap := rule(parts, random):
            return swap
    raise ConfigError(
        f"the world has nothing to test {rule.__name__.replace('_', ' ')} with: raise concepts, or "
        "change unseen_pair_share"
    )


def swap_rules(parts: Splits) -> dict[str, SwapRule]:
    """Return the kinds of swaps that a world allows, by name."""
    rules: dict[str, SwapRule] = {}
    if parts.world.thing_families:
        rules["swap objects"] = swap_objects
        rules["swap attributes"] = swap_attributes
    rules["swap relation"] = swap_relation
    if _shared(parts.unseen_attributes):
        rules["unseen attribute-object pairs"] = unseen_attribute_pairs
    if _shared(parts.unseen_relations):
        rules["unseen relation-object pairs"] = unseen_relation_pairs
    return rules


def swap_objects(parts: Splits, random: FastRandom) -> Swap | None:
    """Exchange the things of a seen scene, not the attributes; some that differ are said."""
    scene = draw_scene(parts, random, count=2)
    first, second = _looks(scene)
    families = _differing(parts, first, second)
    if not families or not _stay_visible(parts, (first, second)):
        return None
    random.shuffle(families)
    looks = [
        first._replace(concept=second.concept, artist=second.artist),
        second._replace(concept=first.concept, artist=first.artist),
    ]
    scenes = scene, scene.with_looks(looks)
    said = families[: 1 + random.below(len(families))]
    return _tell(parts, random, scenes, said, random.choose(relations_of(scene)))


def swap_attributes(parts: Splits, random: FastRandom) -> Swap | None:
    """Exchange one attribute of a seen scene; the relation is said as often as in training."""
    scene = draw_scene(parts, random, count=2)
    families = _differing(parts, *_looks(scene))
    if not families:
        return None
    family = random.choose(families)
    scenes = scene, _exchange(scene, family)
    return _tell(parts, random, scenes, [family], _sometimes_a_relation(parts, scene, random))


def swap_relation(parts: Splits, random: FastRandom) -> Swap | None:
    """Exchange the places of two things in a seen scene; each attribute is said at even odds."""
    scene = draw_scene(parts, random, count=2)
    scenes = scene, scene.with_looks(_looks(scene)[::-1])
    said = [family for family in parts.world.thing_families if random.chance(0.5)]
    return _tell(parts, random, scenes, said, random.choose(relations_of(scene)))


def unseen_attribute_pairs(parts: Splits, random: FastRandom) -> Swap | None:
    """Exchange an attribute that training shows with neither of the two things.

    Each scene holds exactly one unseen pair, so neither is the more familiar one.
    """
    value = random.choose(_shared(parts.unseen_attributes))
    family = next(name for name in parts.world.thing_families if value in FAMILIES[name])
    concepts = random.sample(_holders(parts.unseen_attributes, value), 2)
    first, second = (draw_look(parts, random, concept) for concept in concepts)
    first = first.with_value(family, value)
    if family not in _differing(parts, first, second):
        return None
    scene = arrange(parts, random, (first, second))
    scenes = scene, _exchange(scene, family)
    return _tell(
        parts,
        random,
        scenes,
        [family],
        _sometimes_a_relation(parts, scene, random),
        unseen_attributes=1,
    )


def unseen_relation_pairs(parts: Splits, random: FastRandom) -> Swap | None:
    """Exchange the places of two things, neither of which training shows as such a subject."""
    predicate = random.choose(_shared(parts.unseen_relations))
    concepts = random.sample(_holders(parts.unseen_relations, predicate), 2)
    looks = [draw_look(parts, random, concept) for concept in concepts]
    scene = arrange(parts, random, looks)
    if (0, predicate, 1) not in relations_of(scene):
        return None
    scenes = scene, scene.with_looks(looks[::-1])
    said = [family for family in parts.world.thing_families if random.chance(0.5)]
    forms = ((0, predicate, 1), (1, CONVERSE[predicate], 0))
    return _tell(parts, random, scenes, said, random.choose(forms), unseen_relations=True)


def _tell(
    parts: Splits,
    random: FastRandom,
    scenes: tuple[Scene, Scene],
    families: Sequence[str],
    relation: tuple[int, str, int] | None,
    unseen_attributes: int = 0,
    unseen_relations: bool = False,
) -> Swap | None:
    """Write one caption, filled in for both scenes, and toss the coin for their order.

    None if a scene has not as many unseen pairs as it should have, or if the caption is too long.
    """
    for scene in scenes:
        if count_unseen_attributes(parts, scene) != unseen_attributes:
            return None
        if has_unseen_relation(parts, scene) != unseen_relations:
            return None
    things, predicate = (0, 1), None
    if relation:
        things, predicate = (relation[0], relation[2]), relation[1]
    elif random.chance(0.5):
        things = (1, 0)
    details = frozenset((thing, family) for thing in things for family in families)
    content = Content(things, predicate, details)
    wording = choose_wording(scenes[0], content, random)
    first, second = (write(parts, scene, content, wording) for scene in scenes)
    if len(first.text.split()) > parts.world.max_words:
        return None
    if random.chance(0.5):
        return Swap(scenes[::-1], (second, first))
    return Swap(scenes, (first, second))


def _looks(scene: Scene) -> list[Look]:
    return [thing.look for thing in scene.things]


def _exchange(scene: Scene, family: str) -> Scene:
    """Let the two things of a scene exchange their values of one family."""
    first, second = _looks(scene)
    return scene.with_looks(
        [
            first.with_value(family, getattr(second, family)),
            second.with_value(family, getattr(first, family)),
        ]
    )


def _differing(parts: Splits, first: Look, second: Look) -> list[str]:
    """List the families in which two looks differ to the eye.

    A natural colour may happen to be any colour (a "red apple" is true of two drawings), so it
    differs from none. A thing that looks the same upside down is never turned.
    """
    families = []
    for family in parts.world.thing_families:
        values = getattr(first, family), getattr(second, family)
        if values[0] == values[1] or (family == "colour" and DEFAULTS[family] in values):
            continue
        if family != "orientation" or _all_turn(parts, (first, second)):
            families.append(family)
    return families


def _stay_visible(parts: Splits, looks: Sequence[Look]) -> bool:
    """Tell whether attributes can be handed to the other thing: nothing round gets turned."""
    upright = all(look.orientation == DEFAULTS["orientation"] for look in looks)
    return upright or _all_turn(parts, looks)


def _all_turn(parts: Splits, looks: Sequence[Look]) -> bool:
    return all(parts.concepts[look.concept].turns for look in looks)


def _sometimes_a_relation(
    parts: Splits, scene: Scene, random: FastRandom
) -> tuple[int, str, int] | None:
    if not random.chance(parts.world.relation_probability):
        return None
    return random.choose(relations_of(scene))


def _holders(pairs: frozenset[tuple[str, int]], name: str) -> list[int]:
    """List the concepts that are kept apart from an attribute or relation."""
    return sorted(concept for other, concept in pairs if other == name)


def _shared(pairs: frozenset[tuple[str, int]]) -> list[str]:
    """List the attributes or relations that are kept apart from two concepts at least."""
    counts = Counter(name for name, _ in pairs)
    return sorted(name for name, count in counts.items() if count > 1)
