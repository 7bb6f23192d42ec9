"""Photographs of any stored records: a source to train on, a set to evaluate on."""

from functools import partial

import numpy as np
from jaxtyping import UInt8

from kgclip_jax.data.evaluation_sets import RetrievalSet
from kgclip_jax.data.images import random_resized_crop
from kgclip_jax.data.lazy_pictures import EncodedPicture, EvaluationTransform, encoded_pictures
from kgclip_jax.data.readers.visual_genome import picture_id
from kgclip_jax.data.records import Record, Records, readable_records, sampled_digest
from kgclip_jax.data.structured_captions import StructuredCaptions
from kgclip_jax.errors import BadRecord, DataError
from kgclip_jax.knowledge.caption import Caption
from kgclip_jax.knowledge.facts import Known
from kgclip_jax.knowledge.graph_store import GraphStore


class Photographs:
    """Stored records, their pictures decoded and cropped at random: a `Source`.

    Attributes:
        name: that of the records.
        records: where the pictures and captions come from.
        size: side of the pictures in pixels.
    """

    def __init__(
        self,
        records: Records,
        *,
        size: int,
        scale: tuple[float, float] = (0.9, 1.0),
        graphs: GraphStore | None = None,
        scene_graphs: GraphStore | None = None,
        structured: StructuredCaptions | None = None,
    ) -> None:
        """Make a source of records.

        Args:
            records: see `kgclip_jax.data.readers` for how to open them.
            size: side of the pictures that `image` returns, in pixels.
            scale: range of the random crop's area as a share of the picture's, or of its box's.
            graphs: the scene graphs of the captions.
            scene_graphs: those of whole pictures, by their ids in Visual Genome.
            structured: the captions to choose from; None for all.
        """
        self.name = records.name
        self.records = records
        self.size = size
        self._scale = scale
        self._graphs = graphs
        self._scene_graphs = scene_graphs
        self._structured = structured
        self._last: tuple[int, Record] | None = None

    def __len__(self) -> int:
        return len(self.records if self._structured is None else self._structured.records)

    def _number(self, index: int) -> int:
        """Return which of all records a record of this source is."""
        return index if self._structured is None else int(self._structured.records[index])

    def _record(self, index: int) -> Record:
        """Read a record; after one of its captions, all that is known of it is asked for."""
        last = self._last
        if last is None or last[0] != index:
            self._last = last = index, self.records.record(self._number(index))
        return last[1]

    def caption(self, index: int, rng: np.random.Generator) -> Caption:
        """Choose one of the captions of a record, each equally likely.

        A record that cannot be read has a blank one: asking for its picture tells what is wrong.

        Raises:
            DataError: the store of graphs has none of this caption.
        """
        try:
            record = self._record(index)
        except BadRecord:
            return Caption("")
        if self._structured is None:
            number = int(rng.integers(len(record.captions)))
        else:
            numbers = self._structured.numbers(index)
            number = numbers[int(rng.integers(len(numbers)))]
        text = record.captions[number]
        if self._graphs is None:
            return Caption(text)
        return Caption(text, self._graphs.graphs(record.key, record.captions).graph(number))

    def known(self, index: int) -> list[Known]:
        """Return what all captions of a record say, together or alone (see `facts.together`).

        The graph of the whole picture follows: people told its things apart, so that it is not
        mixed with the captions. Nothing is known without a store of graphs, and of a record that
        cannot be read.

        Raises:
            DataError: a store of graphs has none of one of the captions, or of the picture.
        """
        if self._graphs is None and self._scene_graphs is None:
            return []
        try:
            record = self._record(index)
        except BadRecord:
            return []
        known: list[Known] = []
        if self._graphs is not None:
            known += self._graphs.graphs(record.key, record.captions).known()
        if self._scene_graphs is not None:
            known.append(self._scene_graphs.picture(picture_id(record.key)))
        return known

    def fingerprint(self) -> str:
        """Hash the records, see `records.sampled_digest`, their graphs, and the choice among them.

        Raises:
            DataError: a store of graphs has none of one of the records.
        """
        digest = sampled_digest(self.records, self._stored_graphs)
        for part in self._structured or ():
            digest.update(part.tobytes())
        return digest.hexdigest()

    def _stored_graphs(self, record: Record) -> bytes:
        """Return what is stored of the scene graphs of a record."""
        stored = b"" if self._graphs is None else self._graphs.content(record.key)
        if self._scene_graphs is not None:
            stored += self._scene_graphs.content(picture_id(record.key))
        return stored

    def image(
        self, index: int, rng: np.random.Generator
    ) -> UInt8[np.ndarray, "{self.size} {self.size} 3"]:
        """Read, decode and crop the picture of a record.

        Raises:
            BadRecord: it cannot be read or decoded; the reason names the record.
        """
        index = self._number(index)
        box, encoded = self.records.record(index).box, self.records.encoded(index)
        try:
            return random_resized_crop(encoded, self.size, rng, scale=self._scale, box=box)
        except BadRecord as error:
            key = self.records.record(index).key
            raise BadRecord(error.reason, f"{key}: {error.detail}") from error


def retrieval_set(
    records: Records, transform: EvaluationTransform, *, bad_share: float = 0.05
) -> RetrievalSet:
    """Return all captions of stored records, and their pictures, cut to their boxes when read.

    Records that cannot be read are left out, with one log line.

    Raises:
        DataError: more of the records are, or none is left.
    """
    found = readable_records(records, bad_share)
    if not found:
        raise DataError(f"{records.name}: no usable pictures")
    pictures = [
        EncodedPicture(record.key, partial(records.encoded, index), record.box)
        for index, record in found
    ]
    counts = [len(record.captions) for _, record in found]
    return RetrievalSet(
        name=records.name,
        pictures=encoded_pictures(pictures, transform, name=records.name, bad_share=bad_share),
        captions=[text for _, record in found for text in record.captions],
        owners=np.repeat(np.arange(len(found)), counts),
    )
