"""What a compiled program says of itself: its collectives, those in loops as often as they run."""

import math
import re
from collections import defaultdict
from typing import NamedTuple

_COMPUTATION = re.compile(r"^(?P<entry>ENTRY )?%?(?P<name>[\w.\-]+) \(.*\{$")
_CALLED = re.compile(
    r"\b(?:calls|to_apply|body|condition|true_computation|false_computation)=%?([\w.\-]+)"
)
_BRANCHES = re.compile(r"\bbranch_computations=\{([^}]*)\}")
_TRIPS = re.compile(r'"known_trip_count":\s*\{\s*"n":\s*"(\d+)"')
_COLLECTIVE = re.compile(
    r"= (?P<shapes>.*?) "
    r"(?P<kind>all-reduce|all-gather|reduce-scatter|all-to-all|collective-permute)"
    r"(?P<start>-start)?\("
)
_SHAPE = re.compile(r"(?P<type>pred|[a-z]+(?P<bits>\d+))\[(?P<sizes>[\d,]*)\]")


class Collective(NamedTuple):
    """All collectives of one kind.

    Attributes:
        number: how many there are in a run of the program.
        bytes: of all their results on one device.
    """

    number: int
    bytes: int


def collectives(text: str) -> dict[str, Collective]:
    """Return the collectives of a compiled program by kind, from `compiled.as_text()`."""
    found: defaultdict[str, Collective] = defaultdict(lambda: Collective(0, 0))
    lines = _lines_by_computation(text)
    for computation, times in _runs(lines).items():
        for line in lines[computation]:
            if match := _COLLECTIVE.search(line):
                before = found[match["kind"]]
                size = times * _result_bytes(match)
                found[match["kind"]] = Collective(before.number + times, before.bytes + size)
    return dict(found)


def _lines_by_computation(text: str) -> dict[str, list[str]]:
    """Part a program into its computations; the one that it begins with is called ""."""
    lines: dict[str, list[str]] = {}
    here: list[str] = []
    for line in text.splitlines():
        if match := _COMPUTATION.match(line):
            here = lines.setdefault("" if match["entry"] else match["name"], [])
        else:
            here.append(line)
    return lines


def _runs(lines: dict[str, list[str]]) -> dict[str, int]:
    """Return how often each computation is run. XLA names the trips of loops that it knows."""
    runs: defaultdict[str, int] = defaultdict(int)

    def run(name: str, times: int) -> None:
        runs[name] += times
        for line in lines.get(name, ()):
            trips = _TRIPS.search(line)
            inner = times * (int(trips[1]) if trips else 1)
            called = _CALLED.findall(line)
            for branches in _BRANCHES.findall(line):
                called += [branch.strip().lstrip("%") for branch in branches.split(",")]
            for each in called:
                run(each, inner)

    run("", 1)
    return {name: times for name, times in runs.items() if name in lines}


def _result_bytes(match: re.Match[str]) -> int:
    sizes = [
        math.prod(int(n) for n in shape["sizes"].split(",") if n) * int(shape["bits"] or 8) // 8
        for shape in _SHAPE.finditer(match["shapes"])
        if shape["sizes"] or not match["start"]  # else a handle of what is under way
    ]
    if match["start"] and match["kind"] in ("all-gather", "collective-permute"):
        sizes = sizes[len(sizes) // 2 :]  # their operands stand before the results
    return sum(sizes)
