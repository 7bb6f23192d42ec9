"""What a run found out by going through all of its data, kept with it for its next start."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kgclip_jax.errors import DataError
from kgclip_jax.files import read_json, write_json, writing


@dataclass(frozen=True)
class Cache:
    """JSON values by what they were made of.

    Attributes:
        folder: where they lie; None keeps nothing.
        tell: says what takes so long.
        keep: whether this process writes what is new; of several, one does.
    """

    folder: Path | None = None
    tell: Callable[[str], None] = lambda line: None
    keep: bool = True

    def __call__(self, name: str, origin: str, make: Callable[[], Any], doing: str) -> Any:
        """Return what `make` returns now, or returned for the same origin before.

        Args:
            name: of the value, for the name of its file.
            origin: all that the value depends on, or hashes of it.
            make: makes the value; nothing is kept of one that it raises an error instead of.
            doing: what is told while it is made.

        Raises:
            UserError: the disk refuses.
            DataError: the file is damaged.
        """
        if self.folder is None:
            return make()
        digest = hashlib.sha256(origin.encode("utf-8", "surrogatepass")).hexdigest()
        path = self.folder / f"{name}-{digest}.json"
        if path.exists():
            return _read(path)
        self.tell(doing)
        value = make()
        if self.keep:
            with writing(path):
                self.folder.mkdir(exist_ok=True)
            write_json(path, {"sha256": _hash(value), "value": value})
        return value


NO_CACHE = Cache()


def _read(path: Path) -> Any:
    kept = read_json(path)
    if not isinstance(kept, dict) or kept.get("sha256") != _hash(kept.get("value")):
        raise DataError(f"{path} is not as it was written; delete it")
    return kept["value"]


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()
