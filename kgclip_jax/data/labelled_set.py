"""Held-out items with labels, for a head that was trained to classify such."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from kgclip_jax.data.evaluation_config import PictureSet
from kgclip_jax.data.evaluation_sets import Pictures
from kgclip_jax.data.labelled import LABELLED, Items, LabelledData
from kgclip_jax.data.lazy_pictures import EncodedPicture, EvaluationTransform, encoded_pictures


class LabelledSet(NamedTuple):
    """Items, their pictures (none for texts alone), the head that is asked, what is measured."""

    name: str
    pictures: Pictures
    items: Items
    head: str
    metrics: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class LabelledEvaluation(PictureSet):
    """A data set with labels to measure a head by, see `kgclip_jax.evaluation.fine_tuned`.

    Attributes:
        kind: tells this set apart from the others.
        data: the files, of the same classes as those that the head is trained on.
        head: name of the head.
    """

    kind: Literal["labelled"]
    data: Annotated[LabelledData, LABELLED]
    head: str = "classifier"

    def open(self, name: str, root: Path, transform: EvaluationTransform) -> LabelledSet:
        """Read the items; no picture is read yet. Raises DataError, see `LabelledData.read`."""
        items = self.data.read(root, bad_share=self.bad_share)
        folder = root / (self.data.images or "")
        files = [EncodedPicture(file, (folder / file).read_bytes) for file in items.pictures]
        pictures = encoded_pictures(files, transform, name=name, bad_share=self.bad_share)
        return LabelledSet(name, pictures, items, self.head, self.data.metrics)
