"""A run that waits for its data."""

from collections import deque
from collections.abc import Callable
from statistics import median

from kgclip_jax.processes import available_cores
from kgclip_jax.writers.writer import Numbers

LONG_WAIT = 0.05  # share of the time
READINGS = 5


class InputWatch:
    """A writer of metrics that says once what to do about steps that wait for batches.

    Args:
        workers: processes that make them.
        tell: says it.
    """

    def __init__(self, workers: int, tell: Callable[[str], None]) -> None:
        self._workers = workers
        self._tell = tell
        self._waits: deque[float] = deque(maxlen=READINGS)
        self._told = False

    def write(self, step: int, numbers: Numbers) -> None:
        """Look at the numbers of a step; one long wait among short ones is not spoken of."""
        if self._told or "input_wait" not in numbers:
            return
        self._waits.append(numbers["input_wait"])
        if len(self._waits) == READINGS and (wait := median(self._waits)) > LONG_WAIT:
            self._told = True
            self._tell(
                f"step {step}: {wait:.0%} of the time goes by in waiting for batches. Try another "
                f"config.data.workers ({self._workers} now; this process may use "
                f"{available_cores()} cores), or smaller stored pictures (launch/prepare.py shards)"
            )

    def close(self) -> None:
        """Nothing is open."""
