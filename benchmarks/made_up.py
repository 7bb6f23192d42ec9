"""Captioned pictures without files: captions from a list, pictures of noise or of one JPEG."""

import functools
import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from kgclip_jax.cache import NO_CACHE, Cache
from kgclip_jax.data.evaluation_sets import EvaluationSet
from kgclip_jax.data.images import random_resized_crop
from kgclip_jax.data.lazy_pictures import EvaluationTransform
from kgclip_jax.data.readers.folders import read_folder
from kgclip_jax.data.stored_pictures import Data
from kgclip_jax.knowledge.caption import Caption
from kgclip_jax.knowledge.facts import Known


@dataclass(frozen=True)
class MadeUpSource:
    """A source and its own settings: a record a caption.

    Attributes:
        captions: of the records.
        encoded: a picture's file, decoded and cropped for every record; None: noise, almost free.
        weight: share of the pairs.
        size: side of the pictures.
        kind: tells this source apart from the others.
        name: stands in messages.
    """

    captions: Sequence[str]
    encoded: bytes | None = None
    weight: float = 1.0
    size: int = 224
    kind: Literal["made_up"] = "made_up"
    name: str = "made up"

    @property
    def knows_graphs(self) -> bool:
        """Nothing is known of the captions."""
        return False

    def open(self, data: Data, image_size: int, cache: Cache = NO_CACHE) -> "MadeUpSource":
        """Return the same for pictures of a size."""
        return replace(self, size=image_size)

    def held_out_sets(self, data: Data, transform: EvaluationTransform) -> list[EvaluationSet]:
        """Return nothing."""
        return []

    def __len__(self) -> int:
        return len(self.captions)

    def caption(self, index: int, rng: np.random.Generator) -> Caption:
        """Return the caption of a record."""
        return Caption(self.captions[index])

    def known(self, index: int) -> Sequence[Known]:
        """Return nothing."""
        return ()

    def image(self, index: int, rng: np.random.Generator) -> UInt8[np.ndarray, "size size 3"]:
        """Return a random crop of the picture, or a random part of a strip of noise."""
        if self.encoded is not None:
            return random_resized_crop(self.encoded, self.size, rng, scale=(0.9, 1.0))
        begin = int(rng.integers(self.size))
        return noise(self.size)[begin : begin + self.size]

    def fingerprint(self) -> str:
        """Hash the captions."""
        return hashlib.sha256("\n".join(self.captions).encode()).hexdigest()


@functools.cache
def noise(size: int) -> UInt8[np.ndarray, "height size 3"]:
    """Return a strip of noise, twice as high as it is wide."""
    return np.random.default_rng(0).integers(0, 256, (2 * size, size, 3), np.uint8)


def jpeg(height: int = 480, width: int = 640) -> bytes:
    """Return a JPEG of smooth noise."""
    coarse = np.random.default_rng(0).integers(0, 256, (height // 16, width // 16, 3), np.uint8)
    file = io.BytesIO()
    picture = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    picture.save(file, "JPEG", quality=90)
    return file.getvalue()


def read_captions(folder: Path, split: str | None) -> list[str]:
    """Return all captions of a folder in the Flickr or COCO layout, whose pictures may be missing.

    Raises:
        DataError: see `read_folder`.
    """
    captions = read_folder(folder, split).captions
    return [caption for of_picture in captions.values() for caption in of_picture]
