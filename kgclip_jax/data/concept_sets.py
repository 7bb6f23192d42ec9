"""Held-out captioned pictures, and the concept that each caption is nearest to."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import numpy as np
from jaxtyping import Int

from kgclip_jax.data.evaluation_config import PictureSet
from kgclip_jax.data.evaluation_sets import Pictures, RetrievalSet
from kgclip_jax.data.lazy_pictures import EvaluationTransform
from kgclip_jax.data.photographs import retrieval_set
from kgclip_jax.data.sources import SOURCES
from kgclip_jax.data.stored_pictures import StoredPictures
from kgclip_jax.data.text_concepts import TextConcepts
from kgclip_jax.errors import DataError
from kgclip_jax.knowledge.caption import Text, words_of
from kgclip_jax.schema import LocalPath, check


class ConceptSet(NamedTuple):
    """Pictures, captions, and the heads that are asked for the concepts of these.

    Attributes:
        name: what tables call it.
        pictures: that are described.
        texts: the captions.
        owners: index of the picture that each caption describes.
        nearest: number of the concept that each caption is nearest to.
        concepts: how many there are.
        heads: names of the head that is asked about pictures and of that about captions.
        graphs: which scene graphs the captions have; "" where a model reads none of them.
    """

    name: str
    pictures: Pictures
    texts: Sequence[Text]
    owners: Int[np.ndarray, " captions"]
    nearest: Int[np.ndarray, " captions"]
    concepts: int
    heads: tuple[str, str]
    graphs: str = ""

    def with_texts(self, texts: Sequence[Text], graphs: str) -> "ConceptSet":
        """Return the set with other captions in the same places, of the same concepts."""
        return self._replace(texts=texts, graphs=graphs)


@dataclass(frozen=True, kw_only=True)
class ConceptEvaluation(PictureSet):
    """How well heads that the objective `concepts` trains tell the concepts of held-out captions.

    Attributes:
        kind: tells this set apart from the others.
        source: the pictures with their captions; of a source with splits, `split` is asked about.
        folder: that `launch/prepare.py concepts` has made, absolute or in `data.path`: the one that
            the heads learnt from. It has to know the held-out captions too.
        heads: a linear head for both towers, or one for images and one for texts.
    """

    kind: Literal["concepts"] = "concepts"
    source: Annotated[StoredPictures, SOURCES]
    folder: LocalPath
    heads: tuple[str, ...] = ("concept_map",)

    def __post_init__(self) -> None:
        check_heads(self.heads)

    def open(self, name: str, root: Path, transform: EvaluationTransform) -> ConceptSet:
        """List the pictures, and look up the concepts of their captions.

        Raises:
            DataError: there are no pictures, or the folder is missing or malformed or lacks some of
                the captions; the message tells how many.
        """
        records = self.source.records(root, bad_share=self.bad_share)
        found = retrieval_set(records, transform, bad_share=self.bad_share)
        return concept_set(found._replace(name=name), TextConcepts(root / self.folder), self.heads)


def concept_set(described: RetrievalSet, known: TextConcepts, heads: tuple[str, ...]) -> ConceptSet:
    """Ask heads for the concepts of captions. Raises DataError where some captions have none."""
    try:
        nearest = known.nearest([words_of(text) for text in described.captions])
    except DataError as error:
        raise DataError(f"evaluation set {described.name!r}: {error}") from error
    return ConceptSet(
        described.name,
        described.pictures,
        described.captions,
        described.owners,
        nearest,
        known.contents.clusters,
        (heads[0], heads[-1]),
        described.graphs,
    )


def check_heads(heads: tuple[str, ...]) -> None:
    """Refuse other numbers of heads than one and two."""
    check(len(heads) in (1, 2), "heads: one for both towers, or one for each")
