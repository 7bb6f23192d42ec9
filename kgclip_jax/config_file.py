"""Reading the file that `--config=FILE[:ARGUMENT]` names; each mistake in it ends in one line.

FILE is a Python file with a function `get_config`, which may take the ARGUMENT and returns an
`ml_collections.ConfigDict`, or the config.json of a run.
"""

import contextlib
import inspect
import runpy
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from kgclip_jax.errors import ConfigError, UserError
from kgclip_jax.files import read_json


@dataclass(frozen=True)
class LoadedConfig:
    """What a config file says, changed as the command line wants it; not validated yet.

    Attributes:
        name: of the file and its argument, for the workdir.
        values: nested settings, for `config.experiment`.
    """

    name: str
    values: dict[str, Any]


def load_config(text: str) -> LoadedConfig:
    """Read `FILE[:ARGUMENT]`. Raises UserError, in one line, for all that may be wrong with it."""
    file, _, argument = text.partition(":")
    path = Path(file)
    if not path.is_file():
        raise ConfigError(f"there is no config file {file}")
    if path.suffix == ".json":
        if argument:
            raise ConfigError(f"{file} takes no argument: {argument!r}")
        values, name = read_json(path), path.resolve().parent.name
    else:
        with _mistakes_located(file):
            values = _call(runpy.run_path(file).get("get_config"), argument, file)
            if isinstance(values, (ConfigDict, Mapping)):
                values = ConfigDict(values).to_dict()
        name = "-".join(filter(None, [path.stem, argument]))
    if not isinstance(values, dict):
        raise ConfigError(f"{file} must hold settings by name, not {values!r}")
    return LoadedConfig(name, values)


def _call(get_config: Callable[..., Any] | None, argument: str, file: str) -> Any:
    if get_config is None:
        raise ConfigError(f"{file} has no function get_config")
    parameters = inspect.signature(get_config).parameters.values()
    needed = [each.name for each in parameters if each.default is each.empty]
    if needed and not argument:
        raise ConfigError(f"{file} needs an argument: --config={file}:{needed[0].upper()}")
    if argument and not parameters:
        raise ConfigError(f"{file} takes no argument: {argument!r}")
    return get_config(argument) if argument else get_config()


@contextlib.contextmanager
def _mistakes_located(file: str) -> Iterator[None]:
    """Turn any error of a config file into one line that names its own line."""
    try:
        yield
    except UserError:
        raise
    except SyntaxError as error:
        where = f"{error.filename or file}:{error.lineno}"
        raise ConfigError(f"{where}: {error.msg}") from error
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        where = ":".join([file, *[str(it.lineno) for it in frames if it.filename == file][-1:]])
        message = " ".join(str(error).split())
        raise ConfigError(f"{where}: {type(error).__name__}: {message}") from error
