"""Pickles as torch writes them, read by a machine that cannot run anything.

A pickle is a program: it may import any function and call it. The machine here knows no import and
no call. A name in a pickle is a string that must be in a list, and an object made by it is a record
of that name and of what it was to be made from, out of which others build tensors.
"""

import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

INSTRUCTIONS = 2_000_000
"""Of one pickle, at most: that of a training state with 10,000 weights has half as many."""

_PUT = {"PUT", "BINPUT", "LONG_BINPUT"}
_GET = {"GET", "BINGET", "LONG_BINGET"}
_CONSTANTS = {
    *("BININT", "BININT1", "BININT2", "LONG1", "LONG4", "BINFLOAT"),
    *("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINSTRING", "SHORT_BINSTRING"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
}
_FIXED: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_DICT": dict,
    "EMPTY_LIST": list,
    "EMPTY_SET": list,
    "EMPTY_TUPLE": tuple,
}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


class NameRefused(Exception):
    """A pickle holds an object of a kind that is in no list; its only argument is the name."""


@dataclass(frozen=True)
class Name:
    """What would be imported: "torch.FloatStorage"."""

    name: str


@dataclass(eq=False)
class Record:
    """What would be an object.

    Attributes:
        name: of its class or of the function that would make it.
        arguments: of that call.
        state: what it would be filled with afterwards.
    """

    name: str
    arguments: tuple[Any, ...]
    state: Any = None


def read_pickle(
    content: bytes,
    *,
    allowed: Callable[[str], bool],
    make: Callable[[Record], Any],
    persistent: Callable[[Any], Any],
) -> Any:
    """Read one pickle.

    Args:
        content: the pickle; no open file, of which an instruction may ask for 2 ** 60 bytes.
        allowed: whether a name, such as "collections.OrderedDict", may be in it.
        make: turns a record into what shall stand in its place; the record itself for most.
        persistent: turns a reference to what lies outside the pickle into what stands in its place.

    Returns:
        Nested dicts with strings or whole numbers as keys, lists, tuples, numbers, strings, bytes,
        names, and what the two functions return. They may contain themselves.

    Raises:
        NameRefused: for a name that is not allowed.
        ValueError: it is damaged, has other instructions, or too many of them.
    """
    machine = _Machine(allowed, make, persistent)
    try:
        for number, (opcode, argument, _) in enumerate(pickletools.genops(content)):
            if number == INSTRUCTIONS:
                raise ValueError(f"a pickle of more than {INSTRUCTIONS:,} instructions")
            if opcode.name == "STOP":
                return machine.stack.pop()
            machine.execute(opcode.name, argument)
    except (IndexError, KeyError, TypeError) as error:
        raise ValueError(f"a damaged pickle: {error!r}") from error
    raise ValueError("a pickle without an end")


class _Machine:
    def __init__(
        self,
        allowed: Callable[[str], bool],
        make: Callable[[Record], Any],
        persistent: Callable[[Any], Any],
    ) -> None:
        self._allowed, self._make, self._persistent = allowed, make, persistent
        self.stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}

    def execute(self, name: str, argument: Any) -> None:
        stack = self.stack
        if name in _CONSTANTS:
            stack.append(argument)
        elif name in _FIXED:
            stack.append(_FIXED[name]())
        elif name in _PUT:
            self._memo[int(argument)] = stack[-1]
        elif name == "MEMOIZE":
            self._memo[len(self._memo)] = stack[-1]
        elif name in _GET:
            stack.append(self._memo[int(argument)])
        elif name == "MARK":
            self._marks.append(len(stack))
        elif name == "TUPLE":
            stack.append(tuple(self._since_mark()))
        elif name in _TUPLES:
            stack[-_TUPLES[name] :] = [tuple(stack[-_TUPLES[name] :])]
        elif name in ("APPEND", "SETITEM"):
            self._add(1 if name == "APPEND" else 2)
        elif name in ("APPENDS", "ADDITEMS", "SETITEMS"):
            self._fill(self._since_mark())
        elif name == "GLOBAL":
            stack.append(self._named(*argument.split(" ", 1)))
        elif name in ("STACK_GLOBAL", "REDUCE", "NEWOBJ", "BUILD"):
            second, first = stack.pop(), stack.pop()
            stack.append(self._combined(name, first, second))
        elif name == "BINPERSID":
            stack.append(self._persistent(stack.pop()))
        elif name not in ("PROTO", "FRAME"):
            raise ValueError(f"a pickle with the instruction {name}, which torch does not write")

    def _combined(self, name: str, first: Any, second: Any) -> Any:
        if name == "STACK_GLOBAL":
            return self._named(first, second)
        if name == "BUILD":
            if isinstance(first, Record):
                first.state = second
            return first
        if not isinstance(first, Name) or not isinstance(second, tuple):
            raise ValueError("a pickle that calls what is no name")
        return self._make(Record(first.name, second))

    def _named(self, module: Any, name: Any) -> Name:
        if not isinstance(module, str) or not isinstance(name, str):
            raise ValueError("a pickle with a name that is no text")
        full = f"{module}.{name}"
        if not self._allowed(full):
            raise NameRefused(full[:200])
        return Name(full)

    def _since_mark(self) -> list[Any]:
        place = self._marks.pop()
        taken = self.stack[place:]
        del self.stack[place:]
        return taken

    def _add(self, count: int) -> None:
        taken = self.stack[-count:]
        del self.stack[-count:]
        self._fill(taken)

    def _fill(self, items: list[Any]) -> None:
        """Put items into the container below them."""
        container = self.stack[-1]
        if isinstance(container, list):
            container += items
        elif isinstance(container, dict):
            keys = items[::2]
            # Others can be made to hash for ever.
            if not all(type(k) is str or (type(k) is int and abs(k) < 2**60) for k in keys):
                raise ValueError("a pickle with keys that are neither strings nor whole numbers")
            container.update(zip(keys, items[1::2], strict=True))
        elif not isinstance(container, Record):
            raise ValueError("a pickle that fills what is no container")
