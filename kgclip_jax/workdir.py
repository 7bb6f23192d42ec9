"""The folder of a run: which file is where, and how they are read and written safely."""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from kgclip_jax.data.tokenization.settings import TokenizerJson, TokenizerSettings
from kgclip_jax.errors import ConfigError, UserError

Role = Literal["tokenizer", "element_tokenizer"]  # as in `config.Experiment`


class Workdir:
    """Paths and small files of one run.

    Args:
        root: the folder; it need not exist to be read from.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.config = root / "config.json"
        self.metrics = root / "metrics.jsonl"
        self.checkpoints = root / "checkpoints"
        self.evaluation = root / "evaluation.json"
        self.report = root / "report.html"

    def create(self) -> None:
        """Make the folder and see that it can be written. Raises UserError otherwise."""
        probe = self.root / ".writable"
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            probe.write_text("")
            probe.unlink()
        except OSError as error:
            raise UserError(
                f"cannot write to the workdir {self.root}: {error.strerror}; "
                "choose another --workdir"
            ) from error

    def keep_tokenizer(self, settings: TokenizerSettings, role: Role = "tokenizer") -> None:
        """Copy a tokenizer's file into the run, so that the run can be moved without it."""
        if isinstance(settings, TokenizerJson):
            copy = self._tokenizer_copy(settings, role)
            with writing(copy):
                shutil.copyfile(settings.file, copy)

    def own_tokenizer(
        self, settings: TokenizerSettings, role: Role = "tokenizer"
    ) -> TokenizerSettings:
        """Return the settings of a tokenizer with the run's own copy of its file."""
        if isinstance(settings, TokenizerJson):
            return replace(settings, file=str(self._tokenizer_copy(settings, role)))
        return settings

    def _tokenizer_copy(self, settings: TokenizerJson, role: Role) -> Path:
        return self.root / f"{role}{Path(settings.file).suffix}"

    def holds_run(self) -> bool:
        """Whether a run was started here, as opposed to a folder of another library's model."""
        return self.config.is_file() and "objectives" in self.read_config()

    def read_config(self) -> dict[str, Any]:
        """Return the run's config. Raises ConfigError when there is none or it is damaged."""
        try:
            config = json.loads(self.config.read_text())
        except FileNotFoundError as error:
            raise ConfigError(f"{self.root} holds no run: {self.config} is missing") from error
        except json.JSONDecodeError as error:
            raise ConfigError(f"{self.config}, line {error.lineno}: {error.msg}") from error
        if not isinstance(config, dict):
            raise ConfigError(f"{self.config} holds no object, so no config of a run")
        return config

    def read_metrics(self) -> list[dict[str, Any]]:
        """Return the lines of metrics; a last line cut off by a crash is left out."""
        if not self.metrics.exists():
            return []
        return list(_whole_lines(self.metrics))

    def forget_metrics_after(self, step: int) -> None:
        """Drop lines of steps that a resumed run takes again."""
        lines = [json.dumps(line) for line in self.read_metrics() if line["step"] <= step]
        if self.metrics.exists():
            write_atomically(self.metrics, "".join(f"{line}\n" for line in lines))


def _whole_lines(path: Path) -> Iterator[dict[str, Any]]:
    for line in path.read_text().splitlines(keepends=True):
        if line.endswith("\n"):
            yield json.loads(line)


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write a JSON file whole or not at all. Raises UserError when the disk refuses."""
    write_atomically(path, json.dumps(value, indent=2) + "\n")


def write_atomically(path: Path, content: str | bytes) -> None:
    """Replace a file by a new version, whole or not at all. Raises UserError on a disk error."""
    temporary = path.with_name(f".{path.name}.partial")
    with writing(path):
        try:
            temporary.write_bytes(content.encode() if isinstance(content, str) else content)
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn an error of the disk into a UserError that names `path`."""
    try:
        yield
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from error
