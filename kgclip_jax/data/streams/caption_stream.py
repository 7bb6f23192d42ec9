"""The rows of captioned pictures: drawn, read, told, tokenised, and put into slots.

    order of records -> pictures (bad ones replaced) -> captions -> negatives -> tokens
                     -> sorted into slots of a few lengths, unit by unit of rows

Within a unit rows are sorted by their longest text, so that each slot is little padded; a text that
is longer than its slot is cut and counted.
"""

import hashlib
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np
from jaxtyping import Int, Int32, UInt8

from kgclip_jax import schema
from kgclip_jax.batch import Images, Pairs, Texts, Triples
from kgclip_jax.data.blocks import abstract_array, concat_blocks
from kgclip_jax.data.order import Mixture
from kgclip_jax.data.preprocessing import Preprocessing
from kgclip_jax.data.records import Source
from kgclip_jax.data.streams.neighbours import Neighbours
from kgclip_jax.data.streams.replacement import read_or_replace
from kgclip_jax.data.streams.side_tables import Table
from kgclip_jax.data.streams.stream import Counts, Rows
from kgclip_jax.data.streams.texts import Draw, TextMaker, TextRows, picture_ids, text_ids
from kgclip_jax.data.text_slots import TextSlots


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


def _notes(texts: TextMaker, slots: TextSlots, rows: int) -> list[str]:
    parts = zip(slots.rows, slots.lengths, strict=True)
    cut = ", ".join(f"{rows} of {length} tokens" for rows, length in parts)
    notes = [f"texts: of {slots.unit} rows, {cut}"]
    records = sum(map(len, texts.sources.values()))
    if records < rows:
        notes.append(
            f"only {records:,} records for {rows:,} rows: each step has some several times, which "
            "are not compared with each other"
        )
    if texts.vocabulary is not None:
        notes.append(
            f"negatives: {len(texts.vocabulary):,} words to put in the place of others, "
            f"{texts.vocabulary.with_siblings:,} names with siblings"
        )
    return notes


def abstract_pairs(
    rows: int,
    slots: TextSlots,
    reading: Preprocessing,
    *,
    negatives: int = 0,
    tables: Mapping[str, Table] = MappingProxyType({}),
) -> Pairs:
    """Return the blocks of a step of captioned pictures without their values.

    Args:
        rows: of a step.
        slots: of the texts of a unit.
        reading: how a model reads pictures, texts and scene graphs.
        negatives: of each caption.
        tables: that go with each row.
    """

    def texts(*several: int) -> Texts:
        tokens = tuple(
            abstract_array((rows // slots.unit * part, *several, length), np.int32)
            for part, length in zip(slots.rows, slots.lengths, strict=True)
        )
        if reading.triples is None:
            return Texts(tokens)
        shape = (rows, *several, reading.triples.slots)
        elements = (*shape, 3, reading.triples.tokenizer.context_length)
        return Texts(
            tokens, Triples(abstract_array(elements, np.int32), abstract_array(shape, bool))
        )

    size, some = reading.image_size, negatives > 0
    return Pairs(
        image=Images(abstract_array((rows, size, size, 3), np.uint8)),
        text=texts(),
        ids=abstract_array((rows, 2), np.int32),
        negatives=texts(negatives) if some else None,
        negative_mask=abstract_array((rows, negatives), bool) if some else None,
        negative_ids=abstract_array((rows, negatives), np.int32) if some else None,
        tables={
            name: abstract_array((rows, *table.shape), table.dtype)
            for name, table in tables.items()
        }
        or None,
    )


class CaptionStream:
    """The rows of `CaptionsConfig`; implements `kgclip_jax.data.streams.stream.Stream`."""

    def __init__(
        self,
        name: str,
        texts: TextMaker,
        mixture: Mixture,
        slots: TextSlots,
        preprocessing: Preprocessing,
        tables: Mapping[str, Table] = MappingProxyType({}),
        neighbours: Neighbours | None = None,
        files: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Take the parts that `CaptionsConfig.open` makes; neighbours double the mixture's rows.

        `files` has the hashes of further files that rows are made of.
        """
        self.name = name
        self.rows = mixture.rows * (1 if neighbours is None else 2)
        self.unit = slots.unit
        self.refusals = {
            "negatives": f"config.streams.{name}.negatives is read by none of the objectives"
        }
        self.notes = _notes(texts, slots, self.rows)
        self.texts = texts
        self.slots = slots
        self._mixture = mixture
        self._preprocessing = preprocessing
        self._tables = dict(tables)
        self._neighbours = neighbours
        self._files = dict(files)

    def load(self, step: int, units: Sequence[int]) -> Rows:
        """Make some units of rows of a step.

        Raises:
            DataError: too many records in a row were bad.
        """
        counts: Counts = Counter()
        blocks = [self._load_unit(step, unit, counts) for unit in units]
        return Rows(concat_blocks(blocks), counts)

    def _load_unit(self, step: int, unit: int, counts: Counts) -> Pairs:
        draws = self._draws(step, unit)
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
        tables = {
            name: table.rows(draws, texts.words)[joined] for name, table in self._tables.items()
        }
        pairs = self._assembled(order, joined, pixels, self._picture_ids(draws), texts)
        return pairs._replace(tables=tables or None)

    def _draws(self, step: int, unit: int) -> list[Draw]:
        """Return the records of a unit; with neighbours, those of half a unit and one of each."""
        size = self.unit if self._neighbours is None else self.unit // 2
        draws = draws_of(self._mixture, step, np.arange(unit * size, (unit + 1) * size))
        return draws if self._neighbours is None else self._neighbours.beside(draws)

    def _picture(self, draw: Draw, counts: Counts) -> tuple[UInt8[np.ndarray, "h w 3"], Draw]:
        """Return a picture and its record: another one of the source where the record is bad."""
        source = self.texts.sources[draw.source]
        choice = self.texts.generator(draw, "replacement")

        def read(record: int) -> UInt8[np.ndarray, "h w 3"]:
            rng = self.texts.generator(draw._replace(record=record), "augment")
            return source.image(record, rng)

        picture, record = read_or_replace(
            draw.record,
            read,
            partial(choice.integers, len(source)),
            counts,
            name=source.name,
            records=f"records of {source.name}",
        )
        return picture, draw._replace(record=record)

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
        wanted = self.texts.settings
        return abstract_pairs(
            self.rows,
            self.slots,
            self._preprocessing,
            negatives=0 if wanted is None else wanted.count,
            tables=self._tables,
        )

    def fingerprint(self) -> str:
        """Hash what the sources, tables and further files hold."""
        digest = hashlib.sha256()
        parts: list[tuple[str, Source | Table]] = [
            *self.texts.sources.items(),
            *self._tables.items(),
        ]
        for name, part in parts:
            digest.update(f"{name}={part.fingerprint()};".encode())
        for name, content in self._files.items():
            digest.update(f"{name}={content};".encode())
        if self.texts.listed is not None:
            digest.update(f"negatives={self.texts.listed.fingerprint};".encode())
        return digest.hexdigest()

    def resolved(self) -> dict[str, Any]:
        """Return the slots of texts."""
        return {"text_slots": schema.to_dict(self.slots)}
