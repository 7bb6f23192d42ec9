"""Rows of items with labels: pictures and texts to be classified."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from jaxtyping import Int64, UInt8

from kgclip_jax.batch import Images, LabelledBlock, Texts
from kgclip_jax.data.blocks import abstract_array
from kgclip_jax.data.entity_views import cut_to, read_image
from kgclip_jax.data.evaluation_sets import fingerprint
from kgclip_jax.data.images import random_resized_crop
from kgclip_jax.data.labelled import LABELLED, Items, LabelledData
from kgclip_jax.data.order import Mixture
from kgclip_jax.data.stored_pictures import CropShare
from kgclip_jax.data.streams.replacement import read_or_replace
from kgclip_jax.data.streams.stream import Counts, Rows, StreamOpening
from kgclip_jax.data.streams.units import rows_in, units_of
from kgclip_jax.data.tokenization.tokenizer_config import Tokenizer
from kgclip_jax.random import generator
from kgclip_jax.ranges import PositiveInt
from kgclip_jax.schema import check


@dataclass(frozen=True, kw_only=True)
class LabelledConfig:
    """A data set with labels, as a config names it.

    Attributes:
        kind: tells this stream apart from the others.
        data: the files.
        rows: items in a step, over all devices.
        length: tokens that texts are cut to; a model whose texts may not be cut takes its context
            length.
        crop_scale: least and largest share of a picture that a random crop covers.
    """

    kind: Literal["labelled"] = "labelled"
    data: Annotated[LabelledData, LABELLED]
    rows: PositiveInt
    length: PositiveInt = 77
    crop_scale: tuple[CropShare, CropShare] = (0.9, 1.0)

    def __post_init__(self) -> None:
        low, high = self.crop_scale
        check(low <= high, "crop_scale must ascend")

    def check(self, *, reads_graphs: bool) -> None:
        """Refuse a model with a knowledge encoder, which wants scene graphs of all texts."""
        check(not reads_graphs, "model.knowledge reads scene graphs, which items have none of")

    def open(self, name: str, opening: StreamOpening) -> "LabelledStream":
        """Read the items. Raises DataError when files are missing or malformed."""
        root = Path(opening.data.path)
        items = self.data.read(root, bad_share=opening.data.bad_share)
        return LabelledStream(
            name=name,
            items=items,
            folder=None if self.data.images is None else root / self.data.images,
            mixture=Mixture([len(items.owners)], [1.0], ["items"], self.rows, opening.seed, name),
            units=units_of([self.rows], opening.hosts),
            tokenizer=opening.preprocessing.tokenizer,
            length=opening.preprocessing.text_length(self.length),
            image_size=opening.preprocessing.image_size,
            crop_scale=self.crop_scale,
            seed=opening.seed,
        )


@dataclass(frozen=True)
class LabelledStream:
    """The rows of `LabelledConfig`; implements `kgclip_jax.data.streams.stream.Stream`.

    Attributes:
        name: of the entry in the config.
        items: of the data set.
        folder: that the pictures lie in; None for texts alone.
        mixture: their order.
        units: equal parts that the rows of a step are made in.
        tokenizer: of all texts.
        length: tokens of a text.
        image_size: in pixels.
        crop_scale: least and largest share of a picture that a random crop covers.
        seed: of the run.
    """

    name: str
    items: Items
    folder: Path | None
    mixture: Mixture
    units: int
    tokenizer: Tokenizer
    length: int
    image_size: int
    crop_scale: tuple[float, float]
    seed: int

    @property
    def rows(self) -> int:
        """Items of a step."""
        return self.mixture.rows

    @property
    def unit(self) -> int:
        """Items that are made together."""
        return self.rows // self.units

    @property
    def refusals(self) -> Mapping[str, str]:
        """Nothing: who classifies items reads all of them."""
        return {}

    @property
    def notes(self) -> Sequence[str]:
        """How many items there are, and whether all can be told."""
        unknown = int(np.count_nonzero((self.items.labels < 0).all(axis=1)))
        more = f"; {unknown:,} items have none of them right" if unknown else ""
        about = f" about {len(self.items.pictures):,} pictures" if self.folder else ""
        items, classes = len(self.items.owners), len(self.items.classes)
        return [f"{items:,} items{about}, {classes:,} classes{more}"]

    def load(self, step: int, units: Sequence[int]) -> Rows:
        """Make some units of rows of a step; an item whose picture is bad is replaced.

        Raises:
            DataError: too many pictures in a row were bad.
        """
        counts: Counts = Counter()
        rows = rows_in(units, self.unit)
        chosen = self.mixture.draws(step, rows).record
        image = None
        if self.folder is not None:
            found = [
                self._picture(self.folder, item, step * self.rows + row, counts)
                for item, row in zip(chosen.tolist(), rows.tolist(), strict=True)
            ]
            chosen = np.array([item for _, item in found])
            image = Images(np.stack([picture for picture, _ in found]))
        block = LabelledBlock(
            image=image,
            texts=tuple(self._texts(texts, chosen, counts) for texts in self.items.texts),
            labels=self.items.labels[chosen],
            scores=self.items.scores[chosen],
        )
        return Rows(block, +counts)

    def _picture(
        self, folder: Path, item: int, position: int, counts: Counts
    ) -> tuple[UInt8[np.ndarray, "size size 3"], int]:
        """Read the picture of an item; return the item, too: another one if the picture is bad."""
        items, rng = self.items, generator(self.seed, f"{self.name}/image", position)

        def read(item: int) -> UInt8[np.ndarray, "size size 3"]:
            encoded = read_image(folder / items.pictures[items.owners[item]])
            return random_resized_crop(encoded, self.image_size, rng, scale=self.crop_scale)

        return read_or_replace(
            item,
            read,
            partial(rng.integers, len(items.owners)),
            counts,
            name=self.name,
            records=f"pictures of {folder}",
        )

    def _texts(
        self, texts: Sequence[str], chosen: Int64[np.ndarray, " rows"], counts: Counts
    ) -> Texts:
        words = [texts[item] for item in chosen.tolist()]
        tokens, longer = cut_to(self.tokenizer, words, self.length)
        counts["text", "fitting"] += len(words)
        counts["text", "cut to its slot"] += longer
        return Texts((tokens,))

    def constants(self) -> dict[str, Any]:
        """Return the number of classes, as the length of an empty array."""
        return {"classes": np.zeros((len(self.items.classes), 0), np.float32)}

    def abstract(self) -> LabelledBlock:
        """Return the block of a whole step without its values."""
        size, targets = self.image_size, (self.rows, self.items.labels.shape[1])
        pixels = abstract_array((self.rows, size, size, 3), np.uint8)
        return LabelledBlock(
            image=None if self.folder is None else Images(pixels),
            texts=tuple(
                Texts((abstract_array((self.rows, self.length), np.int32),))
                for _ in self.items.texts
            ),
            labels=abstract_array(targets, np.int32),
            scores=abstract_array(targets, np.float32),
        )

    def fingerprint(self) -> str:
        """Hash the items."""
        return fingerprint([self.items])

    def resolved(self) -> dict[str, Any]:
        """Return nothing: settings say it all."""
        return {}
