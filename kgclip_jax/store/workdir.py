"""The folder of a run: which file is where, and what is in it."""

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from kgclip_jax.data.tokenization.tokenizer_config import TokenizerJson, Tokenizers
from kgclip_jax.errors import ConfigError, DataError, UserError
from kgclip_jax.files import (
    parse_json,
    read_bytes,
    read_json_object,
    temporary_path,
    write_atomically,
    writing,
)

_logger = logging.getLogger(__name__)

_TOKENIZER_FILES = {"text": "tokenizer", "elements": "element_tokenizer"}  # as `Experiment` has it


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
        self.evaluations = root / "evaluations.jsonl"  # of all steps that were evaluated on the way
        self.evaluation = root / "evaluation.json"  # of the newest
        self.sessions = root / "sessions.jsonl"  # what each launch took, when it ended in order
        self.report = root / "report.html"
        self.cache = root / "cache"

    def create(self) -> None:
        """Make the folder and see that it can be written. Raises UserError otherwise."""
        probe = temporary_path(self.config)
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            probe.write_text("")
            probe.unlink()
        except OSError as error:
            raise UserError(
                f"cannot write to the workdir {self.root}: {error.strerror}; "
                "choose another --workdir"
            ) from error

    def keep_tokenizers(self, tokenizers: Tokenizers) -> None:
        """Copy the tokenizers' files into the run, so that the run can be moved without them."""
        for _, settings, copy in self._copies(tokenizers):
            write_atomically(copy, read_bytes(Path(settings.file)))

    def own_tokenizers(self, tokenizers: Tokenizers) -> Tokenizers:
        """Return tokenizers with the run's own copies of their files."""
        own = {
            name: replace(settings, file=str(copy))
            for name, settings, copy in self._copies(tokenizers)
        }
        return replace(tokenizers, **own)

    def _copies(self, tokenizers: Tokenizers) -> Iterator[tuple[str, TokenizerJson, Path]]:
        """Yield name, settings and place of the copy of each tokenizer that has a file."""
        for name, stem in _TOKENIZER_FILES.items():
            settings = getattr(tokenizers, name)
            if isinstance(settings, TokenizerJson):
                yield name, settings, self.root / f"{stem}{Path(settings.file).suffix}"

    def holds_run(self) -> bool:
        """Whether a run was started here, as opposed to a folder of another library's model."""
        return self.config.is_file() and "objectives" in self.read_config()

    def read_config(self) -> dict[str, Any]:
        """Return the run's config. Raises ConfigError when there is none or it is damaged."""
        if not self.config.is_file():
            raise ConfigError(f"{self.root} holds no run: {self.config} is missing")
        return read_json_object(self.config, ConfigError)

    def read_metrics(self) -> list[dict[str, Any]]:
        """Return the lines of metrics; damaged ones are left out, and named in the log."""
        return self._read_lines(self.metrics)

    def read_evaluations(self) -> list[dict[str, Any]]:
        """Return the steps that the run was evaluated at, and their rows, as `read_metrics`."""
        return self._read_lines(self.evaluations)

    def read_sessions(self) -> list[dict[str, Any]]:
        """Return what each launch took, see `add_session`, as `read_metrics`."""
        return self._read_lines(self.sessions)

    def add_evaluation(self, step: int, results: Sequence[Mapping[str, Any]]) -> None:
        """Append the rows of an evaluation. Raises UserError when the disk refuses."""
        _append(self.evaluations, {"step": step, "results": list(results)})

    def add_session(
        self, start: int, step: int, seconds: Mapping[str, float], memory: Mapping[str, float]
    ) -> None:
        """Append what a launch took: from which step to which, and the seconds of each part.

        Memory is by its name in the lines of metrics, in GiB. Raises UserError when the disk
        refuses.
        """
        parts = {"seconds": dict(seconds), "memory": dict(memory)}
        _append(self.sessions, {"start": start, "step": step, **parts})

    def _read_lines(self, path: Path) -> list[dict[str, Any]]:
        lines, damaged = _parse_lines(path)
        if damaged:
            _logger.warning("%s; %d damaged lines are left out", damaged[0].reason, len(damaged))
        return lines

    def put_aside(self, steps: Sequence[int]) -> Path:
        """Move checkpoints to where no run looks for them, and return that folder.

        Raises:
            UserError: the disk refuses.
        """
        number = 1
        while (folder := self.root / f"put_aside_{number}").exists():
            number += 1
        with writing(folder):
            folder.mkdir()
            for step in steps:
                (self.checkpoints / str(step)).rename(folder / str(step))
        return folder

    def forget_after(self, step: int) -> None:
        """Drop lines of steps that a resumed run takes again; put damaged ones aside."""
        for path in (self.metrics, self.evaluations, self.sessions):
            lines, damaged = _parse_lines(path)
            if damaged:
                aside = path.with_suffix(".damaged")
                with writing(aside), aside.open("ab") as file:
                    file.writelines(line.content + b"\n" for line in damaged)
                told = "%s; %d damaged lines lie in %s now"
                _logger.warning(told, damaged[0].reason, len(damaged), aside)
            if path.exists():
                kept = (json.dumps(line) for line in lines if line["step"] <= step)
                write_atomically(path, "".join(f"{line}\n" for line in kept))


def _append(path: Path, line: Mapping[str, Any]) -> None:
    with writing(path), path.open("a") as file:
        file.write(json.dumps(line) + "\n")


class _Damaged(NamedTuple):
    content: bytes
    reason: str


def _parse_lines(path: Path) -> tuple[list[dict[str, Any]], list[_Damaged]]:
    """Return the lines of a file of JSON objects with a step, and those that are none.

    A last line cut off by a crash is neither.
    """
    lines: list[dict[str, Any]] = []
    damaged = []
    whole, _, _ = (read_bytes(path) if path.exists() else b"").rpartition(b"\n")
    for number, content in enumerate(whole.split(b"\n") if whole else [], 1):
        try:
            line = parse_json(content, path, line=number)
            if not isinstance(line, Mapping) or type(line.get("step")) is not int:
                raise DataError(f"{path}, line {number}: no JSON object with a step")
            lines.append(dict(line))
        except DataError as error:
            damaged.append(_Damaged(content, str(error)))
    return lines, damaged
