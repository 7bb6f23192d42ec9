"""Captions of emoji scenes, to be told again from their embeddings."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from kgclip_jax.data.emoji.captions import describe, training_habits
from kgclip_jax.data.emoji.held_out_scenes import dice_of
from kgclip_jax.data.emoji.scenes import draw_scene
from kgclip_jax.data.emoji.world import EmojiWorld, splits
from kgclip_jax.data.lazy_pictures import EvaluationTransform
from kgclip_jax.data.reconstruction_sets import (
    Owned,
    Reconstruction,
    ReconstructionSet,
    reconstruction_set,
)


@dataclass(frozen=True, kw_only=True)
class EmojiReconstruction(Reconstruction):
    """Captions as training has them, of scenes that it has not; nothing is painted.

    The decoder learns from captions of other such scenes. In a world of few different captions the
    tested encoder may have met a caption in training, but the decoder never has.

    Attributes:
        kind: tells this set apart from the others.
        world: what the scenes are made of; each has one caption, and equal ones count once.
    """

    kind: Literal["emoji_reconstruction"]
    world: EmojiWorld

    def open(self, name: str, root: Path, transform: EvaluationTransform) -> ReconstructionSet:
        """Write the captions; nothing is read from `root`. Raises as `reconstruction_set` does."""
        training = self._captions("reconstruction, training", self.training_texts)
        held_out = self._captions("reconstruction", self.texts)
        return reconstruction_set(name, training, held_out, transform, self.copier)

    def _captions(self, purpose: str, count: int) -> Iterator[Owned]:
        parts, habits = splits(self.world), training_habits(self.world)
        for index in range(count):
            dice = dice_of(parts, purpose, index)
            yield index, describe(parts, draw_scene(parts, dice), habits, dice)
