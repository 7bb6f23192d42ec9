"""What the hosts of a run tell each other beside the step: little, and seldom."""

import hashlib
import json
import socket
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from kgclip_jax import schema
from kgclip_jax.data.streams.stream import Counts
from kgclip_jax.errors import ConfigError, UserError
from kgclip_jax.files import temporary_path, writing

_SHOWN = 20  # differences


def is_first() -> bool:
    """Whether this process writes the files of a run: the first of all does."""
    return jax.process_index() == 0


def wait_for_all(what: str) -> None:
    """Return when all hosts have come so far; `what` names the place for errors."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(what)


def check_agreement(values: Mapping[str, Any]) -> None:
    """Compare what has to be the same on all hosts. All of them have to call this.

    Args:
        values: JSON.

    Raises:
        ConfigError: on all hosts, with a line for each difference from the first.
    """
    if jax.process_count() == 1:
        return
    told = json.dumps(values, sort_keys=True).encode()
    if len({*_gather(hashlib.sha256(told).digest())}) == 1:
        return
    first, *others = map(json.loads, _gather(told))
    lines = [
        f"  {key}: {old!r} on process 0, {new!r} on process {place}"
        for place, other in enumerate(others, 1)
        for key, old, new in schema.differences(first, other)
    ]
    if len(lines) > _SHOWN:
        lines = [*lines[:_SHOWN], f"  and {len(lines) - _SHOWN} more"]
    raise ConfigError(
        "the processes of a run need the same command, code and data, and these differ:\n"
        + "\n".join(lines)
    )


def check_shared(folder: Path) -> None:
    """See that a folder is one and the same on all hosts. All of them have to call this.

    Raises:
        UserError: on all hosts, when some see another one; or the disk refuses.
    """
    if jax.process_count() == 1:
        return
    probe = temporary_path(folder / "shared")
    if is_first():
        with writing(folder):
            probe.touch()
    name = _gather(probe.name.encode())[0].decode()
    seen = (folder / name).exists()
    blind = _gather(b"" if seen else socket.gethostname().encode())
    probe.unlink(missing_ok=True)
    lines = [f"process {n} on {host.decode()}" for n, host in enumerate(blind) if host]
    if lines:
        raise UserError(
            f"{folder} is another folder for {', '.join(lines[:_SHOWN])}: choose a --workdir on a "
            "file system that all hosts share"
        )


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
        rows = np.asarray(multihost_utils.process_allgather(padded))
    return [row.tobytes()[:size] for row, size in zip(rows, sizes, strict=True)]
