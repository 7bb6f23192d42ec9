"""Rows of the stream `captions` as the towers leave them, and objectives run on them."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from kgclip_jax.batch import Features, Pairs
from kgclip_jax.objectives.objective import Context, Losses, Objective

# Cosines of three images (rows) with three captions, and with the wrong twin of each caption.
CAPTIONS = np.array([[0.30, 0.25, 0.10], [0.05, 0.20, 0.28], [0.15, 0.12, 0.35]], np.float32)
TWINS = np.array([[0.28, 0.10, 0.05], [0.12, 0.22, 0.09], [0.02, 0.11, 0.10]], np.float32)
CONTEXT = Context(jnp.asarray(1 / 0.07), logit_bias=jnp.asarray(-10.0), step=1000)


def features(pooled: Any, plain: Any = None) -> Features:
    """Pooled features without tokens, by default of a model without a knowledge encoder."""
    pooled = jnp.asarray(pooled)
    return Features(pooled, None, None, pooled if plain is None else jnp.asarray(plain))


GOLDEN = Pairs(  # images are unit vectors, so that texts are columns of cosines
    image=features(np.eye(3, dtype=np.float32)),
    text=features(CAPTIONS.T),
    ids=jnp.full((3, 2), -1, jnp.int32),
    negatives=features(TWINS.T[:, None]),
    negative_mask=jnp.ones((3, 1), bool),
    negative_ids=jnp.full((3, 1), -1, jnp.int32),
)


def run(objective: Objective, rows: Pairs = GOLDEN, context: Context = CONTEXT) -> Losses:
    """Both phases of an objective without heads and teachers."""
    return objective.loss({}, objective.embed({}, rows, {}, context), context)
