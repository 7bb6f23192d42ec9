"""Does evaluation decode pictures while the encoder works? Seconds for all pictures of a folder.

    PYTHONPATH=. python benchmarks/evaluation_overlap.py --photographs=FLICKR8K --pictures=2048

Three turns a round: pictures are read alone; read, and the encoder takes as long for a batch as its
reading took; the two one after the other, which is their sum. The encoder is a pause, as a device
is that leaves the processor alone. With B batches the second turn takes 1 / (2 B) more than half of
the third at best: nothing is encoded while the first batch is read.
"""

import argparse
import statistics
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import environment

from kgclip_jax.data.lazy_pictures import (
    BATCH,
    EncodedPicture,
    EvaluationTransform,
    encoded_pictures,
)
from kgclip_jax.data.readers.folders import open_folder
from kgclip_jax.data.readers.picture_files import PictureFiles


def batches(records: PictureFiles, pictures: int, size: int) -> Iterator[object]:
    """Read pictures as evaluation does."""
    chosen = [
        EncodedPicture(str(records.file(index)), records.file(index).read_bytes)
        for index in islice(range(len(records)), pictures)
    ]
    return encoded_pictures(chosen, EvaluationTransform(size), name="benchmark").batches()


def seconds(read: Iterator[object], pause: float) -> float:
    """Return how long it takes to read all, with a pause for each batch."""
    began = time.perf_counter()
    for _ in read:
        time.sleep(pause)
    return time.perf_counter() - began


def main() -> None:
    """Print the medians of all rounds."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--photographs", type=Path, required=True, help="folder with captions")
    parser.add_argument("--split", default="train", help="of the photographs")
    parser.add_argument("--pictures", type=int, default=2048)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    print(environment.describe(["numpy"]))
    records = open_folder(arguments.photographs, arguments.split)
    count = -(-min(arguments.pictures, len(records)) // BATCH)

    def read() -> Iterator[object]:
        return batches(records, arguments.pictures, arguments.size)

    alone, both = [], []
    for _ in range(arguments.rounds):
        alone.append(seconds(read(), 0))
        both.append(seconds(read(), alone[-1] / count))
    ratio = statistics.median(b / (2 * a) for a, b in zip(alone, both, strict=True))
    print(f"{count} batches: read alone {statistics.median(alone):.2f} s, with an encoder of the ")
    print(f"same length {statistics.median(both):.2f} s, {ratio:.2f} of one after the other")


if __name__ == "__main__":
    main()
