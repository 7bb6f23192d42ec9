"""AWA2: pictures of fifty animals, and which of 85 attributes each animal has.

    classes.txt                   "     1<TAB>antelope" ... "giant+panda"
    predicates.txt                "     1<TAB>black" ...
    predicate-matrix-binary.txt   a line a class: 85 times 0 or 1
    trainclasses.txt              names of 40 classes
    testclasses.txt               names of the other 10
    JPEGImages/antelope/*.jpg

Attributes are known of classes, not of pictures. `predicate-matrix-continuous.txt` is not read: the
binary one is made of it, by the mean of all its numbers.

Source: Xian et al., TPAMI 2018 (https://cvml.ista.ac.at/AwA2: AwA2-base.zip and AwA2-data.zip, in
one folder); attributes: Lampert et al., CVPR 2009.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Bool

from kgclip_jax.data.attribute_sets.class_texts import DescribedClass, Texts, class_texts
from kgclip_jax.data.attribute_sets.numbered_lines import number_rows, numbered_list
from kgclip_jax.data.classification import labelled_pictures, list_pictures
from kgclip_jax.data.evaluation_config import PictureSet
from kgclip_jax.data.evaluation_sets import AttributeProbeSet, ZeroShotSet
from kgclip_jax.data.lazy_pictures import EvaluationTransform
from kgclip_jax.errors import DataError
from kgclip_jax.files import read_text
from kgclip_jax.schema import LocalPath, suggestion

MATRIX = "predicate-matrix-binary.txt"
PICTURES = "JPEGImages"

_IS = """black white blue brown gray orange red yellow furry hairless big small bulbous lean smelly
fast slow strong weak bipedal active inactive nocturnal fierce timid smart domestic"""
_HAS = "patches spots stripes flippers hands hooves pads paws horns claws tusks"
_EATS = "fish meat plankton vegetation insects"
_IS_A = "forager grazer hunter scavenger skimmer stalker"

# The predicates are single words, some of several words run together, and one is misspelt.
CLAUSES = {
    **{word: f"that is {word}" for word in _IS.split()},
    **{word: f"that has {word}" for word in _HAS.split()},
    **{word: f"that eats {word}" for word in _EATS.split()},
    **{word: f"that is a {word}" for word in _IS_A.split()},
    "quadrapedal": "that is quadrupedal",
    "toughskin": "that has tough skin",
    "longleg": "that has long legs",
    "longneck": "that has a long neck",
    "tail": "that has a tail",
    "chewteeth": "that has chewing teeth",
    "meatteeth": "that has teeth for meat",
    "buckteeth": "that has buck teeth",
    "strainteeth": "that has teeth to strain water",
    "muscle": "that has muscles",
    "nestspot": "that has a nest",
    "agility": "that is agile",
    "flys": "that flies",
    "hops": "that hops",
    "swims": "that swims",
    "tunnels": "that tunnels",
    "walks": "that walks",
    "hibernate": "that hibernates",
    "newworld": "that lives in the New World",
    "oldworld": "that lives in the Old World",
    "arctic": "that lives in the Arctic",
    "coastal": "that lives on the coast",
    "desert": "that lives in the desert",
    "bush": "that lives in the bush",
    "plains": "that lives on plains",
    "forest": "that lives in the forest",
    "fields": "that lives in fields",
    "jungle": "that lives in the jungle",
    "mountains": "that lives in mountains",
    "ocean": "that lives in the ocean",
    "ground": "that lives on the ground",
    "water": "that lives in water",
    "tree": "that lives in trees",
    "cave": "that lives in caves",
    "group": "that lives in groups",
    "solitary": "that lives alone",
}


class Animals(NamedTuple):
    """The classes and predicates as they are spelt in the files, and which class has which."""

    classes: Sequence[str]
    predicates: Sequence[str]
    has: Bool[np.ndarray, "classes predicates"]


@dataclass(frozen=True, kw_only=True)
class Awa2(PictureSet):
    """Zero-shot classification of animals, each told by its attributes, see `class_texts`.

    Attributes:
        kind: tells this set apart from the others.
        folder: of the files above, absolute or relative to `data.path`.
        classes: which compete: the 10 "test" classes of the standard split, the 40 "train" classes,
            or "all".
        texts: made of "attributes" alone, of "names" alone, or of "both".
    """

    kind: Literal["awa2"]
    folder: LocalPath
    classes: Literal["test", "train", "all"] = "test"
    texts: Texts = "attributes"

    def open(self, name: str, root: Path, transform: EvaluationTransform) -> ZeroShotSet:
        """Read the attributes and list the pictures.

        Raises:
            DataError: a file is missing or malformed, or a class has no pictures or no attributes;
                the message names the file and the line.
        """
        folder = root / self.folder
        animals = read_animals(folder)
        chosen = classes_of(folder, self.classes, animals)
        described = [
            DescribedClass(
                animal.replace("+", " "),
                [CLAUSES[word] for word, has in zip(animals.predicates, row, strict=True) if has],
            )
            for animal, row in zip(animals.classes, animals.has.tolist(), strict=True)
            if animal in chosen
        ]
        called, prompts = class_texts(described, "animal", self.texts, str(folder / MATRIX))
        files = _pictures_of(folder, chosen)
        pictures, labels = labelled_pictures(
            files, chosen, transform, name=name, bad_share=self.bad_share
        )
        return ZeroShotSet(name, pictures, labels, called, (), prompts=prompts)


@dataclass(frozen=True, kw_only=True)
class Awa2AttributeProbe(PictureSet):
    """A linear classifier of each attribute, see `kgclip_jax.evaluation.attribute_probe`.

    It is fitted to pictures of the 40 training classes, and measured on those of the 10 test
    classes, none of which it has seen. A picture has the attributes of its class, whether or not
    they can be seen.

    Attributes:
        kind: tells this set apart from the others.
        folder: of the files above, absolute or relative to `data.path`.
    """

    kind: Literal["awa2_attribute_probe"]
    folder: LocalPath

    def open(self, name: str, root: Path, transform: EvaluationTransform) -> AttributeProbeSet:
        """Read the attributes and list the pictures. Raises DataError, as `Awa2.open` does."""
        folder = root / self.folder
        animals = read_animals(folder)
        sides = []
        for part in ("test", "train"):
            chosen = classes_of(folder, part, animals)
            pictures, labels = labelled_pictures(
                _pictures_of(folder, chosen),
                chosen,
                transform,
                name=name,
                bad_share=self.bad_share,
            )
            rows = np.array([animals.classes.index(animal) for animal in chosen])
            sides.append((pictures, animals.has[rows[labels]].astype(np.int8)))
        return AttributeProbeSet(
            name,
            *sides[0],
            *sides[1],
            attributes=animals.predicates,
            families=[""] * len(animals.predicates),
        )


def read_animals(folder: Path) -> Animals:
    """Read classes, predicates and the binary matrix.

    Raises:
        DataError: a file is missing or malformed, or a predicate is none of AWA2's.
    """
    classes = numbered_list(folder / "classes.txt")
    predicates = numbered_list(folder / "predicates.txt")
    for number, word in enumerate(predicates, 1):
        if word not in CLAUSES:
            raise DataError(
                f"{folder / 'predicates.txt'}: number {number}, {word!r}, is no predicate of AWA2"
                f"{suggestion(word, CLAUSES)}"
            )
    size = len(classes), len(predicates)
    matrix = number_rows(folder / MATRIX, *size, lambda number: number in (0, 1), "each 0 or 1")
    return Animals(classes, predicates, matrix > 0)


def classes_of(folder: Path, part: str, animals: Animals) -> list[str]:
    """Return the classes of "test", "train" or "all", in the order of the matrix.

    Raises:
        DataError: the file of the part is missing or empty, or names a class that there is not.
    """
    if part == "all":
        return list(animals.classes)
    path = folder / f"{part}classes.txt"
    named = set()
    for line, text in enumerate(read_text(path).split("\n"), 1):
        if (animal := text.strip()) and animal not in animals.classes:
            raise DataError(
                f"{path}, line {line}: {animal!r} is not in classes.txt"
                f"{suggestion(animal, animals.classes)}"
            )
        named.add(animal)
    chosen = [animal for animal in animals.classes if animal in named]
    if not chosen:
        raise DataError(f"{path}: no classes")
    return chosen


def _pictures_of(folder: Path, classes: Sequence[str]) -> dict[str, list[str]]:
    files = list_pictures(folder / PICTURES)
    for animal in classes:
        if not files.get(animal):
            raise DataError(f"{folder / PICTURES}: no pictures of the class {animal!r}")
    return files
