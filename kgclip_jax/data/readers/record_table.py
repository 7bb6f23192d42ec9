"""Keys, captions and boxes of many records in little memory."""

import math
from array import array

import numpy as np

from kgclip_jax.data.images import Box
from kgclip_jax.data.packed_texts import PackedTexts
from kgclip_jax.data.records import Record
from kgclip_jax.data.skips import EMPTY_CAPTION, NO_CAPTION, Skips
from kgclip_jax.knowledge.clean_captions import clean_caption

_NO_BOX = (math.nan,) * 4


class RecordTable:
    """A list of records in a few buffers, so that workers receive and hold it cheaply."""

    def __init__(self) -> None:
        self._keys = PackedTexts()
        self._captions = PackedTexts()
        self._first = array("q", [0])  # caption of each record
        self._boxes = array("f")  # holds whole pixels exactly

    def __len__(self) -> int:
        return len(self._keys)

    def __getitem__(self, index: int) -> Record:
        key = self._keys[index]
        captions = self._captions.between(self._first[index], self._first[index + 1])
        if math.isnan(self._boxes[4 * index]):
            return Record(key, captions)
        return Record(key, captions, Box(*self._boxes[4 * index : 4 * index + 4]))

    def add(self, record: Record, skips: Skips) -> bool:
        """Append a record, its captions cleaned; blank ones are left out and counted.

        Returns:
            Whether a caption was left; a record that has none is counted instead.
        """
        captions = [text for text in map(clean_caption, record.captions) if text]
        for _ in range(len(record.captions) - len(captions)):
            skips.add(EMPTY_CAPTION, record.key)
        if not captions:
            skips.add(NO_CAPTION, record.key)
            return False
        self._keys.append(record.key)
        for text in captions:
            self._captions.append(text)
        self._first.append(len(self._captions))
        self._boxes.extend(record.box or _NO_BOX)
        return True

    def repeated_key(self) -> str | None:
        """Return a key that several records have, or None; needs eight bytes a record."""
        hashes = np.fromiter((hash(self._keys[i]) for i in range(len(self))), np.int64, len(self))
        order = np.argsort(hashes, kind="stable")
        equal = np.flatnonzero(np.diff(hashes[order]) == 0)
        for first, second in zip(order[equal].tolist(), order[equal + 1].tolist(), strict=True):
            if self._keys[first] == self._keys[second]:
                return self._keys[first]
        return None
