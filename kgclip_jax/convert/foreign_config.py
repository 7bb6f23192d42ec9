"""Foreign configs as frozen dataclasses: what their libraries understand, with their defaults.

A setting that cannot be reproduced here is a field that takes its neutral value alone, so that any
other value is refused by name.
"""

import dataclasses
import typing
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from kgclip_jax.errors import ConfigError, ConversionError


@contextmanager
def reading(file: str) -> Iterator[None]:
    """Turn what is wrong with a foreign config into a ConversionError that names the file."""
    try:
        yield
    except (ConfigError, ValueError) as error:
        raise ConversionError(f"{file}: {error}") from error


def section(values: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """Return the settings under a key, none where it is not there or null. Raises ConfigError."""
    found = values.get(key)
    if found is not None and not isinstance(found, Mapping):
        raise ConfigError(f"{key} must hold settings by name, not {found!r}")
    return found or {}


def known(
    cls: Any, values: Mapping[str, Any], *, droppable: Collection[str] | None = None
) -> dict[str, Any]:
    """Drop settings that `cls`, and the dataclasses within it, have no fields for.

    `droppable` are the names that may be dropped, all by default; others are kept, to be refused.
    """
    annotations = typing.get_type_hints(cls)
    found = {}
    for key, value in values.items():
        if key in annotations:
            nested = dataclasses.is_dataclass(annotations[key]) and isinstance(value, Mapping)
            found[key] = known(annotations[key], value, droppable=droppable) if nested else value
        elif droppable is not None and key not in droppable:
            found[key] = value
    return found
