"""Scenes: which things, how they look and where they stand; and what is true of them."""

from collections.abc import Sequence
from typing import NamedTuple

from kgclip_jax.data.emoji.caption_words import CONVERSE, DEFAULTS, FAMILIES
from kgclip_jax.data.emoji.concepts import ARTISTS
from kgclip_jax.data.emoji.layouts import EXTENTS, Point, place, relations_between
from kgclip_jax.data.emoji.world import Splits
from kgclip_jax.errors import ConfigError
from kgclip_jax.knowledge.scene_graph import Attribute, Relation, SceneGraph, SceneObject
from kgclip_jax.random import FastRandom

_NATURAL_SHARE = 0.4  # of things keep their own colours
_UPRIGHT_SHARE = 0.7
_OVERLAPPING_SHARE = 0.75  # of scenes that can
_ATTEMPTS = 2_000


class Look(NamedTuple):
    """A thing without its place. `size`, `orientation`, `colour` are the attribute families."""

    concept: int
    artist: int
    size: str
    orientation: str
    colour: str

    def with_value(self, family: str, value: str) -> "Look":
        """Return the look with another value of one attribute family."""
        return Look(**{**self._asdict(), family: value})


class Thing(NamedTuple):
    """A look in its place."""

    look: Look
    centre: Point


class Scene(NamedTuple):
    """Things in the order of painting, so later ones hide earlier ones."""

    things: tuple[Thing, ...]
    background: str

    def with_looks(self, looks: Sequence[Look]) -> "Scene":
        """Return the scene with the same places filled by other things."""
        things = zip(looks, self.things, strict=True)
        return self._replace(things=tuple(Thing(look, thing.centre) for look, thing in things))


def draw_scene(
    parts: Splits,
    random: FastRandom,
    count: int | None = None,
    concepts: Sequence[int] | None = None,
) -> Scene:
    """Draw a scene that training may show: no unseen attribute-object or relation-object pair.

    Without a count there are 1 to `world.max_objects` things; without concepts, those of training.

    Raises:
        ConfigError: the pairs withheld leave no scene of that many things.
    """
    count = count or 1 + random.below(parts.world.max_objects)
    concepts = concepts or parts.seen
    overlapping = random.chance(_OVERLAPPING_SHARE)
    for _ in range(_ATTEMPTS):
        chosen = random.sample(concepts, count)
        chosen.sort(key=lambda concept: not parts.concepts[concept].broad)
        looks = [draw_look(parts, random, concept) for concept in chosen]
        scene = arrange(parts, random, looks, overlapping)
        if not has_unseen_relation(parts, scene):
            return scene
    raise ConfigError(
        f"no scene of {count} of {len(concepts)} concepts is left to show: lower unseen_pair_share "
        "or raise concepts"
    )


def arrange(
    parts: Splits, random: FastRandom, looks: Sequence[Look], overlapping: bool | None = None
) -> Scene:
    """Put things in their places, before a background.

    The rearmost look comes first. `overlapping` things do so in pairs (of three, the first two), if
    they are broad enough to show it; None lets them as often as in training.
    """
    if overlapping is None:
        overlapping = random.chance(_OVERLAPPING_SHARE)
    paired = looks[: len(looks) // 2 * 2]
    broad = all(parts.concepts[look.concept].broad for look in paired)
    centres = place([EXTENTS[look.size] for look in looks], overlapping and broad, random)
    background = DEFAULTS["background"]
    if "background" in parts.world.families:
        background = random.choose(FAMILIES["background"])
    return Scene(tuple(map(Thing, looks, centres)), background)


def draw_look(parts: Splits, random: FastRandom, concept: int) -> Look:
    """Draw an artist and attributes that training may show together with the concept."""
    allowed = parts.allowed
    sizes, orientations = allowed["size"][concept], allowed["orientation"][concept]
    colours = allowed["colour"][concept]
    upright = not orientations or random.chance(_UPRIGHT_SHARE)
    natural = not colours or random.chance(_NATURAL_SHARE)
    return Look(
        concept,
        random.below(len(ARTISTS)),
        random.choose(sizes) if sizes else DEFAULTS["size"],
        DEFAULTS["orientation"] if upright else random.choose(orientations),
        DEFAULTS["colour"] if natural else random.choose(colours),
    )


def relations_of(scene: Scene) -> list[tuple[int, str, int]]:
    """List all (subject, predicate, object) that the places make true, each with its converse."""
    found = []
    things = scene.things
    for b in range(len(things)):
        look_b, centre_b = things[b]
        for a in range(b):
            look_a, centre_a = things[a]
            extents = EXTENTS[look_a.size], EXTENTS[look_b.size]
            for predicate in relations_between(centre_a, centre_b, *extents):
                found.append((a, predicate, b))
                found.append((b, CONVERSE[predicate], a))
    return found


def count_unseen_attributes(parts: Splits, scene: Scene) -> int:
    """Count the attributes that training never shows with the thing that has them here."""
    return sum(
        (value, thing.look.concept) in parts.unseen_attributes
        for thing in scene.things
        for value in (thing.look.size, thing.look.orientation, thing.look.colour)
    )


def has_unseen_relation(parts: Splits, scene: Scene) -> bool:
    """Tell whether a thing is the subject of a relation in which training never shows it."""
    unseen = parts.unseen_relations
    return any(
        (predicate, scene.things[subject].look.concept) in unseen
        for subject, predicate, _ in relations_of(scene)
    )


def scene_graph(parts: Splits, scene: Scene) -> SceneGraph:
    """Write down everything that captions can say of a scene.

    Objects are the things in the order of painting, then, if backgrounds vary, "background". Values
    without a word (upright, natural colours) are left out: their absence does not mean that a word
    would be false, for a tomato is red by nature.
    """
    concepts, families = parts.concepts, parts.world.thing_families
    objects = [
        SceneObject(
            concepts[look.concept].name,
            tuple(
                Attribute(value)
                for family in families
                if (value := getattr(look, family)) != DEFAULTS[family]
            ),
        )
        for look, _ in scene.things
    ]
    if "background" in parts.world.families:
        objects.append(SceneObject("background", (Attribute(scene.background),)))
    return SceneGraph(
        tuple(objects),
        tuple(Relation(subject, name, thing) for subject, name, thing in relations_of(scene)),
    )
