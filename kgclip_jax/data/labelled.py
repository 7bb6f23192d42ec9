"""Items with labels: a picture and a text, a text, or two texts, and what is right about them."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, Int32, Shaped

from kgclip_jax.errors import DataError
from kgclip_jax.schema import Registry

_READERS = "kgclip_jax.data.readers"
LABELLED = Registry(
    "labelled data",
    {
        "glue": f"{_READERS}.glue:GlueData",
        "snli_ve": f"{_READERS}.snli_ve:SnliVeData",
        "vqa": f"{_READERS}.vqa:VqaData",
    },
)


class Item(NamedTuple):
    """What a reader finds.

    Attributes:
        texts: one or two; as many in all items of a data set.
        targets: how right each class is, from 0 to 1; those that are left out are wrong.
        picture: its file, from the folder of pictures; "" in a data set of texts alone.
        part: of the data set, which gets a row of its own in tables; "" where there are none.
    """

    texts: tuple[str, ...]
    targets: Mapping[int, float]
    picture: str = ""
    part: str = ""


class Items(NamedTuple):
    """The items of a data set, in the order of its file.

    Attributes:
        texts: the first of each item, then the second of each, if there are two.
        pictures: the distinct files, from the folder of pictures; none for texts alone.
        owners: which of the pictures an item is about, or which of the distinct first texts; items
            of one owner depend on each other.
        labels: classes that are right, -1 where there are no more.
        scores: how right each is; 0 where there is none.
        parts: of each item; "" where there are none.
        classes: their names; a number that is to be told is a single class.
    """

    texts: tuple[Sequence[str], ...]
    pictures: Sequence[str]
    owners: Int32[np.ndarray, " items"]
    labels: Int32[np.ndarray, "items k"]
    scores: Float32[np.ndarray, "items k"]
    parts: Shaped[np.ndarray, " items"]
    classes: Sequence[str]


@runtime_checkable
class LabelledData(Protocol):
    """A frozen dataclass that names the files of a data set in a config."""

    @property
    def kind(self) -> str:
        """Its name in `LABELLED`."""
        ...

    @property
    def images(self) -> str | None:
        """The folder of pictures, absolute or in `data.path`; None for texts alone."""
        ...

    @property
    def metrics(self) -> Sequence[str]:
        """What is measured: "accuracy", or names of `kgclip_jax.evaluation.agreement`."""
        ...

    def read(self, root: Path, *, bad_share: float) -> Items:
        """Read the items; no picture is opened. Relative paths start from `root`.

        Raises:
            DataError: a file is missing or malformed, or a larger share than `bad_share` of its
                lines; the message names the file and the line or entry.
        """
        ...


def gather(items: Iterable[Item], classes: Sequence[str], where: Path) -> Items:
    """Put items together. Raises DataError, naming the file, where there are none."""
    found = list(items)
    if not found:
        raise DataError(f"{where}: no items with a label")
    owners: dict[str, int] = {}
    places = [owners.setdefault(item.picture or item.texts[0], len(owners)) for item in found]
    shape = (len(found), max(1, *(len(item.targets) for item in found)))
    labels, scores = np.full(shape, -1, np.int32), np.zeros(shape, np.float32)
    for row, item in enumerate(found):
        labels[row, : len(item.targets)] = list(item.targets)
        scores[row, : len(item.targets)] = list(item.targets.values())
    return Items(
        texts=tuple(list(column) for column in zip(*(item.texts for item in found), strict=True)),
        pictures=list(owners) if found[0].picture else [],
        owners=np.array(places, np.int32),
        labels=labels,
        scores=scores,
        parts=np.array([item.part for item in found]),
        classes=classes,
    )
