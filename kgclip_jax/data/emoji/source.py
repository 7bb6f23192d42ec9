"""Emoji scenes as a source of training records."""

import hashlib
from functools import cached_property, lru_cache

import numpy as np
from jaxtyping import UInt8

from kgclip_jax.data.emoji.captions import describe, training_habits
from kgclip_jax.data.emoji.render import Painter
from kgclip_jax.data.emoji.scenes import Scene, draw_scene, scene_graph
from kgclip_jax.data.emoji.world import EmojiWorld, Splits, splits
from kgclip_jax.knowledge.caption import Caption
from kgclip_jax.knowledge.scene_graph import SceneGraph
from kgclip_jax.random import FastRandom, generator

_REMEMBERED_SCENES = 8192  # about 1 KB each; epochs come back to them


class EmojiScenes:
    """The training scenes of a world, painted on the fly; a `records.Source`.

    Record `index` is the same scene and the same picture in every epoch; its captions differ, or
    are one of `world.captions`.
    Pickles to the settings alone: each process reads the drawings for itself, when it first paints.
    """

    name = "emoji"

    def __init__(self, world: EmojiWorld, size: int) -> None:
        """Take the settings, and the side of the pictures in pixels."""
        self.world = world
        self.size = size
        # Of an index; it raises IndexError where there is no such scene.
        self.scene = lru_cache(_REMEMBERED_SCENES)(self._draw)

    def __reduce__(self) -> tuple[type["EmojiScenes"], tuple[EmojiWorld, int]]:
        return EmojiScenes, (self.world, self.size)

    def __len__(self) -> int:
        return self.world.scenes

    def caption(self, index: int, rng: np.random.Generator) -> Caption:
        """Describe scene `index` anew: another choice of what to say, and of the words.

        Where the world has a number of captions for each scene, choose one of them.

        Raises:
            IndexError: there is no such scene.
        """
        if self.world.captions is None:
            return self._describe(index, rng)
        return self._caption(index, int(rng.integers(self.world.captions)))

    def captions(self, index: int) -> list[Caption]:
        """Return all captions of scene `index`, in a world that has a number of them."""
        return [self._caption(index, number) for number in range(self.world.captions or 0)]

    def _caption(self, index: int, number: int) -> Caption:
        rng = generator(self.world.seed, "emoji training caption", index, number)
        return self._describe(index, rng)

    def _describe(self, index: int, rng: np.random.Generator) -> Caption:
        habits = training_habits(self.world)
        return describe(self._splits, self.scene(index), habits, FastRandom(rng))

    def image(self, index: int, rng: np.random.Generator) -> UInt8[np.ndarray, "size size 3"]:
        """Paint scene `index`; nothing about the picture is left to `rng`.

        Raises:
            IndexError: there is no such scene.
            DataError: a picture file cannot be read.
        """
        return self._painter.paint(self.scene(index))

    def known(self, index: int) -> tuple[SceneGraph]:
        """Return all that is true of scene `index`, whether or not a caption says it."""
        return (scene_graph(self._splits, self.scene(index)),)

    def fingerprint(self) -> str:
        """Hash the settings of the world, which decide on every scene."""
        return hashlib.sha256(repr(self.world).encode()).hexdigest()

    def _draw(self, index: int) -> Scene:
        if not 0 <= index < len(self):
            raise IndexError(f"scene {index} of {len(self)}")
        rng = generator(self.world.seed, "emoji training scene", index)
        return draw_scene(self._splits, FastRandom(rng))

    @cached_property
    def _splits(self) -> Splits:
        return splits(self.world)

    @cached_property
    def _painter(self) -> Painter:
        return Painter(self._splits, self.size)
