"""The share of text tokens that hold no text, in slots and in batches of one length.

    python benchmarks/text_padding.py --data=../shared/data/flickr8k --split=train

Batches as the text tower gets them, of captions in a folder; the pictures are noise. Slots are
found in the first captions of the order, and measured on later ones of the same epoch. "longest"
cuts a batch to its longest text, for which a run would have to compile one step a length; "context"
cuts nothing. Put this repository on PYTHONPATH.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from made_up import MadeUpSource, read_captions

from kgclip_jax.data.preprocessing import Preprocessing
from kgclip_jax.data.stored_pictures import Data
from kgclip_jax.data.streams.caption_stream import CaptionStream
from kgclip_jax.data.streams.captions_config import SAMPLED_ROWS, CaptionsConfig
from kgclip_jax.data.streams.stream import StreamOpening
from kgclip_jax.data.text_slots import TextSlots
from kgclip_jax.data.tokenization.clip_tokenizer import ClipTokenizer

TOKENIZER = ClipTokenizer()


class Padding(NamedTuple):
    """What is measured with steps of one size."""

    slots: TextSlots
    in_slots: float  # shares of padding
    longest: float
    context: float
    cut: float  # share of texts
    texts: int


def open_stream(captions: list[str], rows: int) -> CaptionStream:
    """Open a stream that finds its slots itself."""
    settings = CaptionsConfig(sources={"captions": MadeUpSource(captions)}, rows=rows)
    return settings.open("captions", StreamOpening(Data(), Preprocessing(16, TOKENIZER)))


def slots_of_steps(stream: CaptionStream, records: int) -> Iterator[tuple[list[np.ndarray], int]]:
    """Yield the text slots and the number of cut texts of steps up to the end of the epoch."""
    for step in range(-(-SAMPLED_ROWS // stream.rows), records // stream.rows):
        rows = stream.load(step, range(stream.rows // stream.unit))
        yield list(rows.blocks.text.tokens), rows.counts["text", "cut to its slot"]


def measure(captions: list[str], rows: int) -> Padding:
    """Return the padding of steps of some rows."""
    stream = open_stream(captions, rows)
    real = room = longest = cut = steps = 0
    for slots, cut_here in slots_of_steps(stream, len(captions)):
        lengths = [TOKENIZER.lengths(slot) for slot in slots]
        real += sum(int(slot.sum()) for slot in lengths)
        room += sum(slot.size for slot in slots)
        longest += rows * max(int(slot.max()) for slot in lengths)
        cut += cut_here
        steps += 1
    texts = steps * rows
    context = texts * TOKENIZER.context_length
    return Padding(
        stream.slots, 1 - real / room, 1 - real / longest, 1 - real / context, cut / texts, texts
    )


def main() -> None:
    """Print a line for each number of rows."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with a captions file")
    parser.add_argument("--split", default="train")
    parser.add_argument("--rows", type=int, nargs="+", default=[64, 256, 2048], help="of a step")
    flags = parser.parse_args()
    captions = read_captions(flags.data, flags.split)
    if len(captions) < SAMPLED_ROWS + 2 * max(flags.rows):
        parser.error(f"{len(captions):,} captions are too few: {SAMPLED_ROWS:,} are the sample")
    print("  rows  slots  longest  context    cut   texts  rows x tokens of a unit's slots")
    for rows in flags.rows:
        found = measure(captions, rows)
        shape = zip(found.slots.rows, found.slots.lengths, strict=True)
        print(
            f"{rows:6d} {found.in_slots:6.1%} {found.longest:8.1%} {found.context:8.1%}"
            f" {found.cut:6.2%} {found.texts:7,}  {', '.join(f'{r} x {n}' for r, n in shape)}"
        )


if __name__ == "__main__":
    main()
