"""Numbers as JSON, a line a step."""

import json
from pathlib import Path

from kgclip_jax.files import writing
from kgclip_jax.writers.writer import Numbers


class JsonLines:
    """One JSON object a line: `step` and numbers. Raises UserError when the disk refuses."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with writing(path):
            self._file = path.open("a", buffering=1)

    def write(self, step: int, numbers: Numbers) -> None:
        """Append a line."""
        with writing(self._path):
            self._file.write(json.dumps({"step": step} | numbers) + "\n")

    def close(self) -> None:
        """Close the file."""
        with writing(self._path):
            self._file.close()
