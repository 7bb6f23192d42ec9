"""What the launchers share: reading flags, changing a config by them, and failing in one line."""

import dataclasses
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from absl import flags

from kgclip_jax import schema
from kgclip_jax.config_file import LoadedConfig, load_config
from kgclip_jax.errors import ConfigError, UserError
from kgclip_jax.files import expanded

flags.disclaim_key_flags()  # what is defined here is listed by --help of the launcher


def fail(message: object) -> int:
    """Say what is wrong; returns the exit code of bad input."""
    print(f"error: {message}", file=sys.stderr)
    return 2


class _ConfigFile(flags.ArgumentParser[LoadedConfig]):
    def parse(self, argument: str) -> LoadedConfig:
        return load_config(argument)


class _LocalPath(flags.ArgumentParser[Path]):
    def parse(self, argument: str) -> Path:
        try:
            return Path(expanded(argument))
        except ConfigError as error:
            raise ValueError(error) from error


def define_path(name: str, help: str, *, required: bool = False) -> flags.FlagHolder[Path | None]:
    """Define a flag for the path of a file or folder."""
    return flags.DEFINE(_LocalPath(), name, None, help, required=required)


def define_config(help: str, *, required: bool = False) -> flags.FlagHolder[LoadedConfig | None]:
    """Define the flag `--config`, and with it `--config.KEY=VALUE`."""
    return flags.DEFINE(_ConfigFile(), "config", None, help, required=required)


def parse_flags(
    argv: Sequence[str],
    *,
    positional: bool = False,
    default_config: Callable[[], LoadedConfig | None] = lambda: None,
) -> Sequence[str]:
    """Parse the flags that a launcher has defined, and load its config; mistakes end in one line.

    Args:
        argv: the program and its arguments.
        positional: whether the launcher takes arguments that are no flags.
        default_config: what `--config.KEY=VALUE` changes where there is no `--config`.

    Returns:
        The program and the arguments that are no flags.
    """
    try:
        if "config" not in flags.FLAGS:
            remaining = flags.FLAGS(argv)
        else:
            argv, overrides = _take_overrides(argv)
            remaining = flags.FLAGS(argv)
            if overrides and flags.FLAGS["config"].value is None:
                flags.FLAGS["config"].value = default_config()
            _apply(overrides, flags.FLAGS["config"].value)
        if not positional:
            refuse_arguments(remaining[1:])
    except (UserError, flags.Error) as error:
        sys.exit(fail(error))
    return remaining


def refuse_arguments(arguments: Sequence[str]) -> None:
    """Raise ConfigError for arguments that are no flags."""
    if arguments:
        hint = "; settings are given as --config.KEY=VALUE" if "config" in flags.FLAGS else ""
        raise ConfigError(f"unexpected argument {arguments[0]!r}{hint}")


def _take_overrides(argv: Sequence[str]) -> tuple[list[str], list[tuple[str, str]]]:
    """Part arguments into those for absl, and (KEY, VALUE) of each `--config.KEY`."""
    rest, overrides = [], []
    arguments = iter(argv)
    for argument in arguments:
        if argument == "--":
            rest += [argument, *arguments]
        elif match := re.fullmatch(r"--?config\.([^=]*)(?:=(.*))?", argument, re.DOTALL):
            key, text = match.groups()
            if text is None:
                text = next(arguments, "--")
                if text.startswith("--"):
                    raise ConfigError(f"--config.{key} needs a value: --config.{key}=VALUE")
            overrides.append((key, text))
        else:
            rest.append(argument)
    return rest, overrides


def _apply(overrides: Sequence[tuple[str, str]], config: LoadedConfig | None) -> None:
    """Change settings in place; sections that are not there yet are made."""
    for key, text in overrides:
        if config is None:
            raise ConfigError(f"--config.{key} needs a config to change: --config=FILE")
        *sections, last = key.split(".")
        values = config.values
        for name in sections:
            values[name] = _section(values.get(name))
            values = values[name]
        values[last] = schema.Override(text)


def _section(value: Any) -> dict[str, Any]:
    """Return a value as a section that can be changed; what is none makes way for one."""
    if isinstance(value, schema.Override):
        value = value.literal()
    if dataclasses.is_dataclass(value):
        return schema.to_dict(value)
    return value if isinstance(value, dict) else {}  # which `parse` refuses where none may be
