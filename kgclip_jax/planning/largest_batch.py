"""The largest batch that fits, found by compiling a few."""

import math
from collections.abc import Callable


def largest_fitting(
    rows: int, multiple: int, limit: int, memory: Callable[[int], int], *, tries: int = 4
) -> int | None:
    """Return the largest number of rows that was seen to fit; None: none of those tried does.

    Memory grows with rows nearly in proportion, so that two numbers of rows tell where to look;
    what lies there is compiled, too.

    Args:
        rows: to begin with.
        multiple: rows that all devices can share.
        limit: bytes of a device.
        memory: bytes that a step of so many rows takes of it, which may be above the limit.
        tries: how often to look.
    """
    known = {rows: memory(rows)}
    for _ in range(tries):
        low = max((count for count, taken in known.items() if taken <= limit), default=0)
        high = min((count for count, taken in known.items() if taken > limit), default=math.inf)
        if low + multiple >= high:
            break
        guess = _where(known, limit) // multiple * multiple
        guess = int(min(max(guess, low + multiple), high - multiple))
        known[guess] = memory(guess)
    return max((count for count, taken in known.items() if taken <= limit), default=None)


def _where(known: dict[int, int], limit: int) -> int:
    """Rows that take the limit: on the line through the counts around it, or the two next to it."""
    if len(known) == 1:
        ((count, taken),) = known.items()
        return count // 2 if taken > limit else 2 * count
    counts = sorted(known)
    above = next((place for place, count in enumerate(counts) if known[count] > limit), None)
    end = len(counts) - 1 if above is None else max(above, 1)
    less, more = counts[end - 1], counts[end]
    slope = (known[more] - known[less]) / (more - less)
    return more + int((limit - known[more]) / slope) if slope > 0 else 2 * more
