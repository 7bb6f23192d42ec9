"""Captioned pictures, with negatives of the captions made on the fly, as a config names them."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from jaxtyping import Int

from kgclip_jax import schema
from kgclip_jax.data.listed_negatives import ListedNegatives, open_listed
from kgclip_jax.data.order import Mixture
from kgclip_jax.data.preprocessing import Preprocessing
from kgclip_jax.data.records import Source
from kgclip_jax.data.sources import SOURCES, SourceConfig
from kgclip_jax.data.streams.caption_stream import CaptionStream, draws_of
from kgclip_jax.data.streams.neighbours import Neighbours, open_neighbours
from kgclip_jax.data.streams.side_tables import TABLES, TableConfig
from kgclip_jax.data.streams.stream import StreamOpening
from kgclip_jax.data.streams.texts import TextMaker, count_vocabulary, sample_captions
from kgclip_jax.data.streams.units import units_of
from kgclip_jax.data.text_slots import TextSlots, choose_slots, one_slot
from kgclip_jax.errors import ConfigError, DataError
from kgclip_jax.files import sha256
from kgclip_jax.knowledge.hierarchy import read_hierarchy
from kgclip_jax.knowledge.negatives import NegativeSettings
from kgclip_jax.knowledge.vocabulary import Vocabulary
from kgclip_jax.ranges import PositiveInt
from kgclip_jax.schema import LocalPath, check

SAMPLED_ROWS = 16_384  # whose longest texts decide on the slots


@dataclass(frozen=True, kw_only=True)
class CaptionsConfig:
    """Captioned pictures of one or more sources.

    Attributes:
        kind: tells this stream apart from the others.
        sources: by name; mixed by their weights.
        rows: pairs in a step, over all devices.
        neighbours: files of similar records, by source, absolute or in `data.path`, which
            `launch/prepare.py neighbours` writes; every second row is then a neighbour of the one
            before it.
        negatives: texts that are wrong on purpose, made of each caption, or None.
        tables: numbers that go with each row, by name, as `Pairs.tables`.
        text_slots: the lengths that texts are cut to within each unit of rows: "auto" finds them in
            a sample at the start of a run, "one" keeps the context length for all.
    """

    kind: Literal["captions"] = "captions"
    sources: dict[str, Annotated[SourceConfig, SOURCES]]
    rows: PositiveInt
    neighbours: dict[str, LocalPath] = field(default_factory=dict)
    negatives: NegativeSettings | None = None
    tables: dict[str, Annotated[TableConfig, TABLES]] = field(default_factory=dict)
    text_slots: Literal["auto", "one"] | TextSlots = "auto"

    def __post_init__(self) -> None:
        check(not self.neighbours or self.rows % 2 == 0, "neighbours need an even number of rows")

    def check(self, *, reads_graphs: bool) -> None:
        """See that scene graphs are known of all texts that they are read of.

        Raises:
            ValueError: they are not.
        """
        shuffled = [] if self.negatives is None else self.negatives.without_graphs
        check(
            not reads_graphs or not shuffled,
            f"negatives.kinds: {', '.join(shuffled)} cannot go with model.knowledge: nobody knows "
            "the scene graphs of such negatives, so that captions alone would get what the encoder "
            "adds, and could be told by that",
        )
        readers = ["model.knowledge"] if reads_graphs else []
        if self.negatives is not None and self.negatives.of_graphs:
            readers.append(f"negatives.kinds ({', '.join(self.negatives.of_graphs)})")
        for name, source in self.sources.items():
            check(
                not readers or source.knows_graphs,
                f"sources.{name}.graphs is needed by {' and '.join(readers)}: the folder that "
                "`python launch/prepare.py parse` writes",
            )

    def open(self, name: str, opening: StreamOpening) -> CaptionStream:
        """Open sources and tables, count the vocabulary of negatives, find the slots of texts.

        Raises:
            DataError: a source or table is missing or malformed, or has too many bad records.
            ConfigError: there is no source, or the settings do not fit it.
        """
        if not self.sources:
            raise ConfigError(f"config.streams.{name}.sources names no source to train on")
        root, seed = Path(opening.data.path), opening.seed
        size = opening.preprocessing.image_size
        sources = {
            key: settings.open(opening.data, size, opening.cache)
            for key, settings in self.sources.items()
        }
        texts = TextMaker(
            sources,
            opening.preprocessing.tokenizer,
            seed,
            settings=self.negatives,
            vocabulary=self._vocabulary(sources, root, seed),
            triples=opening.preprocessing.triples,
            listed=self._listed(root, opening.preprocessing),
        )
        mixture = Mixture(
            lengths=[len(source) for source in sources.values()],
            weights=[settings.weight for settings in self.sources.values()],
            names=list(sources),
            rows=self.rows // 2 if self.neighbours else self.rows,
            seed=seed,
            stream=name,
        )
        stream = CaptionStream(
            name,
            texts,
            mixture,
            self._slots(name, texts, mixture, opening),
            opening.preprocessing,
            tables={key: settings.open(root, sources) for key, settings in self.tables.items()},
            neighbours=self._neighbours(sources, root, seed),
            files={key: sha256(file) for key, file in self._further_files(root).items()},
        )
        if self.neighbours and stream.unit % 2:
            raise ConfigError(f"config.streams.{name}.rows: neighbours need an even number")
        if texts.listed is not None:
            stream.notes.append(listed_note(texts.listed, sources, seed))
        return stream

    def _neighbours(
        self, sources: Mapping[str, Source], root: Path, seed: int
    ) -> Neighbours | None:
        files = {key: root / file for key, file in self.neighbours.items()}
        return open_neighbours(files, sources, seed) if files else None

    def _further_files(self, root: Path) -> dict[str, Path]:
        """Files that decide on the rows and say nothing of themselves to the fingerprint."""
        files = {f"neighbours of {key}": root / file for key, file in self.neighbours.items()}
        if self.negatives is not None and self.negatives.hierarchy is not None:
            files["hierarchy"] = root / self.negatives.hierarchy
        return files

    def _listed(self, root: Path, preprocessing: Preprocessing) -> ListedNegatives | None:
        if self.negatives is None or self.negatives.file is None:
            return None
        listed = open_listed(root / self.negatives.file)
        if preprocessing.triples is not None and not listed.know_graphs:
            raise DataError(
                f"{listed.name} cannot go with model.knowledge: it does not tell the scene graphs "
                "of all wrong captions (false_triples), so that captions alone would get what the "
                "encoder adds, and could be told by that"
            )
        return listed

    def _vocabulary(
        self, sources: Mapping[str, Source], path: Path, seed: int
    ) -> Vocabulary | None:
        wanted = self.negatives
        if wanted is None or not wanted.needs_vocabulary:
            return None
        hierarchy = None if wanted.hierarchy is None else read_hierarchy(path / wanted.hierarchy)
        return count_vocabulary(sources, seed, hierarchy)

    def _slots(
        self, name: str, texts: TextMaker, mixture: Mixture, opening: StreamOpening
    ) -> TextSlots:
        reading = opening.preprocessing
        if opening.resolved is not None:
            return schema.parse(TextSlots, opening.resolved["text_slots"], f"{name}.text_slots")
        if isinstance(self.text_slots, TextSlots):
            return self._checked(name, self.text_slots, reading)
        unit = self.rows // units_of([self.rows], opening.hosts)
        longest = reading.tokenizer.context_length
        cuttable = reading.causal and reading.tokenizer.end_id is not None
        if self.text_slots == "one" or not cuttable:
            return one_slot(unit, longest)
        needed = opening.parts // math.gcd(opening.parts, self.rows // unit)
        if unit % needed:  # the rows do not divide into the parts, which is told elsewhere
            return one_slot(unit, longest)
        # Eight times as many devices can take the run over, where that costs little padding.
        multiple = math.lcm(needed, 8) if unit >= 64 and unit % math.lcm(needed, 8) == 0 else needed
        lengths = sample_lengths(texts, mixture)
        return choose_slots(lengths, unit=unit, multiple=multiple, longest=longest)

    def _checked(self, name: str, slots: TextSlots, reading: Preprocessing) -> TextSlots:
        where, longest = f"config.streams.{name}.text_slots", reading.tokenizer.context_length
        if self.rows % slots.unit:
            raise ConfigError(f"{where}.unit {slots.unit} does not divide rows {self.rows}")
        if slots.lengths[-1] > longest:
            raise ConfigError(
                f"{where}.lengths: {slots.lengths[-1]} is above the context {longest}"
            )
        if slots.lengths != (longest,) and not (reading.causal and reading.tokenizer.end_id):
            raise ConfigError(f"{where}: this text tower reads texts of length {longest} alone")
        return slots


def listed_note(listed: ListedNegatives, sources: Mapping[str, Source], seed: int) -> str:
    """Say how many captions of the sources have wrong ones in a file.

    Raises:
        DataError: of all that were tried, none has.
    """
    captions = sample_captions(sources, seed)
    found = sum(bool(listed(caption.text)) for caption in captions)
    if not found:
        raise DataError(
            f"{listed.name}: of {len(captions):,} captions of the sources, none is in it"
        )
    return (
        f"negatives: {listed.name} lists {len(listed):,} of {listed.captions:,} captions "
        f"({listed.missing:,} missing); {found / len(captions):.1%} of the captions have some"
    )


def sample_lengths(texts: TextMaker, mixture: Mixture) -> Int[np.ndarray, " rows"]:
    """Return the longest text's tokens of the first SAMPLED_ROWS rows of a run, or some more."""
    lengths: list[np.ndarray] = []
    for step in range(-(-SAMPLED_ROWS // mixture.rows)):
        rows = np.arange(min(mixture.rows, SAMPLED_ROWS))
        lengths.append(texts(draws_of(mixture, step, rows), Counter()).lengths)
    return np.concatenate(lengths)
