"""Scenes for evaluation, drawn by numbers that no training scene is drawn by."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int

from kgclip_jax.data.emoji.concepts import Concept
from kgclip_jax.data.emoji.render import Painter
from kgclip_jax.data.emoji.scenes import Scene, draw_scene
from kgclip_jax.data.emoji.world import Splits
from kgclip_jax.data.lazy_pictures import LazyPictures
from kgclip_jax.knowledge.english import article
from kgclip_jax.random import FastRandom, generator

TEMPLATES = ("{}", "there is {}", "a picture of {}")


def painted(painter: Painter, scenes: Sequence[Scene], name: str) -> LazyPictures[Scene]:
    """Return the pictures of scenes; messages call them by the name of their set."""
    return LazyPictures(scenes, painter.paint, size=painter.size, name=name)


def dice_of(parts: Splits, purpose: str, index: int) -> FastRandom:
    """Return what decides on item `index` of a set, however many items that has."""
    return FastRandom(generator(parts.world.seed, f"emoji evaluation {purpose}", index))


def single_things(
    parts: Splits, items: int, purpose: str, concepts: Sequence[int]
) -> tuple[list[Scene], Int[np.ndarray, " items"]]:
    """Draw scenes of one thing, all concepts equally often, and the places of these in the list."""
    labels = np.arange(items) % len(concepts)
    scenes = [
        draw_scene(parts, dice_of(parts, purpose, index), 1, concepts[label : label + 1])
        for index, label in enumerate(labels.tolist())
    ]
    return scenes, labels


def class_names(concepts: Sequence[Concept]) -> list[str]:
    """Return the names of classes for templates; they carry their article ("an owl")."""
    return [f"{article(concept.name)} {concept.name}" for concept in concepts]
