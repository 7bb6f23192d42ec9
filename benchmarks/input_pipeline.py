"""Images per second of the input pipeline, against open_clip's transform and others' loaders.

    python launch/prepare.py shards --source=photographs:FOLDER --set=split=train --output=SHARDS
    python benchmarks/input_pipeline.py --data=FOLDER --split=train --shards=SHARDS

Two tables. The first compares decoding, cropping and resizing alone, in CPU time of one thread:
open_clip's training transform (Pillow and torchvision, to a normalised float tensor) and ours (to
uint8; normalisation happens on the device). The second compares whole loaders with the same number
of worker processes in wall time, each with captions chosen and tokenised: a torch DataLoader with
open_clip's transform and tokenizer, one with our decoder and tokenizer, webdataset (tar files of
the same photographs, with open_clip's transform and tokenizer, as open_clip trains), and our Grain
pipeline: from the files, and with `--shards` from ArrayRecord shards of pictures made smaller once.

Contenders take turns and stay alive; a figure is the median over the rounds, a ratio the median of
the ratios within a round. Other load on the machine shows in the spread: look at it.

What it needs: see `open_clip_reference.py`, and `pip install webdataset`.
"""

import argparse
import functools
import io
import statistics
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import environment
import numpy as np
import open_clip_reference

from kgclip_jax.data.order import Mixture
from kgclip_jax.data.photographs import Photographs
from kgclip_jax.data.pipeline import host_batches
from kgclip_jax.data.preprocessing import Preprocessing
from kgclip_jax.data.readers.array_records import ArrayRecords
from kgclip_jax.data.readers.folders import open_folder
from kgclip_jax.data.streams.caption_stream import CaptionStream
from kgclip_jax.data.streams.texts import TextMaker
from kgclip_jax.data.text_slots import one_slot
from kgclip_jax.data.tokenization.clip_tokenizer import ClipTokenizer
from kgclip_jax.random import generator

SCALE = (0.9, 1.0)  # open_clip's default
UNTIMED_BATCHES = 6  # at the start of a turn: what was prefetched while others had theirs


@functools.cache
def open_clip_transform(size: int) -> Callable[[Any], Any]:
    """Return open_clip's own training transform."""
    open_clip_reference.make_importable()
    from open_clip.transform import image_transform

    return image_transform(size, is_train=True)


@functools.cache
def open_clip_tokenizer() -> Callable[[list[str]], Any]:
    """Return open_clip's own tokenizer."""
    open_clip_reference.make_importable()
    from open_clip.tokenizer import SimpleTokenizer

    return SimpleTokenizer()


class OpenClipRecords:
    """A torch data set that does what open_clip's `CsvDataset` does, for ever."""

    def __init__(self, photographs: Photographs) -> None:
        self.photographs = photographs

    def __len__(self) -> int:
        return 10**9

    def __getitem__(self, position: int) -> tuple[Any, Any]:
        from PIL import Image

        record = position % len(self.photographs)
        image = Image.open(io.BytesIO(self.photographs.records.encoded(record)))
        text = self.photographs.caption(record, generator(0, "caption", position)).text
        transform = open_clip_transform(self.photographs.size)
        return transform(image), open_clip_tokenizer()([text])[0]


class OurRecords(OpenClipRecords):
    """The same with our decoder and tokenizer."""

    def __getitem__(self, position: int) -> tuple[np.ndarray, np.ndarray]:
        """Return a uint8 picture and token ids."""
        record = position % len(self.photographs)
        text = self.photographs.caption(record, generator(0, "caption", position)).text
        image = self.photographs.image(record, generator(0, "augment", position))
        return image, ClipTokenizer()([text])[0]


class OpenClipSample:
    """What open_clip makes of a sample of webdataset."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __call__(self, sample: Mapping[str, bytes]) -> tuple[Any, Any]:
        """Return a float picture and token ids."""
        from PIL import Image

        image = Image.open(io.BytesIO(sample["jpg"]))
        text = sample["txt"].decode()
        return open_clip_transform(self.size)(image), open_clip_tokenizer()([text])[0]


def write_tars(photographs: Photographs, folder: Path, count: int) -> list[str]:
    """Write the photographs, each with its first caption, as tar files of webdataset."""
    paths = [str(folder / f"{number}.tar") for number in range(count)]
    for number, path in enumerate(paths):
        with tarfile.open(path, "w") as tar:
            for record in range(number, len(photographs), count):
                text = photographs.records.record(record).captions[0].encode()
                files = {"jpg": photographs.records.encoded(record), "txt": text}
                for kind, content in files.items():
                    member = tarfile.TarInfo(f"{record:08d}.{kind}")
                    member.size = len(content)
                    tar.addfile(member, io.BytesIO(content))
    return paths


def stack(records: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """Collate as our pipeline does."""
    images, tokens = zip(*records, strict=True)
    return np.stack(images), np.stack(tokens)


def transforms(photographs: Photographs, rounds: int) -> dict[str, list[float]]:
    """Time the two transforms on bytes in memory; images per second of CPU time, by round."""
    import torch
    from PIL import Image

    from kgclip_jax.data.images import random_resized_crop

    torch.set_num_threads(1)
    files = [photographs.records.encoded(record) for record in range(len(photographs))]
    size, theirs, rng = (
        photographs.size,
        open_clip_transform(photographs.size),
        generator(0, "crop"),
    )
    contenders: Mapping[str, Callable[[bytes], object]] = {
        "open_clip transform": lambda encoded: theirs(Image.open(io.BytesIO(encoded))),
        "ours": lambda encoded: random_resized_crop(encoded, size, rng, scale=SCALE),
    }
    speeds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds + 1):
        for name, transform in contenders.items():
            start = time.process_time()
            for encoded in files:
                transform(encoded)
            speeds[name].append(len(files) / (time.process_time() - start))
    return {name: values[1:] for name, values in speeds.items()}


def our_batches(photographs: Photographs, batch_size: int, workers: int) -> Iterator[Any]:
    """Return our Grain pipeline."""
    stream = CaptionStream(
        "captions",
        TextMaker({"photographs": photographs}, ClipTokenizer(), seed=0),
        Mixture([len(photographs)], [1.0], ["photographs"], batch_size, 0, "captions"),
        one_slot(batch_size, ClipTokenizer().context_length),
        Preprocessing(photographs.size, ClipTokenizer()),
    )
    return host_batches({"captions": stream}, workers=workers)


def loaders(
    photographs: Photographs,
    shards: Photographs | None,
    tars: list[str],
    rounds: int,
    batches: int,
    batch_size: int,
    workers: int,
) -> dict[str, list[float]]:
    """Time the loaders; images per second of wall time, by round."""
    from torch.utils.data import DataLoader
    from webdataset import WebDataset

    options: dict[str, Any] = {"batch_size": batch_size, "num_workers": workers}
    if workers:
        options["multiprocessing_context"] = "spawn"  # as ours: JAX and fork do not go together
    samples = WebDataset(tars, resampled=True, shardshuffle=False)
    contenders: dict[str, Iterator[Any]] = {
        "torch DataLoader, open_clip transform": iter(
            DataLoader(OpenClipRecords(photographs), **options)
        ),
        "torch DataLoader, our decoder": iter(
            DataLoader(OurRecords(photographs), collate_fn=stack, **options)
        ),
        "webdataset, open_clip transform": iter(
            DataLoader(samples.map(OpenClipSample(photographs.size)), **options)
        ),
        "ours (Grain)": our_batches(photographs, batch_size, workers),
    }
    if shards is not None:
        contenders["ours (Grain), shards"] = our_batches(shards, batch_size, workers)
    speeds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, iterator in contenders.items():
            for _ in range(UNTIMED_BATCHES):
                next(iterator)
            start = time.perf_counter()
            for _ in range(batches):
                next(iterator)
            speeds[name].append(batches * batch_size / (time.perf_counter() - start))
    return speeds


def print_table(title: str, speeds: Mapping[str, list[float]]) -> None:
    """Print medians, the range over the rounds, and ratios to the first row."""
    print(f"\n{title:40s} {'images/s':>9s} {'range':>13s} {'ratio':>6s}")
    first = next(iter(speeds.values()))
    for name, values in speeds.items():
        ratio = statistics.median(a / b for a, b in zip(values, first, strict=True))
        spread = f"{min(values):.0f}-{max(values):.0f}"
        print(f"{name:40s} {statistics.median(values):9.0f} {spread:>13s} {ratio:6.2f}")


def main() -> None:
    """Parse the flags and print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", required=True, help="folder of photographs with a captions file")
    parser.add_argument("--split", default=None, help="split of the folder")
    parser.add_argument("--shards", type=Path, help="the same, made smaller by prepare.py shards")
    parser.add_argument("--size", type=int, default=224, help="side of the pictures in pixels")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--batches", type=int, default=24, help="timed batches in a turn")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--workers", type=int, default=1, help="worker processes of each loader")
    flags = parser.parse_args()
    print(environment.describe(["torch", "webdataset", "grain"]))
    records = open_folder(Path(flags.data), flags.split)
    photographs = Photographs(records, size=flags.size, scale=SCALE)
    print_table("transform, one thread, CPU time", transforms(photographs, flags.rounds))
    shards = None
    if flags.shards is not None:
        shards = Photographs(ArrayRecords(flags.shards), size=flags.size, scale=SCALE)
    with tempfile.TemporaryDirectory() as folder:
        tars = write_tars(photographs, Path(folder), max(1, flags.workers))
        turns = flags.rounds, flags.batches, flags.batch_size, flags.workers
        speeds = loaders(photographs, shards, tars, *turns)
    print_table(f"loader, {flags.workers} worker(s), wall time", speeds)


if __name__ == "__main__":
    main()
