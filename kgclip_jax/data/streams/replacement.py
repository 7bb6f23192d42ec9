"""Records that cannot be used are counted, and others take their places."""

from collections.abc import Callable
from typing import SupportsInt, TypeVar

from kgclip_jax.data.streams.stream import BAD_RECORD, Counts
from kgclip_jax.errors import BadRecord, DataError

TRIES = 100

Made = TypeVar("Made")


def read_or_replace(
    record: int,
    read: Callable[[int], Made],
    another: Callable[[], SupportsInt],
    counts: Counts,
    *,
    name: str,
    records: str,
) -> tuple[Made, int]:
    """Return what is read of a record, and which record that is: another one where it is bad.

    Args:
        record: the number of the first to try.
        read: raises BadRecord for one that is bad.
        another: draws one to take its place.
        counts: where bad ones are counted.
        name: of their source, for the counts.
        records: how the error calls them, such as "images of FOLDER".

    Raises:
        DataError: TRIES records in a row were bad.
    """
    for _ in range(TRIES):
        try:
            return read(record), record
        except BadRecord as error:
            last = error
            counts[BAD_RECORD, f"{name}: {error.reason}", error.detail] += 1
            record = int(another())
    raise DataError(f"{TRIES} {records} in a row were bad, last: {last}")
