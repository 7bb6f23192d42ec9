"""Where the time of a run's launches went, and the most memory that they held."""

from collections.abc import Mapping, Sequence
from typing import Any

from kgclip_jax.reporting.tables import Cell, Line, Table

_MEMORY = {"peak_device_memory": "device", "peak_host_memory": "host"}  # as in metrics.jsonl


def sessions_table(sessions: Sequence[Mapping[str, Any]]) -> Table:
    """Lay out the launches of a run, see `Workdir.add_session`; killed ones are in none."""
    parts = list(dict.fromkeys(part for one in sessions for part in one["seconds"]))
    return Table(
        "Where the time went",
        ("steps taken", "seconds", *(f"% {part}" for part in parts), "GiB at most"),
        [Line(_cells(one, parts)) for one in sessions],
    )


def _cells(session: Mapping[str, Any], parts: Sequence[str]) -> list[Cell]:
    seconds = session["seconds"]
    whole = sum(seconds.values())
    shares = [Cell(f"{100 * seconds.get(part, 0.0) / whole:.1f}") for part in parts]
    first, last = session["start"] + 1, session["step"]
    steps = f"{first:,} to {last:,}" if first <= last else "none"
    memory = [f"{gib:.2f} ({_MEMORY[name]})" for name, gib in session["memory"].items()]
    return [Cell(steps), Cell(f"{whole:,.0f}"), *shares, Cell(", ".join(memory))]
