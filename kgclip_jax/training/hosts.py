"""What the hosts of a run tell each other beside the step: little, and seldom."""

import json
from collections import Counter
from pathlib import Path

import jax
import numpy as np
from jax.experimental import multihost_utils

from kgclip_jax.data.streams.stream import Counts


def is_first() -> bool:
    """Whether this process is the one that writes what all of them know."""
    return jax.process_index() == 0


def own_file(path: Path) -> Path:
    """Return a file for what one process alone knows: with its number, where there are several."""
    if jax.process_count() == 1:
        return path
    return path.with_stem(f"{path.stem}-process-{jax.process_index()}")


def sum_over_hosts(counts: Counts) -> Counts:
    """Add up the counters of all hosts. All of them have to call this, in the same order."""
    if jax.process_count() == 1:
        return counts
    told = json.dumps([[*key, count] for key, count in counts.items()]).encode()
    total: Counts = Counter()
    for text in _gather(told):
        total.update({tuple(key): count for *key, count in json.loads(text)})
    return total


def agreed_stop(step: int, requested: bool, every: int) -> bool:
    """Tell whether to stop after a step, the same on all hosts: whether any was asked to.

    Hosts ask each other every `every` steps, and one alone knows at any step. All of them have to
    call this after every step.
    """
    if jax.process_count() == 1:
        return requested
    return step % every == 0 and any(map(json.loads, _gather(json.dumps(requested).encode())))


def _gather(content: bytes) -> list[bytes]:
    """Give all hosts what each of them has to tell."""
    with jax.transfer_guard("allow"):
        sizes = multihost_utils.process_allgather(np.array(len(content)))
        padded = np.frombuffer(content.ljust(int(sizes.max()), b" "), np.uint8)
        return [row.tobytes() for row in np.asarray(multihost_utils.process_allgather(padded))]
