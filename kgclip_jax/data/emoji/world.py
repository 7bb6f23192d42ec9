"""The settings of an emoji world, and what of it training never sees."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Annotated, NamedTuple

import numpy as np

from kgclip_jax.data.emoji.caption_words import (
    CONVERSE,
    FAMILIES,
    LONGEST_RELATED,
    THING_FAMILIES,
)
from kgclip_jax.data.emoji.concepts import Concept, choose_concepts
from kgclip_jax.random import generator
from kgclip_jax.ranges import Range, Share
from kgclip_jax.schema import check

MAX_OBJECTS = 4
MIN_WORDS = LONGEST_RELATED + 2 * 3  # around two things, each an article and two words


@dataclass(frozen=True)
class EmojiWorld:
    """Everything that decides which scenes exist and how captions speak of them.

    Attributes:
        seed: another seed gives other concepts, scenes and held-out pairs.
        concepts: kinds of things that training shows.
        unseen_concepts: kinds of things that only evaluation shows.
        scenes: training scenes; the same finite set is seen in every epoch.
        max_objects: scenes hold 1 to this many things (at most 4), each number equally often.
        families: which attributes vary ("size", "orientation", "colour", "background").
        distractor_probability: a thing in the picture is left out of a caption (one always stays).
        attribute_probability: an attribute that has a word is mentioned.
        relation_probability: a caption of several things says how two of them lie.
        unseen_pair_share: of the concepts, how many are never shown with a given attribute value,
            and how many never as the subject of a given relation.
        max_words: captions are no longer.
        captions: of each training scene, the same ones in every epoch; None: always new ones.

    Raises:
        ValueError: a family is unknown, or there twice.
    """

    seed: Annotated[int, Range(0, 2**63 - 1)] = 0
    concepts: Annotated[int, Range(8, 1_000_000)] = 100
    unseen_concepts: Annotated[int, Range(0, 1_000_000)] = 20
    scenes: Annotated[int, Range(1, 2**62)] = 3000
    max_objects: Annotated[int, Range(1, MAX_OBJECTS)] = 3
    families: tuple[str, ...] = tuple(FAMILIES)
    distractor_probability: Share = 0.3
    attribute_probability: Share = 0.5
    relation_probability: Share = 0.7
    unseen_pair_share: Annotated[float, Range(0, 0.4)] = 0.1
    max_words: Annotated[int, Range(MIN_WORDS, 1_000)] = 16
    captions: Annotated[int, Range(1, 1_000)] | None = None

    def __post_init__(self) -> None:
        unknown = sorted(set(self.families) - set(FAMILIES))
        check(
            not unknown and len(set(self.families)) == len(self.families),
            f"families: expected different ones of {', '.join(FAMILIES)}, "
            f"got {', '.join(self.families)}",
        )

    @property
    def thing_families(self) -> tuple[str, ...]:
        """The families in use that belong to a thing, in the order of English adjectives."""
        return tuple(family for family in THING_FAMILIES if family in self.families)


class Splits(NamedTuple):
    """What a world holds, and which parts of it are kept for evaluation.

    Concepts are numbered: first the unseen ones, then those of training, so a world with more
    training concepts keeps the same unseen ones.
    """

    world: EmojiWorld
    concepts: tuple[Concept, ...]
    unseen: range
    seen: range
    unseen_attributes: frozenset[tuple[str, int]]  # (value, concept): never a "red dog"
    unseen_relations: frozenset[tuple[str, int]]  # (predicate, concept): never a "dog above ..."
    allowed: Mapping[str, Sequence[tuple[str, ...]]]  # family -> concept -> values with a word


@cache
def splits(world: EmojiWorld) -> Splits:
    """Return the concepts and held-out pairs of a world.

    Every attribute value and every relation is withheld from the same number of concepts, and never
    both of two opposites ("small" and "large", "left of" and "right of") from the same concept.

    Raises:
        ConfigError: the world asks for more concepts than there are.
        DataError: a package with the pictures or the names is missing.
    """
    concepts = choose_concepts(world.unseen_concepts + world.concepts, world.seed)
    unseen, seen = range(world.unseen_concepts), range(world.unseen_concepts, len(concepts))
    withheld = round(world.unseen_pair_share * world.concepts)
    turning = [concept for concept in seen if concepts[concept].turns]
    broad = [concept for concept in seen if concepts[concept].broad]
    attributes: set[tuple[str, int]] = set()
    for family in world.thing_families:
        rng = generator(world.seed, f"emoji unseen {family}")
        pool = turning if family == "orientation" else seen
        opposites = [FAMILIES[family]] if family == "size" else [(v,) for v in FAMILIES[family]]
        for values in opposites:
            attributes |= _withhold(rng, pool, values, withheld)
    relations: set[tuple[str, int]] = set()
    rng = generator(world.seed, "emoji unseen relations")
    for predicate in ("left of", "above", "in front of"):
        pool = broad if predicate == "in front of" else seen
        relations |= _withhold(rng, pool, (predicate, CONVERSE[predicate]), withheld)
    return Splits(
        world,
        concepts,
        unseen,
        seen,
        frozenset(attributes),
        frozenset(relations),
        {family: _allowed(family, world, concepts, attributes) for family in THING_FAMILIES},
    )


def _withhold(
    rng: np.random.Generator, concepts: Sequence[int], opposites: tuple[str, ...], count: int
) -> set[tuple[str, int]]:
    """Give each of the opposite values `count` concepts of its own."""
    order = rng.permutation(np.asarray(concepts)).tolist()
    count = min(count, len(order) // len(opposites))
    return {
        (value, concept)
        for place, value in enumerate(opposites)
        for concept in order[place * count : (place + 1) * count]
    }


def _allowed(
    family: str,
    world: EmojiWorld,
    concepts: Sequence[Concept],
    withheld: set[tuple[str, int]],
) -> tuple[tuple[str, ...], ...]:
    """List, for each concept, the values that training may show; () where the family is unused."""
    if family not in world.families:
        return ((),) * len(concepts)
    return tuple(
        tuple(
            value
            for value in FAMILIES[family]
            if (value, index) not in withheld and (family != "orientation" or concept.turns)
        )
        for index, concept in enumerate(concepts)
    )
