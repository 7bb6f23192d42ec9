"""A folder of soft concepts of texts: clusters of their embeddings, and how near each text is.

    concepts.json        what is in it; written last
    centres.npy          of the clusters, K x width
    concepts.npy         the m nearest clusters of each text, texts x m
    probabilities.npy    how much it belongs to each of them; rows add up to 1
    texts.npy            see `kgclip_jax.data.text_index`

`launch/prepare.py concepts` writes such folders.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float16, Float32, Int32

from kgclip_jax.arrays import map_array, map_array_of
from kgclip_jax.data.text_index import TextIndex
from kgclip_jax.errors import DataError
from kgclip_jax.schema import check, read_last

CONTENTS, CENTRES, INDEX = "concepts.json", "centres.npy", "texts.npy"
CONCEPTS, PROBABILITIES = "concepts.npy", "probabilities.npy"
AGAIN = "let `python launch/prepare.py concepts` make it"


@dataclass(frozen=True)
class ConceptContents:
    """What a folder holds.

    Attributes:
        settings: what it was made of and how: embeddings, clusters and so on, as plain values.
        clusters: K.
        rows: of the embeddings.
        texts: different ones.
        kept: m, clusters that are stored of each text.
        share: what these m have of all probability, mean over texts, before it was spread on them.
        inertia: mean squared distance of a text to its nearest centre.
        sizes: number of texts that each cluster is the nearest one of.
        names: a few texts near each centre.
        fingerprint: hash of the files.
    """

    settings: dict
    clusters: int
    rows: int
    texts: int
    kept: int
    share: float
    inertia: float
    sizes: tuple[int, ...]
    names: tuple[tuple[str, ...], ...]
    fingerprint: str

    def __post_init__(self) -> None:
        check(1 <= self.kept <= self.clusters, "kept must be within 1 and the clusters")
        check(
            len(self.sizes) == len(self.names) == self.clusters, "there is a size of each cluster"
        )


class TextConcepts:
    """The concepts of a folder. It pickles as the folder's path.

    Attributes:
        folder: where they are.
        contents: what there is.
    """

    def __init__(self, folder: Path) -> None:
        """Open a folder.

        Raises:
            DataError: it is unfinished, or a file is missing or of another folder.
        """
        self.folder = folder
        self.contents = read_concept_contents(folder)
        self._index = TextIndex(folder / INDEX)
        shape = (self.contents.rows, self.contents.kept)
        self._concepts = map_array_of(folder / CONCEPTS, shape, np.int32, again=AGAIN)
        self._probabilities = map_array_of(folder / PROBABILITIES, shape, np.float16, again=AGAIN)

    def __reduce__(self) -> tuple[Any, ...]:
        return TextConcepts, (self.folder,)

    @property
    def centres(self) -> Float32[np.ndarray, "clusters width"]:
        """Those of the clusters, left on disk."""
        return map_array(self.folder / CENTRES).view(np.ndarray)

    def labels(self, texts: Sequence[str]) -> Float16[np.ndarray, "n clusters"]:
        """Return how much each text belongs to each cluster.

        Raises:
            DataError: some texts are not here, or a row of the files makes no sense.
        """
        rows = self._index.rows_of(texts)
        concepts, probabilities = self._known(self._concepts[rows]), self._probabilities[rows]
        totals = probabilities.sum(axis=1, dtype=np.float32)
        if not np.allclose(totals, 1, atol=0.01):
            raise DataError(f"{self.folder}: probabilities of a text do not add up to 1; {AGAIN}")
        found = np.zeros((len(rows), self.contents.clusters), np.float16)
        np.put_along_axis(found, concepts, probabilities, axis=1)
        return found

    def nearest(self, texts: Sequence[str]) -> Int32[np.ndarray, " n"]:
        """Return the cluster that each text is nearest to. Raises DataError as `labels` does."""
        return self._known(self._concepts[self._index.rows_of(texts), 0])

    def _known(self, concepts: Int32[np.ndarray, "..."]) -> Int32[np.ndarray, "..."]:
        if concepts.min() < 0 or concepts.max() >= self.contents.clusters:
            raise DataError(
                f"{self.folder}: a concept is none of {self.contents.clusters}; {AGAIN}"
            )
        return concepts


def read_concept_contents(folder: Path) -> ConceptContents:
    """Read what a folder holds. Raises DataError: it is unfinished, or the file is malformed."""
    return read_last(ConceptContents, folder / CONTENTS, finish=AGAIN, again=AGAIN)
