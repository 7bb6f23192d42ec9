"""CUB-200-2011: pictures of 200 species of birds, and 312 attributes of each picture and species.

    images.txt                "1 001.Black_footed_Albatross/Black_Footed_Albatross_0046_18.jpg"
    image_class_labels.txt    "1 1": picture, class
    train_test_split.txt      "1 0": picture, whether it is for training
    classes.txt               "1 001.Black_footed_Albatross"
    images/001.Black_footed_Albatross/*.jpg
    attributes/attributes.txt                          "1 has_bill_shape::curved_(up_or_down)"
    attributes/class_attribute_labels_continuous.txt   a line a class: percentages of 312 attributes
    attributes/image_attribute_labels.txt              "1 1 0 3 27.708": picture, attribute, whether
                                                       it is there, certainty (1 not visible, 2
                                                       guessing, 3 probably, 4 definitely), seconds

`attributes.txt` lies where the data set's README has it, or in the folder itself, or, as the
official archive has it, beside that folder; it is looked for in this order.

Lines of two pictures (2275 and 9364) of the official `image_attribute_labels.txt` have a 0 too many
before the seconds. They are read without it, and counted in the log.

Source: Wah et al., The Caltech-UCSD Birds-200-2011 Dataset (CNS-TR-2011-001;
https://data.caltech.edu/records/65de6-vp158).
"""

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, Int8

from kgclip_jax.data.attribute_sets.class_texts import DescribedClass, Texts, class_texts
from kgclip_jax.data.attribute_sets.numbered_lines import (
    number_rows,
    numbered_lines,
    numbered_list,
    numbers_of,
)
from kgclip_jax.data.evaluation_config import PictureSet
from kgclip_jax.data.evaluation_sets import AttributeProbeSet, ZeroShotSet
from kgclip_jax.data.graph_sources.text_blocks import lines_of
from kgclip_jax.data.lazy_pictures import (
    EncodedPicture,
    EvaluationTransform,
    LazyPictures,
    encoded_pictures,
)
from kgclip_jax.data.readers.picture_files import leads_outside
from kgclip_jax.errors import DataError
from kgclip_jax.ranges import Range
from kgclip_jax.schema import LocalPath

CLASS_ATTRIBUTES = "attributes/class_attribute_labels_continuous.txt"
PICTURE_ATTRIBUTES = "attributes/image_attribute_labels.txt"
UNKNOWN = -1

_ATTRIBUTE_FILES = ("attributes/attributes.txt", "attributes.txt", "../attributes.txt")
_ATTRIBUTE = re.compile(r"has_(\w+)::(\S+)")
_CERTAINTIES = {"1": 1, "2": 2, "3": 3, "4": 4}
_PRESENCES = {"0": 0, "1": 1}
_UNCERTAIN, _MISSING = 2, 3  # beside 0 and 1

_logger = logging.getLogger(__name__)


class Birds(NamedTuple):
    """The pictures, in the order of their list.

    Attributes:
        numbers: that the files know them by.
        files: from the folder `images`.
        classes: names of all species.
        labels: class of each picture, from 0.
        trains: whether it is for training.
    """

    numbers: Sequence[int]
    files: Sequence[str]
    classes: Sequence[str]
    labels: Int[np.ndarray, " pictures"]
    trains: Bool[np.ndarray, " pictures"]


class Attribute(NamedTuple):
    """A family and one of its values: "bill shape", "curved (up or down)"."""

    family: str
    value: str


@dataclass(frozen=True, kw_only=True)
class Cub(PictureSet):
    """Zero-shot classification of the test pictures, each species told by its attributes.

    Of each family of attributes a species has the value that most often is marked in its pictures,
    where that is above the mean of all its percentages that are not 0, as in VL-Taboo (see
    `class_texts`).

    Attributes:
        kind: tells this set apart from the others.
        folder: of the files above ("CUB_200_2011"), absolute or relative to `data.path`.
        texts: made of "attributes" alone, of "names" alone, or of "both".
    """

    kind: Literal["cub"]
    folder: LocalPath
    texts: Texts = "attributes"

    def open(self, name: str, root: Path, transform: EvaluationTransform) -> ZeroShotSet:
        """Read the lists; no picture is read yet.

        Raises:
            DataError: a file is missing or malformed, or a species has no attribute; the message
                names the file and the line.
        """
        folder = root / self.folder
        birds, attributes = read_birds(folder), read_attributes(folder)
        path, size = folder / CLASS_ATTRIBUTES, (len(birds.classes), len(attributes))
        shares = number_rows(path, *size, lambda share: 0 <= share <= 100, "from 0 to 100")
        described = [
            DescribedClass(
                species.partition(".")[2].replace("_", " "),
                [f"whose {family} is {value}" for family, value in outstanding(attributes, row)],
            )
            for species, row in zip(birds.classes, shares, strict=True)
        ]
        called, prompts = class_texts(described, "bird", self.texts, str(path))
        test = np.flatnonzero(~birds.trains)
        pictures = _pictures(folder, birds, test, transform, name, self.bad_share)
        return ZeroShotSet(name, pictures, birds.labels[test], called, (), prompts=prompts)


@dataclass(frozen=True, kw_only=True)
class CubAttributeProbe(PictureSet):
    """A linear classifier of each attribute, see `kgclip_jax.evaluation.attribute_probe`.

    Fitted to the training pictures and measured on the test pictures, by the marks of each picture.
    What is marked with less certainty than asked for, or not at all, is unknown: it is neither
    fitted to nor asked, and counted in the log.

    Attributes:
        kind: tells this set apart from the others.
        folder: of the files above ("CUB_200_2011"), absolute or relative to `data.path`.
        least_certainty: of marks: 1 not visible, 2 guessing, 3 probably, 4 definitely.
    """

    kind: Literal["cub_attribute_probe"]
    folder: LocalPath
    least_certainty: Annotated[int, Range(1, 4)] = 3

    def open(self, name: str, root: Path, transform: EvaluationTransform) -> AttributeProbeSet:
        """Read the lists; no picture is read yet. Raises DataError, naming file and line."""
        folder = root / self.folder
        birds, attributes = read_birds(folder), read_attributes(folder)
        marks = read_marks(
            folder / PICTURE_ATTRIBUTES, birds.numbers, len(attributes), self.least_certainty
        )
        sides = []
        for chosen in (np.flatnonzero(~birds.trains), np.flatnonzero(birds.trains)):
            pictures = _pictures(folder, birds, chosen, transform, name, self.bad_share)
            sides.append((pictures, marks[chosen]))
        return AttributeProbeSet(
            name,
            *sides[0],
            *sides[1],
            attributes=[f"{family}: {value}" for family, value in attributes],
            families=[family for family, _ in attributes],
        )


def read_birds(folder: Path) -> Birds:
    """Read the lists of pictures and species.

    Raises:
        DataError: a file is missing or malformed, names a picture outside of the folder, or has no
            class or no part for a picture.
    """
    classes = numbered_list(folder / "classes.txt")
    files = numbered_lines(folder / "images.txt")
    for number, file in files.items():
        if leads_outside(file):
            raise DataError(f"{folder / 'images.txt'}: picture {number} is outside: {file!r}")
    numbers = list(files)
    of_classes = range(1, len(classes) + 1)
    labels = numbers_of(folder / "image_class_labels.txt", numbers, of_classes)
    trains = numbers_of(folder / "train_test_split.txt", numbers, range(2))
    return Birds(
        numbers, list(files.values()), classes, np.array(labels) - 1, np.array(trains, bool)
    )


def read_attributes(folder: Path) -> list[Attribute]:
    """Read the names of the attributes.

    Raises:
        DataError: there is no such file in any of its places, or one is no attribute of a family.
    """
    paths = [folder / file for file in _ATTRIBUTE_FILES]
    path = next((path for path in paths if path.is_file()), None)
    if path is None:
        raise DataError(f"no attributes.txt; looked for {', '.join(map(str, paths))}")
    found = []
    for number, name in enumerate(numbered_list(path), 1):
        match = _ATTRIBUTE.fullmatch(name)
        if match is None:
            raise DataError(f"{path}: number {number} is {name!r}; expected has_FAMILY::VALUE")
        found.append(Attribute(*(part.replace("_", " ") for part in match.groups())))
    return found


def outstanding(
    attributes: Sequence[Attribute], shares: Float[np.ndarray, " attributes"]
) -> list[Attribute]:
    """Return what a species is told by, given how often each is marked in its pictures."""
    mean = shares.sum() / max(1, np.count_nonzero(shares))
    best: dict[str, int] = {}
    for place, (family, _) in enumerate(attributes):
        if shares[place] > shares[best.setdefault(family, place)]:
            best[family] = place
    return [attributes[place] for place in best.values() if shares[place] > mean]


def read_marks(
    path: Path, pictures: Sequence[int], attributes: int, least_certainty: int
) -> Int8[np.ndarray, "pictures attributes"]:
    """Read which picture has which attribute: 1, 0, or -1 where nobody knows.

    Args:
        path: the file.
        pictures: their numbers.
        attributes: how many there are, numbered from 1.
        least_certainty: marks of less are unknown.

    Raises:
        DataError: a line has other columns or numbers than it should, or repeats another.
    """
    row_of = {str(number): row * attributes for row, number in enumerate(pictures)}
    column_of = {str(column + 1): column for column in range(attributes)}
    marks = bytearray([_MISSING]) * (len(pictures) * attributes)
    excess = 0
    for line, text in lines_of(path):
        fields = text.split()
        if len(fields) == 6 and fields[4] == "0":
            excess += 1
        elif len(fields) != 5:
            if not fields:
                continue
            raise DataError(f"{path}, line {line}: expected 5 columns, got {text!r}")
        try:
            place = row_of[fields[0]] + column_of[fields[1]]
            presence, certainty = _PRESENCES[fields[2]], _CERTAINTIES[fields[3]]
        except KeyError as error:
            raise DataError(
                f"{path}, line {line}: expected a picture, an attribute, 0 or 1, and a certainty "
                f"from 1 to 4, got {text!r}"
            ) from error
        if marks[place] != _MISSING:
            raise DataError(f"{path}, line {line}: a second mark of this picture and attribute")
        marks[place] = presence if certainty >= least_certainty else _UNCERTAIN
    if excess:
        _logger.warning("%s: %s lines read without a 0 before the seconds", path, f"{excess:,}")
    counts = (
        f"{count:,}" for count in (len(marks), marks.count(_UNCERTAIN), marks.count(_MISSING))
    )
    _logger.info("%s: of %s marks %s are too uncertain, and %s are missing", path, *counts)
    found = np.frombuffer(marks, np.int8).reshape(len(pictures), attributes)
    return np.where(found > 1, UNKNOWN, found).astype(np.int8)


def _pictures(
    folder: Path,
    birds: Birds,
    chosen: Int[np.ndarray, " chosen"],
    transform: EvaluationTransform,
    name: str,
    bad_share: float,
) -> LazyPictures[EncodedPicture]:
    paths = [folder / "images" / birds.files[number] for number in chosen.tolist()]
    pictures = [EncodedPicture(str(path), path.read_bytes) for path in paths]
    return encoded_pictures(pictures, transform, name=name, bad_share=bad_share)
