"""Runs on disk without any training."""

import jax
import numpy as np

from kgclip_jax.files import write_json
from kgclip_jax.store.checkpoints import Checkpoints


def filled(shapes, seed=0):
    """Random arrays of these shapes."""
    rng = np.random.default_rng(seed)
    return jax.tree.map(
        lambda leaf: rng.standard_normal(leaf.shape).astype(np.float32) * np.float32(0.1), shapes
    )


def save_run(workdir, description, items):
    """Save the items of each step, and as much of a config as a run is told by."""
    workdir.create()
    write_json(workdir.config, {"objectives": {}})
    checkpoints = Checkpoints(workdir.checkpoints)
    for step, trees in items.items():
        arrays = jax.tree.map(jax.numpy.asarray, trees)
        checkpoints.save(step, arrays, progress={}, description=description)
    checkpoints.close()
