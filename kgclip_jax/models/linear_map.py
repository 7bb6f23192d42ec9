"""A linear map of embeddings: into the space of another model, or to logits of classes."""

from dataclasses import dataclass
from typing import Literal

from flax import nnx

from kgclip_jax.models import spec
from kgclip_jax.models.initial_values import gaussian
from kgclip_jax.models.layers import Projection
from kgclip_jax.ranges import PositiveInt


@dataclass(frozen=True)
class LinearHead:
    """The map as a run configures it.

    Attributes:
        kind: its name in a config.
        width: of what comes out.
        bias: whether something is added.
    """

    kind: Literal["linear"] = "linear"
    width: PositiveInt = 512
    bias: bool = True

    def build(self, model: spec.DualEncoder, *, rngs: nnx.Rngs) -> Projection:
        """Make the map of a model's embeddings, which are of unit length."""
        d = model.embedding
        return Projection(d, self.width, init=gaussian(d**-0.5), bias=self.bias, rngs=rngs)
