"""Hashes of what a checkpoint holds, written with it: a flipped bit is found when it is read.

CHECKPOINT/checksums.json: the SHA-256 of each file of each item, by its path in the checkpoint.

Files at the top of a checkpoint are Orbax's own notes, which nobody reads here. The cost is reading
the files once more, from memory as a rule, at 0.6 GiB/s on a slow core: a tenth of a save, in its
own thread, and a quarter of a restore. There hashes come first, because what Orbax says of damaged
files is long and not always an error.
"""

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from kgclip_jax.errors import CheckpointError
from kgclip_jax.files import read_json_object, sha256, sync

CHECKSUMS = "checksums.json"


def write_checksums(folder: Path) -> None:
    """Hash all files of the items in a folder. Raises OSError when the disk refuses."""
    files = [path for path in folder.glob("*/**/*") if path.is_file()]
    names = [path.relative_to(folder).as_posix() for path in files]
    file = folder / CHECKSUMS
    file.write_text(json.dumps(_hashes(folder, sorted(names)), indent=1) + "\n")
    sync(file)


def damage(folder: Path, items: Sequence[str] | None = None) -> str | None:
    """Say what is not as it was written, by its first file; None where all is.

    Args:
        folder: of a checkpoint.
        items: which to look at; None for all.
    """
    try:
        known = read_json_object(folder / CHECKSUMS, CheckpointError)
        wanted = [n for n in known if items is None or n.partition("/")[0] in items]
        found = _hashes(folder, wanted)
    except CheckpointError as error:
        return str(error)
    changed = [name for name in wanted if found[name] != known[name]]
    return f"{changed[0]} is not as it was written" if changed else None


def _hashes(folder: Path, names: Sequence[str]) -> dict[str, str]:
    with ThreadPoolExecutor() as threads:
        hashes = threads.map(lambda name: sha256(folder / name, CheckpointError), names)
        return dict(zip(names, hashes, strict=True))
