"""Similar pictures as further rows: the hard images of NegCLIP (Yuksekgonul et al., ICLR 2023).

Every second row of a step is one of the nearest records of the row before it, drawn anew each time,
with a caption and negatives of its own. Their batch of 256 pairs becomes 512 pictures and 1,024
texts so; here that is a stream of 512 rows.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int32

from kgclip_jax.arrays import map_array
from kgclip_jax.data.records import Source
from kgclip_jax.data.streams.texts import Draw
from kgclip_jax.errors import ConfigError, DataError
from kgclip_jax.random import generator

NONE = -1  # of a record whose picture could not be read


class Neighbours:
    """The nearest records of each record, by source.

    Args:
        nearest: numbers of records, NONE where there are none, for each record of a source.
        seed: of the choice among them.
    """

    def __init__(self, nearest: Mapping[str, Int32[np.ndarray, "records k"]], seed: int) -> None:
        self._nearest = nearest
        self._seed = seed

    def beside(self, draws: Sequence[Draw]) -> list[Draw]:
        """Return each draw and a neighbour of it, by turns; a record without any comes twice."""
        both = []
        for draw in draws:
            rng = generator(self._seed, f"{draw.source}/neighbour", draw.epoch, draw.record)
            choices = self._nearest[draw.source][draw.record]
            chosen = int(choices[int(rng.integers(len(choices)))])
            both += [draw, draw if chosen == NONE else draw._replace(record=chosen)]
        return both


def open_neighbours(
    files: Mapping[str, Path], sources: Mapping[str, Source], seed: int
) -> Neighbours:
    """Open the files that `launch/prepare.py neighbours` has written.

    Raises:
        ConfigError: a source has no file, or a file no source.
        DataError: a file is missing, malformed, or one of other records.
    """
    if files.keys() != sources.keys():
        raise ConfigError(
            f"neighbours names files of {', '.join(sorted(files))}, and the sources are "
            f"{', '.join(sorted(sources))}: each needs one"
        )
    nearest = {name: _read(path, len(sources[name])) for name, path in files.items()}
    return Neighbours(nearest, seed)


def _read(path: Path, records: int) -> Int32[np.ndarray, "records k"]:
    nearest = np.array(map_array(path))
    if nearest.ndim != 2 or nearest.dtype != np.int32 or not nearest.shape[1]:
        raise DataError(f"{path}: expected rows of int32 numbers, not {nearest.dtype}")
    if len(nearest) != records or nearest.min() < NONE or nearest.max() >= records:
        raise DataError(
            f"{path}: the neighbours are those of {len(nearest):,} records, and the source has "
            f"{records:,}; make them again: python launch/prepare.py neighbours"
        )
    return nearest
