"""Retrieval on any captioned pictures, beside those of the sources that are trained on."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from kgclip_jax.data.evaluation_config import PictureSet
from kgclip_jax.data.evaluation_sets import RetrievalSet
from kgclip_jax.data.lazy_pictures import EvaluationTransform
from kgclip_jax.data.photographs import retrieval_set
from kgclip_jax.data.sources import SOURCES
from kgclip_jax.data.stored_pictures import StoredPictures
from kgclip_jax.ranges import PositiveInt


@dataclass(frozen=True, kw_only=True)
class CaptionedRetrieval(PictureSet):
    """Retrieval of pictures by their captions, and of captions by their pictures.

    COCO's usual two tables, "5K" and "1K", are those of Karpathy's test split and of its five folds
    (all 25,010 captions; some pictures have six or seven):

        dict(kind="retrieval", folds=5,
             source=dict(kind="karpathy", folder="coco", file="dataset_coco.json", split="test"))

    Attributes:
        kind: tells this set apart from the others.
        source: the pictures with their captions; of a source with splits, `split` is asked about.
        folds: equal, consecutive parts that are ranked by themselves too, for rows of their mean.
    """

    kind: Literal["retrieval"]
    source: Annotated[StoredPictures, SOURCES]
    folds: PositiveInt = 1

    def open(self, name: str, root: Path, transform: EvaluationTransform) -> RetrievalSet:
        """List the pictures and captions of the source. Raises DataError where there are none."""
        records = self.source.records(root, bad_share=self.bad_share)
        found = retrieval_set(records, transform, bad_share=self.bad_share)
        return found._replace(name=name, folds=self.folds)
