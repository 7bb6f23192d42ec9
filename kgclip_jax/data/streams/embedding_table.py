"""A side table of what a language model makes of each caption."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from kgclip_jax.data.embedded_texts import EmbeddedTexts
from kgclip_jax.data.records import Source
from kgclip_jax.data.streams.texts import Draw
from kgclip_jax.schema import LocalPath


@dataclass(frozen=True)
class EmbeddingTable:
    """Embeddings of captions, as a config names them.

    Attributes:
        kind: tells this table apart from others.
        folder: that `launch/prepare.py embed` has made, absolute or in `data.path`.
        standardised: each number has its mean over all texts taken off, and is divided by its
            standard deviation: a decoder has numbers that are a hundred times as large as others,
            whatever the text.
    """

    kind: Literal["embeddings"] = "embeddings"
    folder: LocalPath = "."
    standardised: bool = False

    def open(self, root: Path, sources: Mapping[str, Source]) -> "OpenEmbeddingTable":
        """Open the folder. Raises DataError: it is missing or malformed."""
        return OpenEmbeddingTable(EmbeddedTexts(root / self.folder), self.standardised)


class OpenEmbeddingTable:
    """See `kgclip_jax.data.streams.side_tables.Table`."""

    def __init__(self, texts: EmbeddedTexts, standardised: bool) -> None:
        self._texts, self._standardised = texts, standardised
        self.shape = (texts.contents.width,)
        self.dtype = np.dtype(texts.contents.dtype)

    def __reduce__(self) -> tuple[Any, ...]:
        return OpenEmbeddingTable, (self._texts, self._standardised)

    def rows(self, draws: Sequence[Draw], captions: Sequence[str]) -> Float[np.ndarray, "rows d"]:
        """Return the embeddings of captions, whichever records they are of.

        Raises:
            DataError: some have none, or one that is not finite.
        """
        found = self._texts.vectors(self._texts.rows_of(captions))
        if not self._standardised:
            return found
        mean, deviation = self._texts.moments
        # What is the same for all texts says nothing of them.
        return ((found - mean) / np.where(deviation > 0, deviation, 1)).astype(self.dtype)

    def fingerprint(self) -> str:
        """Return that of the folder."""
        return f"{self._texts.contents.fingerprint} {self._standardised}"
