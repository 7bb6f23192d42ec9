"""Captions of any pictures, to be told again from their embeddings."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np

from kgclip_jax.data.evaluation_config import PictureSet
from kgclip_jax.data.lazy_pictures import EvaluationTransform
from kgclip_jax.data.reconstruction_sets import (
    Owned,
    Reconstruction,
    ReconstructionSet,
    reconstruction_set,
)
from kgclip_jax.data.records import readable_records
from kgclip_jax.data.sources import SOURCES
from kgclip_jax.data.stored_pictures import StoredPictures
from kgclip_jax.random import bits_of


@dataclass(frozen=True, kw_only=True)
class CaptionReconstruction(PictureSet, Reconstruction):
    """Captions of any pictures, to be told again; the pictures are not read.

        dict(kind="reconstruction",
             training=dict(kind="karpathy", folder="coco", file="dataset_coco.json", split="train"),
             source=dict(kind="karpathy", folder="coco", file="dataset_coco.json", split="test"))

    Attributes:
        kind: tells this set apart from the others.
        training: whose captions the decoder learns from; those that are too many are left out by a
            hash.
        source: whose captions are to be told, likewise; of a source with splits, `split` says of
            which.
    """

    kind: Literal["reconstruction"]
    training: Annotated[StoredPictures, SOURCES]
    source: Annotated[StoredPictures, SOURCES]

    def open(self, name: str, root: Path, transform: EvaluationTransform) -> ReconstructionSet:
        """Read the captions. Raises DataError, see `StoredPictures.records`, `reconstruction_set`.

        Captions of one picture are one cluster.
        """
        training = self._some(self.training, root, self.training_texts)
        held_out = self._some(self.source, root, self.texts)
        return reconstruction_set(name, training, held_out, transform, self.copier)

    def _some(self, source: StoredPictures, root: Path, count: int) -> list[Owned]:
        """Choose captions, and keep their order."""
        records = source.records(root, bad_share=self.bad_share)
        readable = readable_records(records, self.bad_share)
        texts = [(owner, text) for owner, record in readable for text in record.captions]
        places = np.arange(len(texts))
        order = np.argsort(bits_of(places, 1, self.copier.seed, "reconstruction", "texts")[:, 0])
        return [texts[place] for place in np.sort(order[:count]).tolist()]
