"""Captions of emoji scenes, in varied English, each with the scene graph of what it says.

A caption is made in three steps: `choose_content` decides what to say, `choose_wording` in which
words, and `write` puts the names in. The first two do not depend on the names, so one content and
wording, written for two scenes whose things have changed places or properties, give two captions of
the same words.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from string import Formatter
from typing import NamedTuple

from kgclip_jax.data.emoji import caption_words
from kgclip_jax.data.emoji.caption_words import DEFAULTS
from kgclip_jax.data.emoji.scenes import Scene, relations_of
from kgclip_jax.data.emoji.world import EmojiWorld, Splits
from kgclip_jax.knowledge.caption import Caption
from kgclip_jax.knowledge.english import article
from kgclip_jax.knowledge.scene_graph import Attribute, Relation, SceneGraph, SceneObject, Span
from kgclip_jax.random import FastRandom

_MAX_THINGS = 3  # in one caption

BACKGROUND = (-1, "background")  # the detail that belongs to no thing


class Habits(NamedTuple):
    """How much of a scene captions tell, as probabilities."""

    leave_out: float  # of a thing; one always stays
    attribute: float  # of mentioning an attribute that has a word
    relation: float  # of mentioning how two of the things lie


def training_habits(world: EmojiWorld) -> Habits:
    """Return what captions of training scenes tell."""
    return Habits(
        leave_out=world.distractor_probability,
        attribute=world.attribute_probability,
        relation=world.relation_probability,
    )


class Content(NamedTuple):
    """What a caption says."""

    things: tuple[int, ...]  # numbers in the scene; the first is the relation's subject
    predicate: str | None  # of the first thing to the second
    details: frozenset[tuple[int, str]]  # (thing, attribute family), or BACKGROUND


class Wording(NamedTuple):
    """How a caption says it."""

    template: str  # slots as in caption_words.py
    relation: str
    words: Mapping[str, str]  # attribute -> the word chosen for it


def describe(parts: Splits, scene: Scene, habits: Habits, random: FastRandom) -> Caption:
    """Write a caption of a scene; everything it says is true.

    `world.max_words` is kept in any case.
    """
    content = choose_content(parts, scene, habits, random)
    return write(parts, scene, content, choose_wording(scene, content, random))


def choose_content(parts: Splits, scene: Scene, habits: Habits, random: FastRandom) -> Content:
    """Choose things, a relation between two of them, and as many details as the words allow."""
    order = list(range(len(scene.things)))
    random.shuffle(order)
    things = [order[0], *(n for n in order[1:] if not random.chance(habits.leave_out))][
        :_MAX_THINGS
    ]
    predicate = None
    words = caption_words.LONGEST_UNRELATED
    if len(things) > 1 and random.chance(habits.relation):
        true = [r for r in relations_of(scene) if r[0] in things and r[2] in things]
        predicate = random.choose(sorted({name for _, name, _ in true}))  # rare ones as often
        subject, _, other = random.choose([r for r in true if r[1] == predicate])
        things = [subject, other, *(n for n in things if n not in (subject, other))]
        words = caption_words.LONGEST_RELATED
    words += sum(_noun_words(parts, scene, n) for n in things)
    if len(things) == _MAX_THINGS:
        words += caption_words.LONGEST_ONE_MORE
        if words > parts.world.max_words:
            words -= caption_words.LONGEST_ONE_MORE + _noun_words(parts, scene, things.pop())
    details = [
        (n, family)
        for n in things
        for family in parts.world.thing_families
        if getattr(scene.things[n].look, family) != DEFAULTS[family]
    ]
    if "background" in parts.world.families:
        details.append(BACKGROUND)
    random.shuffle(details)
    said = []
    for detail in details:
        more = caption_words.LONGEST_BACKGROUND if detail is BACKGROUND else 1
        if random.chance(habits.attribute) and words + more <= parts.world.max_words:
            words += more
            said.append(detail)
    return Content(tuple(things), predicate, frozenset(said))


def choose_wording(scene: Scene, content: Content, random: FastRandom) -> Wording:
    """Choose the sentence and the synonyms."""
    relation = ""
    if content.predicate:
        template = random.choose(caption_words.RELATED)
        forms = caption_words.ASIDE if "{a}" in template else caption_words.BETWEEN
        relation = random.choose(forms[content.predicate])
    else:
        template = random.choose(caption_words.UNRELATED[len(content.things)])
    if BACKGROUND in content.details:
        template += random.choose(caption_words.BACKGROUNDS)
    if content.predicate and len(content.things) == _MAX_THINGS:
        template += random.choose(caption_words.ONE_MORE)
    values = [getattr(scene.things[n].look, f) for n, f in sorted(content.details) if n >= 0]
    words = {
        v: random.choose(caption_words.SYNONYMS[v]) for v in values if v in caption_words.SYNONYMS
    }
    return Wording(template, relation, words)


def write(parts: Splits, scene: Scene, content: Content, wording: Wording) -> Caption:
    """Write the caption out for a scene.

    The graph holds the objects in the order of mention and the relation, with spans into the text.
    A detail without a word (a natural colour) is passed over.
    """
    text = ""
    objects: list[SceneObject] = []
    order: dict[str, int] = {}
    numbers = dict(zip("sot", content.things, strict=False))
    relation_span = None
    for literal, slot in _pieces(wording.template):
        text += literal
        if slot in numbers:
            number = numbers[slot]
            look = scene.things[number].look
            values = [
                value
                for family in parts.world.thing_families
                if (number, family) in content.details
                and (value := getattr(look, family)) != DEFAULTS[family]
            ]
            order[slot] = len(objects)
            text, thing = _noun_phrase(text, values, _name(parts, scene, number), wording.words)
            objects.append(thing)
        elif slot == "b":
            text, thing = _noun_phrase(text, [scene.background], "background", wording.words)
            objects.append(thing)
        elif slot is not None:
            relation_span = Span(len(text), len(text) + len(wording.relation))
            text += wording.relation
    relations: tuple[Relation, ...] = ()
    if content.predicate:
        relations = (Relation(order["s"], content.predicate, order["o"], relation_span),)
    return Caption(text, SceneGraph(tuple(objects), relations))


def _noun_phrase(
    text: str, values: Sequence[str], name: str, words: Mapping[str, str]
) -> tuple[str, SceneObject]:
    """Append "a tiny red dog" to the text, and return the object with its spans."""
    adjectives = [words.get(value, value) for value in values]
    text += article(adjectives[0] if adjectives else name) + " "
    attributes = []
    for value, word in zip(values, adjectives, strict=True):
        attributes.append(Attribute(value, Span(len(text), len(text) + len(word))))
        text += word + " "
    span = Span(len(text), len(text) + len(name))
    return text + name, SceneObject(name, tuple(attributes), span)


def _name(parts: Splits, scene: Scene, number: int) -> str:
    return parts.concepts[scene.things[number].look.concept].name


def _noun_words(parts: Splits, scene: Scene, number: int) -> int:
    """Count the words of a thing's article and name."""
    return 2 + _name(parts, scene, number).count(" ")


@cache
def _pieces(template: str) -> tuple[tuple[str, str | None], ...]:
    """Split "{s} is {r} {o}" into (text before, slot) pairs."""
    return tuple((literal, slot) for literal, slot, _, _ in Formatter().parse(template))
