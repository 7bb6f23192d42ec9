"""Which captions of stored pictures are structured: Structure-CLIP trains on no others.

Its authors keep the captions of COCO that have several objects, attributes and relations, and
publish the result alone. Here a caption is kept if their rule makes a negative of it that is false
as far as its graph tells: by two things with attributes of their own, or a relation of two things.
"""

import logging
from itertools import accumulate
from typing import NamedTuple

import numpy as np
from jaxtyping import Int32

from kgclip_jax.cache import NO_CACHE, Cache
from kgclip_jax.data.records import Records, sampled_digest
from kgclip_jax.errors import BadRecord, DataError
from kgclip_jax.knowledge.caption import Caption
from kgclip_jax.knowledge.graph_store import GraphStore
from kgclip_jax.knowledge.negatives import NegativeSettings, make_negatives
from kgclip_jax.random import generator

_RULE = NegativeSettings({"structure_clip": 1.0}, agreement=False)

_logger = logging.getLogger(__name__)


class StructuredCaptions(NamedTuple):
    """Some captions of some records: of kept record i, those from `first[i]` to `first[i + 1]`."""

    records: Int32[np.ndarray, " kept"]
    first: Int32[np.ndarray, " kept+1"]
    captions: Int32[np.ndarray, " captions"]

    def numbers(self, place: int) -> list[int]:
        """Return the numbers of the captions of a kept record."""
        numbers: list[int] = self.captions[self.first[place] : self.first[place + 1]].tolist()
        return numbers


def structured_captions(
    records: Records, graphs: GraphStore, cache: Cache = NO_CACHE
) -> StructuredCaptions:
    """Find them, once; how many captions and pictures are left out is logged.

    Records that cannot be read are kept: asking for their pictures tells what is wrong.

    Raises:
        DataError: none is left, or the store has no graph of a caption.
    """
    origin = sampled_digest(records, lambda record: graphs.content(record.key)).hexdigest()
    doing = f"{records.name}: a negative is made of each caption, to find the structured ones"
    found = cache("structured", origin, lambda: _found(records, graphs), doing)
    return StructuredCaptions(*(np.array(part, np.int32) for part in found))


def _found(records: Records, graphs: GraphStore) -> list[list[int]]:
    """Return the fields of `StructuredCaptions`."""
    kept, numbers, counts, total = [], [], [], 0
    for index in range(len(records)):
        try:
            record = records.record(index)
        except BadRecord:
            kept.append(index)
            counts.append(0)
            continue
        stored = graphs.graphs(record.key, record.captions)
        found = [
            number
            for number, text in enumerate(record.captions)
            if is_structured(Caption(text, stored.graph(number)))
        ]
        total += len(record.captions)
        if found:
            kept.append(index)
            counts.append(len(found))
            numbers += found
    if not numbers:
        raise DataError(f"{records.name}: none of {total:,} captions is structured")
    _logger.warning(
        "%s: of %s captions %s are left out, which allow no negative, and with them %s of %s "
        "pictures",
        *(records.name, f"{total:,}", f"{total - len(numbers):,}"),
        *(f"{len(records) - len(kept):,}", f"{len(records):,}"),
    )
    return [kept, [*accumulate(counts, initial=0)], numbers]


def is_structured(caption: Caption) -> bool:
    """Tell whether Structure-CLIP's rule makes a negative of a caption."""
    (negative,) = make_negatives(caption, generator(0, "structured"), _RULE)
    return negative.valid
