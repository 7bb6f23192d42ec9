"""The folder of a run: which file is where, and what is in it."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from kgclip_jax.data.tokenization.tokenizer_config import TokenizerJson, Tokenizers
from kgclip_jax.errors import ConfigError, UserError
from kgclip_jax.files import (
    decode,
    parse_json,
    read_bytes,
    read_json_object,
    temporary_path,
    write_atomically,
    writing,
)

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
        self.evaluation = root / "evaluation.json"
        self.report = root / "report.html"

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
        """Return the lines of metrics; a last line cut off by a crash is left out.

        Raises:
            DataError: a line is damaged.
        """
        if not self.metrics.exists():
            return []
        whole, _, _ = read_bytes(self.metrics).rpartition(b"\n")
        lines = decode(whole, self.metrics).split("\n") if whole else []
        return [parse_json(text, self.metrics, line=n) for n, text in enumerate(lines, 1)]

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

    def forget_metrics_after(self, step: int) -> None:
        """Drop lines of steps that a resumed run takes again."""
        lines = [json.dumps(line) for line in self.read_metrics() if line["step"] <= step]
        if self.metrics.exists():
            write_atomically(self.metrics, "".join(f"{line}\n" for line in lines))
