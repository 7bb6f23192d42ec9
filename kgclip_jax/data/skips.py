"""Counting what is left out of a data set, and giving up when it is too much."""

import logging
from collections.abc import Mapping

from kgclip_jax.errors import DataError

MISSING_IMAGE = "missing image"
UNREADABLE_IMAGE = "unreadable image"
UNREADABLE_RECORD = "unreadable record"
TOO_MANY_PIXELS = "image of too many pixels"
EMPTY_BOX = "box outside of its image"
NO_CAPTION = "image without caption"
EMPTY_CAPTION = "empty caption"

_EXAMPLES = 5

_logger = logging.getLogger(__name__)


class Skips:
    """What was left out of a data set, by reason.

    Attributes:
        counts: number of things left out, by reason.
        examples: names of a few of them, by reason.
    """

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.examples: dict[str, list[str]] = {}

    def add(self, reason: str, example: str, count: int = 1) -> None:
        """Count things left out for one reason, and perhaps keep the name of one as an example."""
        self.counts[reason] = self.counts.get(reason, 0) + count
        examples = self.examples.setdefault(reason, [])
        if len(examples) < _EXAMPLES:
            examples.append(example)

    def check(self, name: str, where: str, totals: Mapping[str, int | float], limit: float) -> None:
        """Log what was left out in one line, if anything, and judge whether it is too much.

        Args:
            name: of the data set, for the log.
            where: names its files in the error.
            totals: of how many things each reason left some out; infinity where that is no fault.
            limit: largest share that may be left out for one reason.

        Raises:
            DataError: more was left out; the message has the first few names.
        """
        if self.counts:
            _logger.warning("%s: left out %s", name, self.counts)
        for reason, count in self.counts.items():
            if count > limit * totals[reason]:
                examples = ", ".join(self.examples[reason]) + (", ..." * (count > _EXAMPLES))
                raise DataError(
                    f"{where}: {reason}: {count} of {totals[reason]}, above the share of "
                    f"{limit:g} that may be left out: {examples}"
                )
