"""A batch of pairs through a model, as its objectives see it."""

import functools

import jax

from kgclip_jax.batch import Pairs
from kgclip_jax.models.encode import encode


@functools.partial(jax.jit, static_argnums=0)
def embed(model, params, batch) -> Pairs:
    """Features of a batch, in the place of its pictures and texts."""
    return encode(model.bind(params), batch)
