"""Records: captioned pictures as they are stored, with random access, before any decoding."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import UInt8

from kgclip_jax.data.images import Box
from kgclip_jax.data.skips import UNREADABLE_RECORD, Skips
from kgclip_jax.errors import BadRecord
from kgclip_jax.knowledge.caption import Caption
from kgclip_jax.knowledge.facts import Known

FINGERPRINTED = 10_000


class Record(NamedTuple):
    """What is known of a stored picture without decoding it.

    Attributes:
        key: tells the record apart from all others of its collection, and stays the same.
        captions: one or more texts of the picture, none of them blank.
        box: the part of the picture that the captions describe, in pixels, or None for all of it.
    """

    key: str
    captions: Sequence[str]
    box: Box | None = None


@runtime_checkable
class Records(Protocol):
    """A collection of captioned pictures. It pickles cheaply, because workers receive a copy.

    Attributes:
        name: for logs and tables.
        skipped: number of records and captions that were left out, by reason.
    """

    name: str
    skipped: Mapping[str, int]

    def __len__(self) -> int: ...

    def record(self, index: int) -> Record:
        """Return what is known of a record. Raises BadRecord when it must be read, and cannot."""
        ...

    def encoded(self, index: int) -> bytes:
        """Read the picture file of a record. Raises BadRecord when it cannot be read."""
        ...


def readable_records(records: Records, bad_share: float) -> list[tuple[int, Record]]:
    """Return the number and the record of all that can be read, their pictures aside.

    Raises:
        DataError: a larger share than `bad_share` cannot be read.
    """
    found = []
    skips = Skips()
    for index in range(len(records)):
        try:
            found.append((index, records.record(index)))
        except BadRecord as error:
            skips.add(UNREADABLE_RECORD, str(error))
    skips.check(records.name, records.name, {UNREADABLE_RECORD: len(records)}, bad_share)
    return found


def sampled_digest(
    records: Records, more: Callable[[Record], bytes] = lambda record: b""
) -> "hashlib._Hash":
    """Hash the number of records, and keys, captions and boxes of FINGERPRINTED ones.

    These are evenly spread. Another number of records, another order, other captions or boxes are
    seen; an exchange of a few records among very many may not be. `more` is what else is known of a
    record.
    """
    count = len(records)
    digest = hashlib.sha256(str(count).encode())
    for index in np.unique(np.linspace(0, count - 1, FINGERPRINTED, dtype=np.int64)):
        try:
            record = records.record(int(index))
        except BadRecord:
            continue
        digest.update("\0".join([record.key, *record.captions, ""]).encode())
        if record.box is not None:
            digest.update(repr(tuple(record.box)).encode())
        digest.update(more(record))
    return digest


@runtime_checkable
class Source(Protocol):
    """Image-text records with random access. Everything random comes from the given generator."""

    name: str

    def __len__(self) -> int: ...

    def caption(self, index: int, rng: np.random.Generator) -> Caption:
        """Choose one caption of record `index`."""
        ...

    def known(self, index: int) -> Sequence[Known]:
        """Return what is known of record `index`: all that any part of it says is true."""
        ...

    def image(self, index: int, rng: np.random.Generator) -> UInt8[np.ndarray, "size size 3"]:
        """Read or render the picture of record `index`, augmented. Raises BadRecord."""
        ...

    def fingerprint(self) -> str:
        """Return a hash of what the records are, wherever they lie."""
        ...
