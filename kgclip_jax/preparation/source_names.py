"""Sources named on a command line: `KIND:FOLDER`, and `KEY=VALUE` for their other settings."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from kgclip_jax.data.sources import SOURCES
from kgclip_jax.data.stored_pictures import StoredPictures
from kgclip_jax.errors import ConfigError
from kgclip_jax.schema import Override, parse, suggestion, to_dict

KINDS: dict[str, type[StoredPictures]] = {
    kind: settings
    for kind in SOURCES.places
    if issubclass(settings := SOURCES.find(kind, "source"), StoredPictures)
}


def named_source(name: str, assignments: Sequence[str] = ()) -> StoredPictures:
    """Return the settings of a source of stored pictures. Arguments and errors as `named`."""
    source: StoredPictures = named(KINDS, name, assignments)
    return source


def named(kinds: Mapping[str, type], name: str, assignments: Sequence[str] = ()) -> Any:
    """Return the settings of a source.

    `name` is a kind and the folder, `photographs:FOLDER`; `assignments` are other settings,
    `split=val`, as `--config.KEY=VALUE` takes them.

    Raises:
        ConfigError: for an unknown kind or setting (with the nearest known ones), one that does not
            decide on what is stored, one that is given twice, or a value of the wrong type.
    """
    kind, colon, folder = name.partition(":")
    if kind not in kinds:
        raise ConfigError(f"no stored source is of the kind {kind!r}{suggestion(kind, kinds)}")
    settings = [setting.name for setting in fields(kinds[kind])]
    known = [setting for setting in settings if _identifies(setting) and setting != "kind"]
    values: dict[str, Any] = {"kind": kind}
    for assignment in [f"folder={folder}"] * bool(colon) + list(assignments):
        key, equals, text = assignment.partition("=")
        if not equals:
            raise ConfigError(f"{assignment!r} must be KEY=VALUE")
        if key not in known:
            raise ConfigError(f"{kind} has no setting {key!r} here{suggestion(key, known)}")
        if key in values:
            raise ConfigError(f"{kind}.{key} is given twice")
        values[key] = Override(text)
    return parse(kinds[kind], values, kind)


def identity(source: Any) -> dict[str, Any]:
    """Return the settings of a source that decide on what is stored, as plain values."""
    return {key: value for key, value in to_dict(source).items() if _identifies(key)}


def _identifies(setting: str) -> bool:
    """Whether a setting is about more than how, or how much, to train and evaluate."""
    training_only = setting in ("weight", "crop_scale", "graphs", "scene_graphs", "structured")
    return not training_only and not setting.startswith("evaluation_")
