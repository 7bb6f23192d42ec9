"""SNLI-VE: does a sentence follow from a picture of Flickr30k?

A file of lines a part, snli_ve_train.jsonl, snli_ve_dev.jsonl, snli_ve_test.jsonl:

    {"Flickr30K_ID": "3416050480", "gold_label": "contradiction",
     "sentence2": "A couple are playing frisbee with a young child at the beach.", ...}

`sentence1`, a caption of the picture, is not read: the picture takes its place. Where annotators
did not agree, the label is "-", and the line is left out (the published files have none of them).

Source: Xie et al., Visual Entailment, 2019; github.com/necla-ml/SNLI-VE.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from kgclip_jax.data.graph_sources.text_blocks import lines_of
from kgclip_jax.data.labelled import Item, Items, gather
from kgclip_jax.data.readers.json_lists import check_object
from kgclip_jax.data.readers.picture_files import leads_outside
from kgclip_jax.data.skips import Skips
from kgclip_jax.errors import DataError
from kgclip_jax.files import parse_json
from kgclip_jax.schema import LocalPath

CLASSES = ("contradiction", "entailment", "neutral")
NO_AGREEMENT = "label on which annotators did not agree"

_FIELDS = {"Flickr30K_ID": (str, int), "sentence2": str, "gold_label": str}


@dataclass(frozen=True, kw_only=True)
class SnliVeData:
    """Sentences about pictures of one part, as a config names them.

    Attributes:
        kind: tells this data apart from others.
        file: of lines, absolute or in `data.path`.
        images: the folder of Flickr30k's pictures, likewise.
    """

    kind: Literal["snli_ve"] = "snli_ve"
    file: LocalPath
    images: LocalPath = "flickr30k_images"
    metrics: ClassVar[Sequence[str]] = ("accuracy",)

    def read(self, root: Path, *, bad_share: float) -> Items:
        """Read the lines. Raises DataError: the file is missing, or a line malformed."""
        del bad_share  # to leave out what annotators did not agree on is no fault
        path, skips = root / self.file, Skips()
        items = list(_items(path, skips))
        skips.check(str(path), str(path), {NO_AGREEMENT: math.inf}, 0.0)
        return gather(items, CLASSES, path)


def _items(path: Path, skips: Skips) -> Iterator[Item]:
    for number, line in lines_of(path):
        if not line.strip():
            continue
        place, entry = f"line {number}", parse_json(line, path, line=number)
        check_object(path, place, entry, _FIELDS)
        label = entry["gold_label"]
        if label == "-":
            skips.add(NO_AGREEMENT, place)
        elif label in CLASSES:
            picture = f"{entry['Flickr30K_ID']}.jpg"
            if leads_outside(picture):
                raise DataError(f"{path}: {place}: {picture!r} is no picture of the folder")
            yield Item((entry["sentence2"],), {CLASSES.index(label): 1.0}, picture)
        else:
            known = ", ".join(CLASSES)
            raise DataError(f"{path}: {place} has gold_label {label!r}, none of {known}, -")
