"""Position tables for pictures of another size."""

import dataclasses

import jax
import numpy as np

from kgclip_jax.convert.family import differences
from kgclip_jax.errors import ConversionError
from kgclip_jax.models import spec
from kgclip_jax.models.dual_encoder import Params


def resize_positions(params: Params, source: spec.DualEncoder, wanted: spec.DualEncoder) -> Params:
    """Resample the learned positions of the patches for pictures of another size.

    Bicubic and antialiased over the grid, as in open_clip; the class token's position is kept.

    Raises:
        ConversionError: when the two differ in more than the image size.
    """
    vision = dataclasses.replace(source.vision, image_size=wanted.vision.image_size)
    if lines := differences(dataclasses.replace(source, vision=vision), wanted):
        raise ConversionError(
            "only the image size may change, for which positions can be resized:\n"
            + "\n".join(lines)
        )
    if source.vision.positions != "learned" or source.vision.grid == wanted.vision.grid:
        return params
    table = np.asarray(params["vision"]["positions"])
    patches = table[int(source.vision.class_token) :]
    old, new, width = source.vision.grid, wanted.vision.grid, table.shape[1]
    resized = jax.image.resize(patches.reshape(old, old, width), (new, new, width), "bicubic")
    table = np.concatenate([table[: -len(patches)], np.asarray(resized).reshape(-1, width)])
    return params | {"vision": params["vision"] | {"positions": table}}
