"""What a checkpoint promises of the rest of its run: the same data, in the same precision."""

from collections.abc import Mapping
from typing import Any

from kgclip_jax import schema
from kgclip_jax.data.streams.stream import Stream
from kgclip_jax.errors import CheckpointError

Promises = Mapping[str, Any]  # JSON


def promises(streams: Mapping[str, Stream], dtype: str) -> dict[str, Any]:
    """Return what the steps after a checkpoint depend on and no setting says.

    Args:
        streams: of the run.
        dtype: of activations, as resolved for this platform.
    """
    return {
        "dtype": dtype,
        "streams": {
            name: {"fingerprint": stream.fingerprint(), "resolved": dict(stream.resolved())}
            for name, stream in streams.items()
        },
    }


def check_promises(saved: Promises, new: Promises) -> None:
    """Raise CheckpointError, a line for each difference, when a run would not go on as it was."""
    lines = []
    for key, old, now in schema.differences(saved, new):
        if key == "dtype":
            lines.append(
                f"  it computed in {old}, and this platform would in {now}: set "
                f"config.execution.dtype to {old}"
            )
        elif key.endswith(".fingerprint"):
            name = key.split(".")[1]
            lines.append(
                f"  the sources of config.streams.{name} hold other records than when it began: "
                "give it the same, or begin in another --workdir"
            )
        else:
            lines.append(f"  config.{key}: {old!r} -> {now!r}")
    if lines:
        raise CheckpointError("this run cannot go on as it was:\n" + "\n".join(lines))
