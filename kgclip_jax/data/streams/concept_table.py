"""A side table of how much each caption belongs to each concept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float16

from kgclip_jax.data.records import Source
from kgclip_jax.data.streams.texts import Draw
from kgclip_jax.data.text_concepts import TextConcepts
from kgclip_jax.schema import LocalPath


@dataclass(frozen=True)
class ConceptTable:
    """Concepts of captions, as a config names them.

    Attributes:
        kind: tells this table apart from others.
        folder: that `launch/prepare.py concepts` has made, absolute or in `data.path`.
    """

    kind: Literal["concepts"] = "concepts"
    folder: LocalPath = "."

    def open(self, root: Path, sources: Mapping[str, Source]) -> "OpenConceptTable":
        """Open the folder. Raises DataError: it is missing or malformed."""
        return OpenConceptTable(TextConcepts(root / self.folder))


class OpenConceptTable:
    """See `kgclip_jax.data.streams.side_tables.Table`; rows are as wide as there are concepts."""

    dtype = np.dtype(np.float16)

    def __init__(self, concepts: TextConcepts) -> None:
        self._concepts = concepts
        self.shape = (concepts.contents.clusters,)

    def __reduce__(self) -> tuple[Any, ...]:
        return OpenConceptTable, (self._concepts,)

    def rows(
        self, draws: Sequence[Draw], captions: Sequence[str]
    ) -> Float16[np.ndarray, "rows clusters"]:
        """Return the soft labels of captions. Raises DataError where some have none."""
        return self._concepts.labels(captions)

    def fingerprint(self) -> str:
        """Return that of the folder."""
        return self._concepts.contents.fingerprint
