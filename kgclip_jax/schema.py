"""From nested mappings to frozen dataclasses and back, with errors that name the key.

A dataclass is its own schema: field annotations say what a key may hold. Unions of dataclasses are
told apart by their field `kind`, a Literal.
"""

import dataclasses
import difflib
import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

from kgclip_jax.errors import ConfigError

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Registry:
    """Where the dataclass of each kind stands, as "module:name"."""

    noun: str
    places: Mapping[str, str]


def parse(cls: type[T], values: Mapping[str, Any], path: str = "config") -> T:
    """Build a frozen dataclass from a mapping.

    Args:
        cls: the dataclass.
        values: its fields by name; fields with defaults may be left out.
        path: how messages call this mapping.

    Raises:
        ConfigError: for an unknown key (with the nearest known ones), a missing key, a value of the
            wrong type, or a value that the dataclass itself refuses.
    """
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    for key in values:
        if key not in fields:
            raise ConfigError(f"{path}.{key} is no setting{suggestion(key, fields)}")
    annotations = typing.get_type_hints(cls)
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
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        return _convert_union(arguments, value, path)
    if origin is typing.Literal:
        if value in arguments:
            return value
        raise ConfigError(f"{path} must be one of {', '.join(map(str, arguments))}, not {value!r}")
    if origin is tuple and isinstance(value, (list, tuple)):
        return _convert_tuple(arguments, value, path)
    if origin is dict and isinstance(value, Mapping):
        return {key: _convert(arguments[1], item, f"{path}.{key}") for key, item in value.items()}
    if dataclasses.is_dataclass(annotation) and isinstance(value, Mapping):
        return parse(typing.cast(type, annotation), value, path)
    if annotation is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is annotation:
        return value
    wanted = getattr(origin or annotation, "__name__", str(annotation))
    raise ConfigError(f"{path} must be a {wanted}, not {value!r}")


def _convert_union(options: tuple[Any, ...], value: Any, path: str) -> Any:
    if value is None and type(None) in options:
        return None
    options = tuple(option for option in options if option is not type(None))
    if len(options) == 1:
        return _convert(options[0], value, path)
    kinds = {kind: option for option in options for kind in _kinds(option)}
    if not isinstance(value, Mapping) or value.get("kind") not in kinds:
        raise ConfigError(f"{path}.kind must be one of {', '.join(kinds)}")
    return parse(kinds[value["kind"]], value, path)


def _kinds(option: Any) -> tuple[str, ...]:
    return typing.get_args(typing.get_type_hints(option)["kind"])


def _convert_tuple(items: tuple[Any, ...], value: Any, path: str) -> tuple[Any, ...]:
    if items[-1] is Ellipsis:
        items = (items[0],) * len(value)
    if len(items) != len(value):
        raise ConfigError(f"{path} must have {len(items)} entries, not {len(value)}")
    return tuple(
        _convert(item, entry, f"{path}[{i}]")
        for i, (item, entry) in enumerate(zip(items, value, strict=True))
    )


def settings(cls: Any) -> Iterator[str]:
    """Yield the name of each field of a dataclass and of the dataclasses within it."""
    if dataclasses.is_dataclass(cls):
        annotations = typing.get_type_hints(cls)
        for entry in dataclasses.fields(cls):
            yield entry.name
            yield from settings(annotations[entry.name])
    for argument in typing.get_args(cls):
        yield from settings(argument)


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
