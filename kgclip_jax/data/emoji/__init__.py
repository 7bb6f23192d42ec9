"""The quickstart world: scenes of emoji with known things, attributes and relations.

world = EmojiWorld(concepts=32, scenes=3000)
source = EmojiScenes(world, size=64)            # training records, a `records.Source`
sets = evaluation_sets(world, size=64, items=500)
"""

from kgclip_jax.data.emoji.evaluation import evaluation_sets
from kgclip_jax.data.emoji.source import EmojiScenes
from kgclip_jax.data.emoji.world import EmojiWorld

__all__ = ["EmojiScenes", "EmojiWorld", "evaluation_sets"]
