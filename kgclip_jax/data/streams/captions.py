"""Captioned pictures, with negatives of the captions made on the fly: a stream.

    order of records -> pictures (bad ones replaced) -> captions -> negatives -> tokens
                     -> sorted into slots of a few lengths, unit by unit of rows

Within a unit rows are sorted by their longest text, so that each slot is little padded; a text that
is longer than its slot is cut and counted.
"""

import hashlib
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from jaxtyping import Int, Int32, UInt8

from kgclip_jax import schema
from kgclip_jax.batch import Images, Pairs, Texts, Triples
from kgclip_jax.data.blocks import abstract_array, concat_blocks
from kgclip_jax.data.order import Mixture
from kgclip_jax.data.preprocessing import Preprocessing
from kgclip_jax.data.sources import SOURCES, SourceConfig
from kgclip_jax.data.streams.base import BAD_RECORD, Counts, Rows, StreamOpening
from kgclip_jax.data.streams.texts import (
    Draw,
    TextMaker,
    TextRows,
    count_vocabulary,
    picture_ids,
    text_ids,
)
from kgclip_jax.data.text_slots import TextSlots, choose_slots, one_slot
from kgclip_jax.errors import BadRecord, ConfigError, DataError
from kgclip_jax.knowledge.hierarchy import read_hierarchy
from kgclip_jax.knowledge.negatives import NegativeSettings
from kgclip_jax.knowledge.vocabulary import Vocabulary
from kgclip_jax.schema import check
from kgclip_jax.types import Source

SAMPLED_ROWS = 16_384  # whose longest texts decide on the slots
LARGEST_UNIT = 256
REPLACEMENT_TRIES = 100


@dataclass(frozen=True, kw_only=True)
class CaptionsConfig:
    """Captioned pictures of one or more sources.

    Attributes:
        kind: tells this stream apart from the others.
        sources: by name; mixed by their weights.
        rows: pairs in a step, over all devices.
        negatives: texts that are wrong on purpose, made of each caption, or None.
        text_slots: the lengths that texts are cut to within each unit of rows: "auto" finds them in
            a sample at the start of a run, "one" keeps the context length for all.
    """

    kind: Literal["captions"] = "captions"
    sources: dict[str, Annotated[SourceConfig, SOURCES]]
    rows: int
    negatives: NegativeSettings | None = None
    text_slots: Literal["auto", "one"] | TextSlots = "auto"

    def __post_init__(self) -> None:
        check(self.rows >= 1, f"rows must be at least 1, not {self.rows}")

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

    def open(self, name: str, opening: StreamOpening) -> "CaptionStream":
        """Open the sources, count the vocabulary of negatives, and find the slots of texts.

        Raises:
            DataError: a source is missing or malformed, or has too many bad records.
            ConfigError: there is no source, or the settings do not fit it.
        """
        if not self.sources:
            raise ConfigError(f"config.streams.{name}.sources names no source to train on")
        size = opening.preprocessing.image_size
        sources = {key: settings.open(opening.data, size) for key, settings in self.sources.items()}
        seed = opening.seed
        texts = TextMaker(
            sources,
            opening.preprocessing.tokenizer,
            seed,
            settings=self.negatives,
            vocabulary=self._vocabulary(sources, Path(opening.data.path), seed),
            triples=opening.preprocessing.triples,
        )
        mixture = Mixture(
            lengths=[len(source) for source in sources.values()],
            weights=[settings.weight for settings in self.sources.values()],
            names=list(sources),
            rows=self.rows,
            seed=seed,
            stream=name,
        )
        slots = self._slots(name, texts, mixture, opening)
        return CaptionStream(name, texts, mixture, slots, opening.preprocessing)

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
        unit = largest_unit(self.rows // math.gcd(self.rows, opening.hosts))
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


def largest_unit(rows: int) -> int:
    """Return the largest number of rows up to LARGEST_UNIT that divides `rows`."""
    return max(size for size in range(1, min(rows, LARGEST_UNIT) + 1) if rows % size == 0)


def sample_lengths(texts: TextMaker, mixture: Mixture) -> Int[np.ndarray, " rows"]:
    """Return the longest text's tokens of the first SAMPLED_ROWS rows of a run, or some more."""
    lengths: list[np.ndarray] = []
    for step in range(-(-SAMPLED_ROWS // mixture.rows)):
        rows = np.arange(min(mixture.rows, SAMPLED_ROWS))
        lengths.append(texts(draws_of(mixture, step, rows), Counter()).lengths)
    return np.concatenate(lengths)


def draws_of(mixture: Mixture, step: int, rows: Int[np.ndarray, " rows"]) -> list[Draw]:
    """Return the records of some rows of a step."""
    source, epoch, record = mixture.draws(step, rows)
    return [
        Draw(mixture.names[s], e, r)
        for s, e, r in zip(source.tolist(), epoch.tolist(), record.tolist(), strict=True)
    ]


def joined_order(rows: Sequence[int]) -> Int[np.ndarray, " unit"]:
    """Return where each row of a unit stands among its slots, once `concat_rows` has joined them.

    Slots are joined in the greatest number of equal groups, so that no row leaves its device.
    """
    groups = math.gcd(*rows)
    slots = np.split(np.arange(sum(rows)), np.cumsum(rows)[:-1])
    return np.concatenate([slot.reshape(groups, -1) for slot in slots], axis=1).ravel()


def _notes(texts: TextMaker, slots: TextSlots) -> list[str]:
    parts = zip(slots.rows, slots.lengths, strict=True)
    cut = ", ".join(f"{rows} of {length} tokens" for rows, length in parts)
    notes = [f"texts: of {slots.unit} rows, {cut}"]
    if texts.vocabulary is not None:
        notes.append(
            f"negatives: {len(texts.vocabulary):,} words to put in the place of others, "
            f"{texts.vocabulary.with_siblings:,} names with siblings"
        )
    return notes


class CaptionStream:
    """The rows of `CaptionsConfig`; implements `kgclip_jax.data.streams.base.Stream`."""

    def __init__(
        self,
        name: str,
        texts: TextMaker,
        mixture: Mixture,
        slots: TextSlots,
        preprocessing: Preprocessing,
    ) -> None:
        """Take the parts that `CaptionsConfig.open` makes."""
        self.name = name
        self.rows = mixture.rows
        self.unit = slots.unit
        self.refusals = {
            "negatives": f"config.streams.{name}.negatives is read by none of the objectives"
        }
        self.notes = _notes(texts, slots)
        self.texts = texts
        self.slots = slots
        self._mixture = mixture
        self._preprocessing = preprocessing

    def load(self, step: int, units: Sequence[int]) -> Rows:
        """Make some units of rows of a step.

        Raises:
            DataError: REPLACEMENT_TRIES records in a row were bad.
        """
        counts: Counts = Counter()
        blocks = [self._load_unit(step, unit, counts) for unit in units]
        return Rows(concat_blocks(blocks), counts)

    def _load_unit(self, step: int, unit: int, counts: Counts) -> Pairs:
        rows = np.arange(unit * self.unit, (unit + 1) * self.unit)
        draws = draws_of(self._mixture, step, rows)
        pictures = []
        for place, draw in enumerate(draws):
            picture, draws[place] = self._picture(draw, counts)
            pictures.append(picture)
        texts = self.texts(draws, counts)
        order = self.slots.order(texts.lengths)
        counts["text", "fitting"] += self.unit
        if cut := self.slots.cut(texts.lengths[order]):
            counts["text", "cut to its slot"] += cut
        joined = order[joined_order(self.slots.rows)]
        pixels = np.stack([pictures[row] for row in joined])
        return self._assembled(order, joined, pixels, self._picture_ids(draws), texts)

    def _picture(self, draw: Draw, counts: Counts) -> tuple[UInt8[np.ndarray, "h w 3"], Draw]:
        """Return a picture and its record: another one of the source where the record is bad."""
        source = self.texts.sources[draw.source]
        choice = self.texts.generator(draw, "replacement")
        reason = ""
        for _ in range(REPLACEMENT_TRIES):
            try:
                return source.image(draw.record, self.texts.generator(draw, "augment")), draw
            except BadRecord as error:
                reason = f"{source.name}: {error}"
                counts[BAD_RECORD, reason] += 1
                draw = draw._replace(record=int(choice.integers(len(source))))
        raise DataError(
            f"{REPLACEMENT_TRIES} records of {source.name} in a row were bad, last: {reason}"
        )

    def _picture_ids(self, draws: list[Draw]) -> Int32[np.ndarray, " rows"]:
        ids = np.empty(len(draws), np.int32)
        for name in self.texts.sources:
            mine = [place for place, draw in enumerate(draws) if draw.source == name]
            ids[mine] = picture_ids(name, np.array([draws[place].record for place in mine], int))
        return ids

    def _assembled(
        self,
        order: Int[np.ndarray, " rows"],
        joined: Int[np.ndarray, " rows"],
        pixels: UInt8[np.ndarray, "rows h w 3"],
        keys: Int32[np.ndarray, " rows"],
        texts: TextRows,
    ) -> Pairs:
        """Put the rows of a unit into their slots.

        Args:
            order: the rows as the slots hold them, one after the other.
            joined: the rows as all other blocks have them, see `joined_order`.
            pixels: in that order already.
            keys: of the pictures, in the order of the draws.
            texts: likewise.
        """
        caption_triples = negative_triples = None
        if texts.triples is not None:
            tokens, mask = texts.triples.tokens[joined], texts.triples.mask[joined]
            caption_triples = Triples(tokens[:, 0], mask[:, 0])
            negative_triples = Triples(tokens[:, 1:], mask[:, 1:])
        ids = np.stack([text_ids(texts.captions), keys], axis=1)
        negatives = Texts(self._in_slots(texts.negatives[order]), negative_triples)
        some = texts.mask.shape[1] > 0
        return Pairs(
            image=Images(pixels),
            text=Texts(self._in_slots(texts.captions[order]), caption_triples),
            ids=ids[joined],
            negatives=negatives if some else None,
            negative_mask=texts.mask[joined] if some else None,
            negative_ids=text_ids(texts.negatives)[joined] if some else None,
        )

    def _in_slots(
        self, tokens: Int32[np.ndarray, "rows *texts n"]
    ) -> tuple[Int32[np.ndarray, "_ *texts _"], ...]:
        """Cut the rows of a unit into slots; a text that is cut ends with the end of text."""
        end = self._preprocessing.tokenizer.end_id
        bounds = np.cumsum(self.slots.rows)[:-1]
        slots = []
        for rows, length in zip(np.split(tokens, bounds), self.slots.lengths, strict=True):
            slot = np.ascontiguousarray(rows[..., :length])
            if end is not None and length < tokens.shape[-1]:
                flat = rows.reshape(-1, rows.shape[-1])
                longer = self._preprocessing.tokenizer.lengths(flat) > length
                slot.reshape(-1, length)[longer, -1] = end
            slots.append(slot)
        return tuple(slots)

    def constants(self) -> dict[str, Any]:
        """Return nothing: all is in the rows."""
        return {}

    def abstract(self) -> Pairs:
        """Return the blocks of a whole step without their values."""
        units, size = self.rows // self.unit, self._preprocessing.image_size
        wanted, triples = self.texts.settings, self._preprocessing.triples
        count = 0 if wanted is None else wanted.count

        def texts(*several: int) -> Texts:
            tokens = tuple(
                abstract_array((units * rows, *several, length), np.int32)
                for rows, length in zip(self.slots.rows, self.slots.lengths, strict=True)
            )
            if triples is None:
                return Texts(tokens)
            shape = (self.rows, *several, triples.slots)
            elements = (*shape, 3, triples.tokenizer.context_length)
            return Texts(
                tokens, Triples(abstract_array(elements, np.int32), abstract_array(shape, bool))
            )

        return Pairs(
            image=Images(abstract_array((self.rows, size, size, 3), np.uint8)),
            text=texts(),
            ids=abstract_array((self.rows, 2), np.int32),
            negatives=texts(count) if count else None,
            negative_mask=abstract_array((self.rows, count), bool) if count else None,
            negative_ids=abstract_array((self.rows, count), np.int32) if count else None,
        )

    def fingerprint(self) -> str:
        """Hash what the sources hold."""
        digest = hashlib.sha256()
        for name, source in self.texts.sources.items():
            digest.update(f"{name}={source.fingerprint()};".encode())
        return digest.hexdigest()

    def resolved(self) -> dict[str, Any]:
        """Return the slots of texts."""
        return {"text_slots": schema.to_dict(self.slots)}
