"""Questions about one property of an emoji scene, with every answer painted and told.

An item is some scenes that differ in one property, each with a caption that is true of it alone:

    colour      one thing, in all colours         "a red dog" / "a blue dog" / ...
    size        one thing, in all sizes           "a small dog" / "a large dog"
    position    two things, in all directions     "a dog left of a cat" / "a dog above a cat" / ...
    negation    one of two things                 "a dog and not a cat" / "a cat and not a dog"
    absence     a thing, or another one           "there is a dog" / "there is not a dog"

All captions of an item are tried on all of its scenes, so a scorer that sees the captions alone is
right about exactly one scene an item. Captions of an item have the same words but for the property.
In half of the items of "negation" what is absent is said first, so a scorer that passes over "not"
is right half of the time in whatever order it reads.

The first three families are told as training tells them. No caption of training says "not" or
"without": what a model makes of these it has from elsewhere, or guesses. Nor does it take negation
to be right more often than by chance: any strange word may blur the name that it stands beside.

Where training shows a concept, but never with some value ("a red dog", "a dog left of ..."), that
value is not asked for, lest it be told by being unfamiliar.

Source: Pan et al., Knowledge-CLIP, NeurIPS 2022, which asks VQA's questions about colour, position,
size and negation.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeAlias

from kgclip_jax.data.emoji.caption_words import ASIDE, BETWEEN, RELATED, UNRELATED
from kgclip_jax.data.emoji.captions import Content, Wording, write
from kgclip_jax.data.emoji.scenes import (
    Scene,
    Thing,
    arrange,
    draw_look,
    draw_scene,
    has_unseen_relation,
    relations_of,
)
from kgclip_jax.data.emoji.world import Splits
from kgclip_jax.errors import ConfigError
from kgclip_jax.knowledge.caption import Caption
from kgclip_jax.knowledge.english import article
from kgclip_jax.knowledge.scene_graph import SceneGraph, SceneObject
from kgclip_jax.random import FastRandom

_ATTEMPTS = 2_000

# Slots: {there} and {absent}, both with their articles.
_EXCLUSIONS = (
    "{there} and not {absent}",
    "not {absent} but {there}",
    "there is {there} and not {absent}",
    "there is not {absent} but {there}",
)
_PRESENCE_AND_ABSENCE = (
    ("there is {there}", "there is not {absent}"),
    ("a picture of {there}", "a picture without {absent}"),
)

Item: TypeAlias = list[tuple[Scene, Caption]]
Family: TypeAlias = Callable[[Splits, FastRandom, Sequence[int]], Item | None]


def families(parts: Splits) -> dict[str, Family]:
    """Return the families of questions that a world allows, by name."""
    attributes = [name for name in ("colour", "size") if name in parts.world.families]
    return {
        **{name: partial(_attribute, name) for name in attributes},
        "position": _position,
        "negation": _negation,
        "absence": _absence,
    }


def draw_item(
    name: str, family: Family, parts: Splits, random: FastRandom, concepts: Sequence[int]
) -> Item:
    """Draw an item about two or more of the concepts' things, its answers in random order.

    Raises:
        ConfigError: the world leaves no such item.
    """
    for _ in range(_ATTEMPTS):
        item = family(parts, random, concepts)
        if item and len(item) > 1:
            random.shuffle(item)
            return item
    raise ConfigError(
        f"the world has nothing to ask about {name} with {len(concepts)} concepts: raise concepts, "
        "or lower unseen_pair_share"
    )


def _attribute(
    family: str, parts: Splits, random: FastRandom, concepts: Sequence[int]
) -> Item | None:
    """Paint a thing with each value of a family that training may show it with."""
    concept = random.choose(concepts)
    values = parts.allowed[family][concept]
    if not values:
        return None
    # Smaller things fit where the last and largest one is.
    look = draw_look(parts, random, concept).with_value(family, values[-1])
    place = arrange(parts, random, (look,))
    content = Content((0,), None, frozenset([(0, family)]))
    wording = Wording(random.choose(UNRELATED[1]), "", {})
    scenes = [place.with_looks([look.with_value(family, value)]) for value in values]
    return [(scene, write(parts, scene, content, wording)) for scene in scenes]


def _position(parts: Splits, random: FastRandom, concepts: Sequence[int]) -> Item | None:
    """Put two things side by side, either of them first, in a row and in a column."""
    looks = [draw_look(parts, random, concept) for concept in random.sample(concepts, 2)]
    row = arrange(parts, random, looks, overlapping=False)
    one, other = (thing.centre for thing in row.things)
    template = random.choose(RELATED)
    phrases = ASIDE if "{a}" in template else BETWEEN
    item = []
    for centres in ((one, other), (other, one), (one[::-1], other[::-1]), (other[::-1], one[::-1])):
        scene = row._replace(things=tuple(map(Thing, looks, centres)))
        predicates = [name for subject, name, _ in relations_of(scene) if subject == 0]
        if len(predicates) > 1:  # in opposite corners two captions would be true
            return None
        if not has_unseen_relation(parts, scene):
            wording = Wording(template, random.choose(phrases[predicates[0]]), {})
            content = Content((0, 1), predicates[0], frozenset())
            item.append((scene, write(parts, scene, content, wording)))
    return item


def _negation(parts: Splits, random: FastRandom, concepts: Sequence[int]) -> Item:
    """Show one of two things, and say which one is not there."""
    pair = random.sample(concepts, 2)
    template = random.choose(_EXCLUSIONS)
    scenes = [draw_scene(parts, random, 1, [concept]) for concept in pair]
    captions = [_say(parts, template, *order) for order in (pair, pair[::-1])]
    return [*zip(scenes, captions, strict=True)]


def _absence(parts: Splits, random: FastRandom, concepts: Sequence[int]) -> Item:
    """Show a thing or another one, and say whether the first one is there."""
    concept, other = random.sample(concepts, 2)
    presence, absence = random.choose(_PRESENCE_AND_ABSENCE)
    return [
        (draw_scene(parts, random, 1, [concept]), _say(parts, presence, concept, None)),
        (draw_scene(parts, random, 1, [other]), _say(parts, absence, None, concept)),
    ]


def _say(parts: Splits, template: str, there: int | None, absent: int | None) -> Caption:
    """Fill a template in. Its graph holds what is there: scene graphs know no absence."""
    names = ["" if concept is None else parts.concepts[concept].name for concept in (there, absent)]
    present, missing = (f"{article(name)} {name}" for name in names)
    text = template.format(there=present, absent=missing)
    return Caption(text, SceneGraph((SceneObject(names[0]),) if names[0] else ()))
