"""NegCLIP's wrong captions of a source, as its authors list them: a file for `listed` negatives.

    title <tab> filepath <tab> neg_caption
    A car with some surfboards in a field. <tab> 1.jpg <tab> ['A field with ... in a car.']

One line for each caption that has some; see `kgclip_jax.knowledge.negatives.class_swaps`. The
authors' files also name similar pictures in `neg_image`; here `neighbours` finds these.
"""

import csv
from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from kgclip_jax.data.records import Records, readable_records
from kgclip_jax.errors import DataError
from kgclip_jax.files import atomic_file, writing
from kgclip_jax.knowledge.negatives.class_swaps import class_swaps
from kgclip_jax.knowledge.parsing.spacy_trees import SpacyTrees
from kgclip_jax.preparation.progress import RecordsProgress
from kgclip_jax.random import generator


class Swapped(NamedTuple):
    """How many captions there were, how many have a wrong one, and how many of these."""

    captions: int
    with_some: int
    wrong: int


def store_swaps(
    records: Records, output: Path, *, model: str, seed: int, bad_share: float, console: Console
) -> Swapped:
    """Write the file, whole or not at all.

    `model` is the name or folder of a spaCy pipeline; the seed decides on the words.

    Raises:
        UserError: spaCy is not installed, or the disk refuses.
        DataError: the file is called otherwise, too much cannot be read, or no caption has a swap.
    """
    if output.suffix != ".tsv":
        raise DataError(f"{output}: the name of a file of wrong captions must end in .tsv")
    found = readable_records(records, bad_share)
    captions = [(r.key, text, index, n) for index, r in found for n, text in enumerate(r.captions)]
    trees = SpacyTrees(model)(text for _, text, _, _ in captions)
    with_some = wrong = 0
    with (
        RecordsProgress(console, 0, len(captions), "captions") as progress,
        atomic_file(output) as temporary,
        writing(output),
        temporary.open("w", encoding="utf-8", newline="") as file,
    ):
        lines = csv.writer(file, delimiter="\t", lineterminator="\n")
        lines.writerow(("title", "filepath", "neg_caption"))
        for (key, text, index, number), tree in zip(captions, trees, strict=True):
            swaps = class_swaps(tree, text, generator(seed, "negclip", index, number))
            if swaps:
                lines.writerow((text, key, repr(swaps)))
            with_some += bool(swaps)
            wrong += len(swaps)
            progress.advance(1)
        if not wrong:
            raise DataError(f"{records.name}: no caption has two words of one class")
    return Swapped(len(captions), with_some, wrong)
