"""Side tables: numbers made once, offline, that go with each row of a stream of captions."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Shaped

from kgclip_jax.data.records import Source
from kgclip_jax.data.streams.texts import Draw
from kgclip_jax.schema import Registry

TABLES = Registry(
    "table",
    {
        "concepts": "kgclip_jax.data.streams.concept_table:ConceptTable",
        "embeddings": "kgclip_jax.data.streams.embedding_table:EmbeddingTable",
    },
)


@runtime_checkable
class Table(Protocol):
    """An open table. It pickles cheaply.

    Attributes:
        shape: of a row.
        dtype: of its numbers.
    """

    shape: tuple[int, ...]
    dtype: np.dtype

    def rows(
        self, draws: Sequence[Draw], captions: Sequence[str]
    ) -> Shaped[np.ndarray, "rows ..."]:
        """Return the rows that go with some records, of which these captions were chosen."""
        ...

    def fingerprint(self) -> str:
        """Return a hash of what it holds; it does not depend on where that lies."""
        ...


@runtime_checkable
class TableConfig(Protocol):
    """A frozen dataclass that is a table's entry in a config."""

    @property
    def kind(self) -> str:
        """Its name in `TABLES`."""
        ...

    def open(self, root: Path, sources: Mapping[str, Source]) -> Table:
        """Open the table of the records of these sources.

        Relative paths start from `root`.

        Raises:
            DataError: the table is missing or malformed, or is one of other records.
        """
        ...
