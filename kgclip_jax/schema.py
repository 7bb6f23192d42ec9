"""From nested mappings to frozen dataclasses and back, with errors that name the key.

A dataclass is its own schema: field annotations say what a key may hold. Dataclasses that may stand
in one place are told apart by their field `kind`, a Literal: those of a union or, where the list is
open, those of a `Registry`; numbers have a `Range`:

    objectives: dict[str, Annotated[Objective, OBJECTIVES]]
    rows: Annotated[int, Range(1, 1024)]
"""

import ast
import contextlib
import dataclasses
import difflib
import importlib
import types
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeAlias, TypeVar

from kgclip_jax.errors import ConfigError, DataError
from kgclip_jax.files import expanded, read_json_object
from kgclip_jax.ranges import Range

T = TypeVar("T")

FLOAT32_MAX = (2 - 2**-23) * 2.0**127

LocalPath: TypeAlias = Annotated[str, "path"]
"""A setting that is the path of a file or folder, see `files.expanded`."""


@dataclass(frozen=True, eq=False)
class Registry:
    """Kinds of one sort of part: where the dataclass of each lives; imported when it is asked for.

    The first field of each is its `kind: Literal["contrastive"] = "contrastive"`.

    Attributes:
        noun: what messages call such a part: "objective".
        places: module and name by kind: "kgclip_jax.objectives.contrastive:Contrastive".
    """

    noun: str
    places: dict[str, str]

    def find(self, kind: Any, path: str) -> type:
        """Import the dataclass of a kind; raises ConfigError with the nearest known ones."""
        if not isinstance(kind, str) or kind not in self.places:
            near = suggestion(str(kind), self.places)
            raise ConfigError(f"{path}.kind: there is no {self.noun} of kind {kind!r}{near}")
        module, _, name = self.places[kind].partition(":")
        found: type = getattr(importlib.import_module(module), name)
        return found


class Override(str):
    """A value as text, from the command line; `parse` converts it to what its setting may hold.

    A str takes the text as it is; a bool is true or false, in any case; sections, dicts and tuples
    are Python literals; None unsets what may be None, and entries of dicts.
    """

    def literal(self) -> Any:
        """Read a Python literal; what is none stays text."""
        try:
            return ast.literal_eval(self)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return str(self)


def parse(cls: type[T], values: Mapping[str, Any], path: str = "config") -> T:
    """Build a frozen dataclass from a mapping.

    Args:
        cls: the dataclass.
        values: its fields by name; fields with defaults may be left out. An entry of a dict that is
            None is left out; one of a registry has its own name as its kind unless it says another.
        path: how messages call this mapping.

    Raises:
        ConfigError: for an unknown key (with the nearest known ones), a missing key, a value of the
            wrong type or out of range, or a value that the dataclass itself refuses.
    """
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    for key in values:
        if key not in fields:
            raise ConfigError(f"{path}.{key} is no setting{suggestion(key, fields)}")
    annotations = typing.get_type_hints(cls, include_extras=True)
    arguments = {}
    for name, field in fields.items():
        if name in values:
            arguments[name] = _convert(annotations[name], values[name], f"{path}.{name}")
        elif field.default is field.default_factory is dataclasses.MISSING:
            raise ConfigError(f"{path}.{name} is not set")
    try:
        return cls(**arguments)
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from error


def read_last(cls: type[T], path: Path, *, finish: str, again: str) -> T:
    """Read the file that a command writes last, which says what its folder holds.

    Args:
        cls: the dataclass that it is parsed to.
        path: the file.
        finish: the command to finish where it is missing.
        again: what to do where it makes no sense.

    Raises:
        DataError: it is missing or malformed.
    """
    if not path.is_file():
        raise DataError(f"{path}: not found; {finish}, it writes this last")
    try:
        return parse(cls, read_json_object(path, ConfigError), str(path))
    except ConfigError as error:
        raise DataError(f"{error}; {again}") from error


def check(holds: bool, message: str) -> None:
    """Raise ValueError, to which `parse` adds the place, unless a setting makes sense."""
    if not holds:
        raise ValueError(message)


def suggestion(key: str, known: Iterable[str]) -> str:
    """Say which known names are near `key`, or all of them when none is."""
    near = difflib.get_close_matches(key, known, n=2)
    if near:
        return f"; did you mean {' or '.join(near)}?"
    return f"; known here: {', '.join(sorted(known))}"


def _convert(annotation: Any, value: Any, path: str) -> Any:
    if dataclasses.is_dataclass(value):  # built by a config file, and not checked there
        value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        return _convert_union(arguments, value, path)
    if annotation == LocalPath:
        return _local_path(_convert(str, value, path), path)
    if origin is Annotated:
        return _convert_annotated(arguments[0], arguments[1], value, path)
    if isinstance(value, Override):
        value = _read(annotation, value)
    if origin is typing.Literal:
        if value in arguments:
            return value
        raise ConfigError(f"{path} must be one of {', '.join(map(str, arguments))}, not {value!r}")
    if origin is tuple and isinstance(value, (list, tuple)):
        return _convert_tuple(arguments, value, path)
    if origin is dict and isinstance(value, Mapping):
        return _convert_dict(arguments[1], value, path)
    if dataclasses.is_dataclass(annotation) and isinstance(value, Mapping):
        return parse(typing.cast(type, annotation), value, path)
    if annotation is float and type(value) in (int, float):
        return _finite(value, path)
    if type(value) is annotation:
        return value
    raise _mismatch((annotation,), value, path)


def _read(annotation: Any, text: Override) -> Any:
    """Read a text as what an annotation asks for; one that cannot be read stays a str."""
    if annotation is bool:
        return {"true": True, "false": False}.get(text.lower(), str(text))
    if typing.get_origin(annotation) is typing.Literal:
        options = {str(option): option for option in typing.get_args(annotation)}
        return options.get(text, str(text))
    if annotation in (str, int, float):
        with contextlib.suppress(ValueError):
            return annotation(text)
        return str(text)
    return text.literal()


def _mismatch(options: Iterable[Any], value: Any, path: str) -> ConfigError:
    return ConfigError(f"{path} must be a {' or '.join(map(_name, options))}, not {value!r}")


def _name(annotation: Any) -> str:
    origin = typing.get_origin(annotation)
    if origin is typing.Literal:
        return " or ".join(map(repr, typing.get_args(annotation)))
    if origin is tuple:
        return str(annotation)
    return getattr(origin or annotation, "__name__", str(annotation))


def _local_path(value: str, path: str) -> str:
    try:
        return expanded(value)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def _finite(value: float | int, path: str) -> float:
    if abs(value) <= FLOAT32_MAX:
        return float(value)
    raise ConfigError(f"{path} must be finite in float32, not {value!r}")


def _convert_annotated(annotation: Any, extra: Registry | Range, value: Any, path: str) -> Any:
    if isinstance(extra, Registry):
        return _convert_registered(extra, value, path)
    number = _convert(annotation, value, path)
    if broken := extra.broken_by(number):
        raise ConfigError(f"{path} must be {broken}, not {number!r}")
    return number


def _convert_union(options: tuple[Any, ...], value: Any, path: str) -> Any:
    if type(None) in options and _is_none(value):
        return None
    options = tuple(option for option in options if option is not type(None))
    if len(options) == 1:
        return _convert(options[0], value, path)
    sections = [option for option in options if dataclasses.is_dataclass(option)]
    section = value.literal() if isinstance(value, Override) else value
    if isinstance(section, Mapping) and sections:
        return parse(_of_kind(sections, section.get("kind"), path), section, path)
    plain = [option for option in options if option not in sections]
    if len(plain) == 1:
        return _convert(plain[0], value, path)
    for option in sorted(plain, key=lambda option: option is str):  # which takes any text
        with contextlib.suppress(ConfigError):
            return _convert(option, value, path)
    raise _mismatch(options, value, path)


def _is_none(value: Any) -> bool:
    return value is None or (isinstance(value, Override) and value == "None")


def _of_kind(sections: Sequence[Any], kind: Any, path: str) -> type:
    """Choose among a union's dataclasses; without a kind, the only one with a default for it."""
    if len(sections) == 1:
        return sections[0]
    kinds = {name: section for section in sections for name in _kinds(section)}
    defaults = [section.kind for section in sections if hasattr(section, "kind")]
    if kind is None and len(defaults) == 1:
        (kind,) = defaults
    if not isinstance(kind, str) or kind not in kinds:
        raise ConfigError(f"{path}.kind must be one of {', '.join(kinds)}, not {kind!r}")
    return kinds[kind]


def _kinds(section: Any) -> tuple[str, ...]:
    return typing.get_args(typing.get_type_hints(section)["kind"])


def _convert_registered(registry: Registry, value: Any, path: str) -> Any:
    if isinstance(value, Override):
        value = value.literal()
    if isinstance(value, Mapping):
        return parse(registry.find(value.get("kind"), path), value, path)
    raise ConfigError(f"{path} must hold the settings of one {registry.noun}, not {value!r}")


def _convert_dict(annotation: Any, values: Mapping[str, Any], path: str) -> dict[str, Any]:
    registered = any(isinstance(extra, Registry) for extra in typing.get_args(annotation))
    entries = {}
    for name, value in values.items():
        if _is_none(value):
            continue
        if registered and isinstance(value, Override):
            value = value.literal()
        if registered and isinstance(value, Mapping):
            value = {"kind": name, **value}
        entries[name] = _convert(annotation, value, f"{path}.{name}")
    return entries


def _convert_tuple(items: tuple[Any, ...], value: Any, path: str) -> tuple[Any, ...]:
    if items[-1] is Ellipsis:
        items = (items[0],) * len(value)
    if len(items) != len(value):
        raise ConfigError(f"{path} must have {len(items)} entries, not {len(value)}")
    return tuple(
        _convert(item, entry, f"{path}[{i}]")
        for i, (item, entry) in enumerate(zip(items, value, strict=True))
    )


def to_dict(value: Any) -> dict[str, Any]:
    """Return a dataclass as nested dicts that `parse` reads back."""
    return dataclasses.asdict(value)


def differences(old: Any, new: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield (dotted key, old value, new value) for each leaf in which two nested values differ.

    Mappings are compared key by key; a key that one side lacks is shown as "(absent)".
    """
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted({*old, *new}):
            yield from differences(
                old.get(key, "(absent)"), new.get(key, "(absent)"), f"{path}.{key}".lstrip(".")
            )
    elif _plain(old) != _plain(new):
        yield path, old, new


def _plain(value: Any) -> Any:
    """Lists and tuples are the same thing once a config has been through JSON."""
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return value
