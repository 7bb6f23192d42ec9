"""The captions of stored pictures, for suites that are made from any captioned pictures."""

from functools import partial

from kgclip_jax.data.records import Records
from kgclip_jax.data.skips import Skips
from kgclip_jax.data.suites.assembly import Assembly
from kgclip_jax.errors import BadRecord

_UNREADABLE_RECORD = "unreadable record"


def captions_of(suite: Assembly, records: Records, bad_share: float) -> tuple[list[int], list[str]]:
    """Return the number in the suite of each caption's picture, and the captions.

    Captions of one record follow each other.

    Raises:
        DataError: a larger share of the records than `bad_share` cannot be read.
    """
    pictures: list[int] = []
    captions: list[str] = []
    skips = Skips()
    for index in range(len(records)):
        try:
            record = records.record(index)
        except BadRecord as error:
            skips.add(_UNREADABLE_RECORD, str(error))
            continue
        picture = suite.stored_picture(record.key, partial(records.encoded, index), record.box)
        pictures.extend([picture] * len(record.captions))
        captions.extend(record.captions)
    skips.check(records.name, records.name, {_UNREADABLE_RECORD: len(records)}, bad_share)
    return pictures, captions
