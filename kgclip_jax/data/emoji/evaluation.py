"""Held-out evaluation sets of an emoji world; none of their scenes occurs in training."""

from collections.abc import Sequence

import numpy as np

from kgclip_jax.data.emoji.captions import Habits, describe
from kgclip_jax.data.emoji.held_out_scenes import (
    TEMPLATES,
    class_names,
    dice_of,
    painted,
    single_things,
)
from kgclip_jax.data.emoji.render import Painter
from kgclip_jax.data.emoji.scene_swaps import SwapRule, draw_swap, swap_rules
from kgclip_jax.data.emoji.scenes import draw_scene, scene_graph
from kgclip_jax.data.emoji.world import EmojiWorld, Splits, splits
from kgclip_jax.data.evaluation_sets import ChoiceSet, EvaluationSet, RetrievalSet, ZeroShotSet
from kgclip_jax.data.questions import ask_to_match
from kgclip_jax.errors import ConfigError
from kgclip_jax.knowledge.caption import Caption
from kgclip_jax.knowledge.scene_graph import SceneGraph, entails

_EVERYTHING = Habits(leave_out=0.0, attribute=1.0, relation=1.0)
_ATTEMPTS = 100


def evaluation_sets(world: EmojiWorld, size: int, items: int) -> list[EvaluationSet]:
    """Build every evaluation set that the world allows, always the same for the same arguments.

    Retrieval over unseen scenes; zero-shot classification of single things in unseen scenes, of
    seen and of unseen concepts; composition by swaps in unseen scenes (see `scene_swaps`), two of
    them with attribute-object and relation-object pairs that training never shows.

    `items` counts the pictures of each set (composition: pairs of pictures); item i does not depend
    on it.

    Raises:
        ConfigError: the world is too small for that many different items.
        DataError: a package with the pictures or the names is missing.
    """
    parts = splits(world)
    painter = Painter(parts, size)
    sets: list[EvaluationSet] = [scene_retrieval(parts, painter, items)]
    for name, concepts in (("seen concepts", parts.seen), ("unseen concepts", parts.unseen)):
        if len(concepts) > 1:
            sets.append(_zero_shot(parts, painter, items, name, concepts))
    for name, rule in swap_rules(parts).items():
        sets.append(_composition(parts, painter, items, name, rule))
    return sets


def scene_retrieval(parts: Splits, painter: Painter, items: int) -> RetrievalSet:
    """Draw scenes of several things, told in full, so that each caption fits one picture alone.

    Raises:
        ConfigError: the world is too small for that many of them.
    """
    name = "unseen scenes"
    most = parts.world.max_objects
    crowd = _Crowd()
    scenes, captions = [], []
    for index in range(items):
        dice = dice_of(parts, name, index)
        for _ in range(_ATTEMPTS):
            scene = draw_scene(parts, dice, count=min(most, 2 + dice.below(most - 1)))
            caption = describe(parts, scene, _EVERYTHING, dice)
            if crowd.admits(scene_graph(parts, scene), caption):
                break
        else:
            raise ConfigError(
                f"captions tell no more than {index} scenes of this world apart: ask for fewer "
                f"than {items} items, or raise concepts"
            )
        scenes.append(scene)
        captions.append(caption)
    return RetrievalSet(name, painted(painter, scenes, name), captions, np.arange(items))


class _Crowd:
    """Pictures and captions of which no caption is true of another's picture."""

    def __init__(self) -> None:
        self._members: list[tuple[SceneGraph, SceneGraph]] = []
        self._by_name: dict[str, list[int]] = {}

    def admits(self, scene: SceneGraph, caption: Caption) -> bool:
        """Take a scene and its caption in, unless one of the captions would fit two pictures."""
        claim = caption.graph
        if claim is None:
            return False
        names = {thing.name for thing in scene.objects} - {"background"}
        for index in {index for name in names for index in self._by_name.get(name, ())}:
            other_scene, other_claim = self._members[index]
            if entails(other_scene, claim) or entails(scene, other_claim):
                return False
        for name in names:
            self._by_name.setdefault(name, []).append(len(self._members))
        self._members.append((scene, claim))
        return True


def _zero_shot(
    parts: Splits, painter: Painter, items: int, name: str, concepts: Sequence[int]
) -> ZeroShotSet:
    scenes, labels = single_things(parts, items, name, concepts)
    names = class_names([parts.concepts[concept] for concept in concepts])
    return ZeroShotSet(name, painted(painter, scenes, name), labels, names, TEMPLATES)


def _composition(
    parts: Splits, painter: Painter, items: int, name: str, rule: SwapRule
) -> ChoiceSet:
    """Draw pairs of scenes; pictures 2i and 2i + 1 and the texts of these numbers are an item."""
    swaps = [draw_swap(rule, parts, dice_of(parts, name, index)) for index in range(items)]
    scenes = [scene for swap in swaps for scene in swap.scenes]
    captions = [caption for swap in swaps for caption in swap.captions]
    fitting = [((2 * i, 2 * i), (2 * i + 1, 2 * i + 1)) for i in range(items)]
    questions = ask_to_match(fitting, both_at_once=False)
    return ChoiceSet(name, painted(painter, scenes, name), captions, questions)
