"""Broader and narrower names: which of them are siblings, and which may be one thing."""

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from kgclip_jax.errors import DataError
from kgclip_jax.files import read_text

IS_A = frozenset(("IsA", "is-a"))  # as ConceptNet and VisualSem write it


class Hierarchy:
    """An is-a order of names ("dog" is an "animal", "red" is a "colour"); cycles do no harm."""

    def __init__(self, broader: Mapping[str, Iterable[str]]) -> None:
        """Take the broader names of each name, one step up."""
        self._broader = {name: tuple(parents) for name, parents in broader.items()}
        self._narrower: dict[str, list[str]] = {}
        self._remembered: dict[str, frozenset[str]] = {}
        for name, parents in self._broader.items():
            for parent in parents:
                self._narrower.setdefault(parent, []).append(name)

    def siblings(self, name: str) -> tuple[str, ...]:
        """Return the other names one step below one of its broader names, sorted.

        Names above or below `name` are left out: a sibling is never true because `name` is.
        """
        found = {
            other for parent in self._broader.get(name, ()) for other in self._narrower[parent]
        }
        return tuple(sorted(other for other in found if not self.may_agree(other, (name,))))

    def may_agree(self, name: str, others: Collection[str]) -> bool:
        """Tell whether a thing of that name may have one of the other names too.

        It may if they are equal, or if one is above the other.
        """
        if name in others or not self._above(name).isdisjoint(others):
            return True
        return name in self._narrower and any(name in self._above(other) for other in others)

    def _above(self, name: str) -> frozenset[str]:
        """Return all names above one, remembered: negatives ask for the same ones all the time."""
        if name not in self._remembered:
            above: set[str] = set()
            waiting = [name]
            while waiting:
                for parent in self._broader.get(waiting.pop(), ()):
                    if parent not in above:
                        above.add(parent)
                        waiting.append(parent)
            self._remembered[name] = frozenset(above)
        return self._remembered[name]


def read_hierarchy(path: Path) -> Hierarchy:
    """Read the is-a triples of a knowledge graph.

    Args:
        path: lines of relation, head and tail between tabs, as in ConceptNet-100K
            ("IsA, dog, animal"); further columns and other relations than `IS_A` are not read.

    Raises:
        DataError: the file cannot be read, has no is-a triple, or a line is not of this form.
    """
    broader: dict[str, list[str]] = {}
    for number, line in enumerate(read_text(path).removesuffix("\n").split("\n"), 1):
        fields = line.split("\t")
        if len(fields) < 3:
            raise DataError(
                f"{path}, line {number}: {line!r} is not relation, head and tail between tabs"
            )
        relation, head, tail = fields[:3]
        if relation in IS_A and head != tail:
            broader.setdefault(head, []).append(tail)
    if not broader:
        raise DataError(f"{path}: no triple has the relation {' or '.join(sorted(IS_A))}")
    return Hierarchy(broader)
