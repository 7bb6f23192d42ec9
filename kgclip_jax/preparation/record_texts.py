"""Which rows of a folder of embedded texts are of one record, those held out, and pairs of texts.

A folder keeps each text once, and not of which records it is: the records say that. What is held
here is two numbers of 8 bytes a text; no embedding is read.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int, Int32, Int64
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components

from kgclip_jax.data.embedded_texts import EmbeddedTexts
from kgclip_jax.data.order import Mixture
from kgclip_jax.data.records import Records
from kgclip_jax.data.skips import UNREADABLE_RECORD, Skips
from kgclip_jax.errors import BadRecord, DataError
from kgclip_jax.random import bits_of

FEWEST_HELD_OUT = 20  # records that a share of found paraphrases is counted by, at least

_GROUP = 4_096  # records whose texts are looked up together
_PURPOSE = "tuning"


@dataclass(frozen=True, eq=False)
class RecordTexts:
    """Records with two different texts or more.

    Attributes:
        records: their numbers, rising.
        ends: where the rows of each record end in `rows`, behind a 0.
        rows: of the different texts of the first record, then of the second one, and so on.
    """

    records: Int64[np.ndarray, " r"]
    ends: Int64[np.ndarray, " r_and_1"]
    rows: Int64[np.ndarray, " t"]

    def __len__(self) -> int:
        return len(self.records)

    def only(self, kept: Bool[np.ndarray, " t"]) -> "RecordTexts":
        """Leave texts out, and then records with fewer than two."""
        owners = np.repeat(np.arange(len(self)), np.diff(self.ends))
        counts = np.bincount(owners[kept], minlength=len(self))
        kept = kept & (counts >= 2)[owners]
        return _joined(self.records[counts >= 2], counts[counts >= 2], self.rows[kept])

    def of(self, chosen: Bool[np.ndarray, " r"]) -> "RecordTexts":
        """Leave records out."""
        return self.only(np.repeat(chosen, np.diff(self.ends)))

    def first_two(self, most: int) -> Int64[np.ndarray, "n 2"]:
        """Return the first two texts of records, at most so many, evenly spread."""
        starts = self.ends[:-1][:: max(1, -(-len(self) // most))]
        return np.stack([self.rows[starts], self.rows[starts + 1]], axis=1)


class HeldOut(NamedTuple):
    """Records in three parts that share no text with the first one.

    Attributes:
        learnt: are learnt from.
        choosing: tell which map is kept.
        measured: tell how good it is.
    """

    learnt: RecordTexts
    choosing: RecordTexts
    measured: RecordTexts


def read_record_texts(records: Records, embedded: EmbeddedTexts, bad_share: float) -> RecordTexts:
    """Find the texts of all records.

    Args:
        records: that the texts are of; they may be some of those that were embedded.
        embedded: the folder.
        bad_share: largest share of records that may not be readable.

    Raises:
        DataError: more cannot be read, a text is not in the folder, or no record has two texts.
    """
    numbers, counts, found = [], [], []
    skips = Skips()
    readable = _readable(records, skips)
    while group := list(islice(readable, _GROUP)):
        rows = embedded.rows_of([text for _, texts in group for text in texts])
        numbers.append(np.array([number for number, _ in group]))
        counts.append(np.array([len(texts) for _, texts in group]))
        found.append(rows)
    skips.check(records.name, records.name, {UNREADABLE_RECORD: len(records)}, bad_share)
    if not found:
        raise DataError(
            f"{records.name}: none of {len(records):,} records has two different texts, and only "
            "such a record tells which texts are to be alike"
        )
    return _joined(*map(np.concatenate, (numbers, counts, found)))


def hold_out(texts: RecordTexts, share: float, seed: int, name: str) -> HeldOut:
    """Hold a share of the records out, half of it to choose a map and half of it to measure it.

    Which ones is a hash of the seed and the number of a record. Texts of theirs that other records
    have too are not learnt from either.

    Args:
        texts: of all records.
        share: of the records.
        seed: of the hash.
        name: of the records, for messages.

    Raises:
        DataError: fewer than FEWEST_HELD_OUT are held out for either purpose, or fewer than two are
            left to learn from.
    """
    drawn = bits_of(texts.records, 1, seed, _PURPOSE, "held out")[:, 0] / 2.0**64
    choosing, measured = (
        texts.of(drawn < share / 2),
        texts.of((drawn >= share / 2) & (drawn < share)),
    )
    if min(len(choosing), len(measured)) < FEWEST_HELD_OUT:
        raise DataError(
            f"{name}: of {len(texts):,} records with two different texts, {len(choosing):,} are "
            f"held out to choose a map and {len(measured):,} to measure it; {FEWEST_HELD_OUT} each "
            "are the fewest: give more records, or another --held_out"
        )
    kept = ~np.isin(texts.rows, np.concatenate([choosing.rows, measured.rows]))
    learnt = texts.only(kept & np.repeat(drawn >= share, np.diff(texts.ends)))
    if len(learnt) < 2:
        raise DataError(
            f"{name}: of {len(texts):,} records with two different texts, {len(learnt):,} are left "
            "to learn from; give more records or lower --held_out"
        )
    return HeldOut(learnt, choosing, measured)


def draw_pairs(
    texts: RecordTexts, step: int, batch: int, seed: int
) -> tuple[Int64[np.ndarray, "batch 2"], Int32[np.ndarray, " batch"]]:
    """Draw two different texts of each of some records: their rows, and groups as `groups_of`.

    All records come once before one comes again, in an order of each epoch's own.
    """
    mixture = Mixture([len(texts)], [1.0], ["records"], batch, seed, _PURPOSE)
    places = mixture.draws(step, np.arange(batch)).record
    starts, counts = texts.ends[places], np.diff(texts.ends)[places]
    draws = np.arange(step * batch, (step + 1) * batch)
    bits = bits_of(draws, 2, seed, _PURPOSE, "texts")
    first = (bits[:, 0] % counts.astype(np.uint64)).astype(np.int64)
    others = (counts - 1).astype(np.uint64)
    second = (first + 1 + (bits[:, 1] % others).astype(np.int64)) % counts
    pairs = texts.rows[np.stack([starts + first, starts + second], axis=1)]
    return pairs, groups_of(pairs, texts.records[places])


def groups_of(
    pairs: Int[np.ndarray, "b 2"], records: Int[np.ndarray, " b"]
) -> Int32[np.ndarray, " b"]:
    """Number pairs of texts, with one number for those that mean the same.

    These are pairs of one record and pairs that share a text, themselves or through others.

    Args:
        pairs: rows of the texts.
        records: that the texts are of.
    """
    count = len(pairs)
    things = np.concatenate([pairs[:, 0], pairs[:, 1], -1 - records])
    distinct, which = np.unique(things, return_inverse=True)
    size = count + len(distinct)
    links = (np.tile(np.arange(count), 3), count + which)
    matrix = csr_matrix((np.ones(len(things), np.int8), links), (size, size))
    return connected_components(matrix, directed=False)[1][:count].astype(np.int32)


def _readable(records: Records, skips: Skips) -> Iterator[tuple[int, list[str]]]:
    """Yield the numbers and the different texts of records with two or more."""
    for number in range(len(records)):
        try:
            texts = list(dict.fromkeys(records.record(number).captions))
        except BadRecord as error:
            skips.add(UNREADABLE_RECORD, str(error))
            continue
        if len(texts) > 1:
            yield number, texts


def _joined(
    records: Int[np.ndarray, " r"], counts: Int[np.ndarray, " r"], rows: Int[np.ndarray, " t"]
) -> RecordTexts:
    ends = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
    return RecordTexts(records.astype(np.int64), ends, rows.astype(np.int64))
