"""Records whose pictures are files in a folder, listed by some file of captions."""

import os
from array import array
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from kgclip_jax.data.packed_texts import PackedTexts
from kgclip_jax.data.readers.record_table import RecordTable
from kgclip_jax.data.records import Record
from kgclip_jax.data.skips import EMPTY_CAPTION, MISSING_IMAGE, UNREADABLE_IMAGE, Skips
from kgclip_jax.errors import BadRecord, DataError

OUTSIDE = "picture outside of the folder"


class Entry(NamedTuple):
    """A record, the file of its picture relative to the folder, and why it cannot be used."""

    record: Record
    file: str
    flaw: str | None = None


def leads_outside(file: str) -> bool:
    """Tell whether a path that a list names may lead out of the list's folder."""
    return os.path.isabs(file) or ".." in Path(file).parts


class PictureFiles:
    """Captioned picture files of a folder: a `Records`.

    Attributes:
        name: for logs and tables.
        skipped: number of pictures and captions that were left out, by reason.
    """

    def __init__(
        self,
        entries: Iterable[Entry],
        *,
        name: str,
        folder: Path,
        listing: Path,
        bad_share: float,
    ) -> None:
        """List the pictures that are there and have captions; none is opened yet.

        Args:
            entries: what should be there; records of one file had better follow each other.
            name: for logs and tables.
            folder: where the pictures lie.
            listing: the file or folder that the entries come from, for messages.
            bad_share: entries with a flaw, without a file or without a caption, and blank captions,
                are left out with one log line, up to this share of each.

        Raises:
            DataError: more is bad, nothing is left, or two entries have the same key.
        """
        self.name = name
        self._folder = folder
        self._table = RecordTable()
        self._files = PackedTexts()
        self._file = array("i")  # of each record
        skips = Skips()
        present = _Present(folder)
        records = captions = 0
        for record, file, flaw in entries:
            records += 1
            captions += len(record.captions)
            if flaw is not None:
                skips.add(flaw, record.key)
            elif leads_outside(file):
                skips.add(OUTSIDE, file)
            elif file not in present:
                skips.add(MISSING_IMAGE, file)
            elif self._table.add(record, skips):
                if not self._files or self._files[len(self._files) - 1] != file:
                    self._files.append(file)
                self._file.append(len(self._files) - 1)
        self.skipped: Mapping[str, int] = skips.counts
        totals = dict.fromkeys(skips.counts, records) | {EMPTY_CAPTION: captions}
        skips.check(name, f"{listing} (pictures: {folder})", totals, bad_share)
        if not self._table:
            raise DataError(f"{listing}: no usable pictures in {name} (pictures: {folder})")
        if (key := self._table.repeated_key()) is not None:
            raise DataError(f"{listing}: several records have the id {key!r}; remove the repeats")

    def __len__(self) -> int:
        return len(self._table)

    def record(self, index: int) -> Record:
        """Return what is known of a record."""
        return self._table[index]

    def file(self, index: int) -> Path:
        """Return the picture file of a record."""
        return self._folder / self._files[self._file[index]]

    def encoded(self, index: int) -> bytes:
        """Read the picture file of a record.

        Raises:
            BadRecord: it cannot be read.
        """
        try:
            return self.file(index).read_bytes()
        except OSError as error:
            raise BadRecord(UNREADABLE_IMAGE, f"{self.file(index)}: {error.strerror}") from error


class _Present:
    """Which files are on disk, by one listing a folder: a call a file is slow on network disks."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names: dict[str, set[str]] = {}

    def __contains__(self, file: str) -> bool:
        parent, name = os.path.split(file)
        if parent not in self._names:
            path = self._folder / parent
            self._names[parent] = set(os.listdir(path)) if path.is_dir() else set()
        return name in self._names[parent]
