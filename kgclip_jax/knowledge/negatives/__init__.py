"""Hard negatives: captions with the words of the true one, nearly, and another meaning.

settings = NegativeSettings(kinds={"swap_objects": 1.0, "swap_attributes": 2.0}, count=2)
negatives = make_negatives(caption, generator(seed, "negatives", position), settings)
"""

from kgclip_jax.knowledge.negatives.making import MADE, make_negatives
from kgclip_jax.knowledge.negatives.negative import Negative
from kgclip_jax.knowledge.negatives.negative_config import NegativeSettings

__all__ = ["MADE", "Negative", "NegativeSettings", "make_negatives"]
