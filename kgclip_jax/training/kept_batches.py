"""Batches of a run that are put aside for people to look at."""

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from kgclip_jax.data.pipeline import HostUnits, element_bytes, parts_of
from kgclip_jax.data.streams.stream import Stream
from kgclip_jax.errors import UserError
from kgclip_jax.files import write_atomically, writing
from kgclip_jax.paths import leaves_by_path
from kgclip_jax.training.hosts import own_file

MOST = 8  # files in a folder
LARGEST = 2**28  # bytes of the arrays in a file, if one part of a batch is not larger


class KeptBatches:
    """A folder of a few batches as .npz, each an array a leaf, by its path in the batch.

    A batch is a function of seed and step, so that it is made again, and none is held until then.

    Args:
        folder: made when it is needed.
        streams: of the run.
        units: of rows that this host loads.
    """

    def __init__(self, folder: Path, streams: Mapping[str, Stream], units: HostUnits) -> None:
        self._folder, self._streams, self._units = folder, streams, units

    def keep(self, step: int) -> str:
        """Write this host's rows of a step, or the first of them, and say where they are."""
        try:
            if self._folder.is_dir() and sum(1 for _ in self._folder.glob("*.npz")) >= MOST:
                return f"{self._folder} is full, so its batch is not kept"
            return self._write(step)
        except UserError as error:  # training goes on
            return f"its batch cannot be kept: {error}"

    def _write(self, step: int) -> str:
        parts = parts_of(self._units)
        kept = min(parts, max(1, LARGEST // element_bytes(self._streams, self._units)))
        batch = {
            name: stream.load(step - 1, mine[: len(mine) * kept // parts]).blocks
            for name, stream in self._streams.items()
            for mine in [self._units[name]]
        }
        content = io.BytesIO()
        np.savez_compressed(content, **leaves_by_path(batch))
        path = own_file(self._folder / f"step_{step}.npz")
        with writing(path):
            self._folder.mkdir(parents=True, exist_ok=True)
        write_atomically(path, content.getvalue())
        part = "its batch" if kept == parts else f"{kept} of {parts} parts of its batch"
        return f"{path} has {part}"
