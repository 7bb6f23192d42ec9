"""The nearest pictures of each picture of a source, by a model's embeddings: NegCLIP's hard images.

A NumPy file of int32, a row for each record: the numbers of the records whose pictures have the
largest cosine with its own, the nearest first, never itself; -1 where it cannot be read. The
authors take three, by CLIP ViT-B/32.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int32, UInt8
from rich.console import Console

from kgclip_jax.data.lazy_pictures import EncodedPicture, EvaluationTransform, encoded_pictures
from kgclip_jax.data.records import Records
from kgclip_jax.data.streams.neighbours import NONE
from kgclip_jax.errors import BadRecord, ConfigError
from kgclip_jax.files import atomic_file, writing
from kgclip_jax.preparation.progress import RecordsProgress

COSINES_IN_MEMORY = 2**26  # 256 MB as float32


class Found(NamedTuple):
    """How many pictures there were, and how many could be read."""

    pictures: int
    readable: int


def store_nearest(
    records: Records,
    output: Path,
    encode: Callable[[UInt8[np.ndarray, "b size size 3"]], Float[np.ndarray, "b d"]],
    transform: EvaluationTransform,
    *,
    count: int,
    bad_share: float,
    console: Console,
) -> Found:
    """Embed all pictures and write the file, whole or not at all.

    `encode` makes unit vectors of pictures; `count` is that of the neighbours of each.

    Raises:
        ConfigError: the file is called otherwise, or there are too few pictures.
        DataError: too many cannot be read.
        UserError: the disk refuses.
    """
    check_name(output)
    pictures = encoded_pictures(
        [_picture(records, index) for index in range(len(records))],
        transform,
        name=records.name,
        bad_share=bad_share,
    )
    vectors, good = [], []
    with RecordsProgress(console, 0, len(records), "pictures") as progress:
        for images, readable in pictures.batches():
            vectors.append(encode(images))
            good.append(readable)
            progress.advance(len(images))
    readable = np.concatenate(good)
    if readable.sum() <= count:
        raise ConfigError(f"{records.name}: {readable.sum()} pictures have no {count} neighbours")
    nearest = nearest_rows(np.concatenate(vectors), readable, count)
    write_neighbours(output, nearest)
    return Found(len(readable), int(readable.sum()))


def check_name(output: Path) -> None:
    """Raise ConfigError when a file of neighbours is called as none is."""
    if output.suffix != ".npy":
        raise ConfigError(f"{output}: the name of a file of neighbours must end in .npy")


def write_neighbours(output: Path, rows: Int32[np.ndarray, "n k"]) -> None:
    """Write the file, whole or not at all. Raises UserError when the disk refuses."""
    with atomic_file(output) as temporary, writing(output), temporary.open("wb") as file:
        np.save(file, rows)


def nearest_rows(
    vectors: Float[np.ndarray, "n d"], readable: Bool[np.ndarray, " n"], count: int
) -> Int32[np.ndarray, "n {count}"]:
    """Return the numbers of the nearest other rows, by dot product; equal ones in their order.

    Which of equal ones are left out, where not all of them are among the nearest, is not defined.
    """
    nearest = np.full((len(vectors), count), NONE, np.int32)
    block = max(1, COSINES_IN_MEMORY // len(vectors))
    for start in range(0, len(vectors), block):
        rows = np.arange(start, min(start + block, len(vectors)))
        cosines = vectors[rows] @ vectors.T
        cosines[:, ~readable] = -np.inf
        cosines[np.arange(len(rows)), rows] = -np.inf
        best = np.argpartition(-cosines, count - 1, axis=1)[:, :count]
        best.sort(axis=1)
        order = np.argsort(-np.take_along_axis(cosines, best, axis=1), axis=1, kind="stable")
        nearest[rows] = np.take_along_axis(best, order, axis=1)
    nearest[~readable] = NONE
    return nearest


def _picture(records: Records, index: int) -> EncodedPicture:
    try:
        box = records.record(index).box
    except BadRecord:
        box = None  # its picture cannot be read either, and is counted then
    return EncodedPicture(f"record {index}", partial(records.encoded, index), box)
