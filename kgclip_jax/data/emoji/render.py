"""Painting scenes."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import UInt8

from kgclip_jax.data.emoji.atlas import Atlas
from kgclip_jax.data.emoji.scenes import Scene
from kgclip_jax.data.emoji.world import Splits

_BACKGROUNDS: Mapping[str, tuple[int, int, int]] = {
    "white": (255, 255, 255),
    "pink": (255, 200, 215),
    "beige": (232, 216, 180),
    "cyan": (175, 238, 240),
}


class Painter:
    """Paints scenes of one world on canvases of one size."""

    def __init__(self, parts: Splits, size: int) -> None:
        """Prepare canvases of size x size pixels."""
        self.size = size
        self._atlas = Atlas(parts.concepts, size)
        self._blank = {
            name: np.full((size, size, 3), colour, np.uint8)
            for name, colour in _BACKGROUNDS.items()
        }

    def paint(self, scene: Scene) -> UInt8[np.ndarray, "size size 3"]:
        """Return the picture of a scene, later things over earlier ones.

        Raises:
            DataError: a picture file cannot be read.
        """
        canvas = self._blank[scene.background].copy()
        for look, (x, y) in scene.things:
            colour, keep = self._atlas.sprite(look)
            height, width, _ = colour.shape
            top = self._first_pixel(y, height)
            left = self._first_pixel(x, width)
            region = canvas[top : top + height, left : left + width]
            region[...] = colour + (region * keep >> 8)
        return canvas

    def _first_pixel(self, centre: float, length: int) -> int:
        """Round to whole pixels, inside the canvas."""
        return min(max(0, round(centre * self.size - length / 2)), self.size - length)
