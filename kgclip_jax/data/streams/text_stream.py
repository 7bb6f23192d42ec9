"""Rows of texts without pictures, each with what side tables say of it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np

from kgclip_jax.batch import TextBlock, Texts
from kgclip_jax.data.blocks import abstract_array
from kgclip_jax.data.embedded_texts import EmbeddedTexts
from kgclip_jax.data.entity_views import cut_to
from kgclip_jax.data.order import Mixture
from kgclip_jax.data.streams.side_tables import TABLES, Table, TableConfig
from kgclip_jax.data.streams.stream import Counts, Rows, StreamOpening
from kgclip_jax.data.streams.texts import Draw
from kgclip_jax.data.streams.units import rows_in, units_of
from kgclip_jax.data.tokenization.tokenizer_config import Tokenizer
from kgclip_jax.ranges import PositiveInt
from kgclip_jax.schema import LocalPath


@dataclass(frozen=True, kw_only=True)
class TextsConfig:
    """Texts that a language model has embedded, as a config names them.

    They need not be captions: the names of things that no picture shows do, too.

    Attributes:
        kind: tells this stream apart from the others.
        texts: folder that `launch/prepare.py embed` has made, absolute or in `data.path`.
        rows: texts in a step, over all devices.
        tables: numbers that go with each row, by name, as `TextBlock.tables`; of the same folder or
            of others that have the same texts.
        length: tokens that texts are cut to; a model whose texts may not be cut takes its context
            length.
    """

    kind: Literal["texts"] = "texts"
    texts: LocalPath
    rows: PositiveInt
    tables: dict[str, Annotated[TableConfig, TABLES]] = field(default_factory=dict)
    length: PositiveInt = 77

    def check(self, *, reads_graphs: bool) -> None:
        """Accept any model: what a text says without its scene graph is taught."""

    def open(self, name: str, opening: StreamOpening) -> "TextStream":
        """Open the folders. Raises DataError when one is missing or malformed."""
        root, reading = Path(opening.data.path), opening.preprocessing
        texts = EmbeddedTexts(root / self.texts)
        return TextStream(
            name=name,
            texts=texts,
            mixture=Mixture([len(texts)], [1.0], ["texts"], self.rows, opening.seed, name),
            units=units_of([self.rows], opening.hosts),
            tables={key: settings.open(root, {}) for key, settings in self.tables.items()},
            tokenizer=reading.tokenizer,
            length=reading.text_length(self.length),
        )


@dataclass(frozen=True)
class TextStream:
    """The rows of `TextsConfig`; implements `kgclip_jax.data.streams.stream.Stream`.

    Attributes:
        name: of the entry in the config.
        texts: all that there are.
        mixture: their order.
        units: equal parts that the rows of a step are made in.
        tables: numbers that go with each row.
        tokenizer: of the texts.
        length: tokens of a text.
    """

    name: str
    texts: EmbeddedTexts
    mixture: Mixture
    units: int
    tables: Mapping[str, Table]
    tokenizer: Tokenizer
    length: int

    @property
    def rows(self) -> int:
        """Texts of a step."""
        return self.mixture.rows

    @property
    def unit(self) -> int:
        """Texts that are made together."""
        return self.rows // self.units

    @property
    def refusals(self) -> Mapping[str, str]:
        """What to say when nobody reads the texts."""
        return {"text": f"config.streams.{self.name} is read by none of the objectives"}

    @property
    def notes(self) -> Sequence[str]:
        """How many texts there are."""
        return [f"{len(self.texts):,} texts of {self.texts.folder.name}"]

    def load(self, step: int, units: Sequence[int]) -> Rows:
        """Make some units of rows of a step.

        Raises:
            DataError: a table lacks a text.
        """
        chosen = self.mixture.draws(step, rows_in(units, self.unit))
        words = self.texts.texts(chosen.record)
        tokens, longer = cut_to(self.tokenizer, words, self.length)
        counts: Counts = Counter()
        counts["text", "fitting"] += len(words)
        counts["text", "cut to its slot"] += longer
        draws = [
            Draw(self.name, epoch, record)
            for epoch, record in zip(chosen.epoch.tolist(), chosen.record.tolist(), strict=True)
        ]
        found = {key: table.rows(draws, words) for key, table in self.tables.items()}
        return Rows(TextBlock(Texts((tokens,)), found or None), +counts)

    def constants(self) -> dict[str, Any]:
        """Return nothing: all is in the rows."""
        return {}

    def abstract(self) -> TextBlock:
        """Return the block of a whole step without its values."""
        tables = {
            key: abstract_array((self.rows, *table.shape), table.dtype)
            for key, table in self.tables.items()
        }
        tokens = abstract_array((self.rows, self.length), np.int32)
        return TextBlock(Texts((tokens,)), tables or None)

    def fingerprint(self) -> str:
        """Return those of the texts and tables."""
        parts = [table.fingerprint() for table in self.tables.values()]
        return " ".join([self.texts.contents.fingerprint, *parts])

    def resolved(self) -> dict[str, Any]:
        """Return nothing: settings say it all."""
        return {}
