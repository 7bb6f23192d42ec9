"""The dual encoder: two towers and a temperature, as a Flax module and as pure functions.

Flax NNX builds and traces the module; everything outside this room holds its parameters as a plain
nested dict, which keeps dispatch cheap and checkpoints, shardings and conversions simple.
"""

import functools
import math
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from kgclip_jax.batch import Triples
from kgclip_jax.models import spec
from kgclip_jax.models.initial_values import text_init, vision_init
from kgclip_jax.models.text import TextTower
from kgclip_jax.models.transformer import DEFAULT_EXECUTION, Execution
from kgclip_jax.models.triple_encoder import KnowledgeEncoder
from kgclip_jax.models.vision import VisionTower

Params = dict[str, Any]


class DualEncoder(nnx.Module):
    """Radford et al. 2021 (CLIP); with a logit bias, Zhai et al. 2023 (SigLIP)."""

    def __init__(self, shape: spec.DualEncoder, execution: Execution, *, rngs: nnx.Rngs) -> None:
        vision = vision_init(shape.initial_values, shape.vision)
        text = text_init(shape.initial_values, shape.text)
        self.vision = VisionTower(shape.vision, shape.embedding, execution, init=vision, rngs=rngs)
        self.text = TextTower(shape.text, shape.embedding, execution, init=text, rngs=rngs)
        self.logit_scale = nnx.Param(jnp.array(math.log(shape.logit_scale), jnp.float32))
        if shape.logit_bias is not None:
            self.logit_bias = nnx.Param(jnp.array(shape.logit_bias, jnp.float32))
        if shape.knowledge is not None:
            self.knowledge = KnowledgeEncoder(
                shape.knowledge, shape.embedding, execution, rngs=rngs
            )
        self.shape = shape

    def read_graphs(self, triples: Triples) -> Float[Array, "r d"]:
        """Return what a knowledge encoder adds to unit text embeddings: weight k / ||k||.

        Zero for a text without triples. The sum is not of unit length (as in Structure-CLIP's
        released code).

        Raises:
            ValueError: there is no knowledge encoder.
        """
        if self.shape.knowledge is None:
            raise ValueError("the model has no knowledge encoder")
        known = normalise(self.knowledge(triples, self.text.embedding[...]))
        some = jnp.any(triples.mask, axis=-1, keepdims=True)
        return self.shape.knowledge.weight * jnp.where(some, known, 0)


def normalise(x: Float[Array, "*r d"]) -> Float[Array, "*r d"]:
    """Rows of unit length; a zero row stays zero and has a finite gradient."""
    return x * jax.lax.rsqrt(jnp.square(x).sum(-1, keepdims=True) + 1e-12)


@dataclass(frozen=True)
class Model:
    """Pure functions of a parameter dict, for one architecture and one way of computing it."""

    shape: spec.DualEncoder
    execution: Execution = DEFAULT_EXECUTION

    def _build(self, seed: int | Array = 0) -> DualEncoder:
        return DualEncoder(self.shape, self.execution, rngs=nnx.Rngs(params=seed))

    def initialise(self, seed: int) -> Params:
        """Fresh parameters; under `jax.jit` with output shardings they are created in place."""
        return nnx.to_pure_dict(nnx.state(self._build(seed), nnx.Param))

    def abstract(self) -> Params:
        """The parameters' shapes and dtypes, as `jax.ShapeDtypeStruct`."""
        return nnx.to_pure_dict(nnx.state(_plan(self), nnx.Param))

    def bind(self, params: Params) -> DualEncoder:
        """The module over these parameters, for use within a trace."""
        return nnx.merge(nnx.graphdef(_plan(self)), params)

    def constrain(self, params: Params) -> Params:
        """Return the parameters, the logit scale within limits (Radford et al. 2021, 2.5)."""
        if self.shape.max_logit_scale is None:
            return params
        limit = math.log(self.shape.max_logit_scale)
        return params | {"logit_scale": jnp.clip(params["logit_scale"], 0, limit)}


@functools.lru_cache
def _plan(model: Model) -> DualEncoder:
    """The module with shapes for parameters, traced once, for all that ask."""
    return nnx.eval_shape(model._build)
