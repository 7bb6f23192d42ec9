"""What a model is evaluated on: held-out pictures, texts, and what is asked about them.

Nothing holds the pictures of a set: they are read, or painted, whenever they are needed.
"""

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Int, Int8, UInt8

from kgclip_jax.knowledge.caption import Caption, Text

PLACE_OF_NAME = "{}"  # in a template


@runtime_checkable
class Pictures(Protocol):
    """Pictures that are read when they are needed, because they may be too many to hold."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> UInt8[np.ndarray, "size size 3"]:
        """Read one picture. Raises BadRecord when it cannot be read."""
        ...

    def batches(
        self,
    ) -> Iterator[tuple[UInt8[np.ndarray, "b size size 3"], Bool[np.ndarray, " b"]]]:
        """Read all pictures in their order, and tell which could be read (others are black).

        Raises DataError when too many cannot be read.
        """
        ...

    def names(self) -> Iterator[str]:
        """Say what each picture is, without reading it."""
        ...


@runtime_checkable
class EvaluationSet(Protocol):
    """What all sets have in common; each task has a class of its own."""

    @property
    def name(self) -> str:
        """What tables call it."""
        ...

    @property
    def pictures(self) -> Pictures:
        """The pictures that are asked about."""
        ...


@runtime_checkable
class TextSet(EvaluationSet, Protocol):
    """A set with texts that a scene graph can tell something about."""

    @property
    def texts(self) -> Sequence[Text]:
        """The texts, in the order of the set."""
        ...

    @property
    def graphs(self) -> str:
        """Which scene graphs the texts have, for tables; "" where a model reads none of them."""
        ...

    def with_texts(self, texts: Sequence[Text], graphs: str) -> "TextSet":
        """Return the set with other texts, as many, in the places of `texts`; and say which."""
        ...


def fingerprint(sets: Sequence[Any]) -> str:
    """Hash all that is asked, and the names of the pictures; none is read."""
    digest = hashlib.sha256()
    for part in _parts(sets):
        digest.update(part + b"\0")
    return digest.hexdigest()


def _parts(value: Any) -> Iterator[bytes]:
    if isinstance(value, np.ndarray):
        yield f"{value.dtype}{value.shape}".encode()
        yield value.tobytes()
    elif isinstance(value, (list, tuple)) and not isinstance(value, Caption):
        yield f"{len(value)}".encode()
        for part in value:
            yield from _parts(part)
    elif isinstance(value, (str, Caption)) or not isinstance(value, Pictures):
        yield repr(value).encode()
    else:
        yield from (repr(name).encode() for name in value.names())


class RetrievalSet(NamedTuple):
    """Pictures and captions; `owners[c]` is the index of the picture that caption c describes.

    With several `folds`, that many equal parts of the pictures are ranked by themselves as well.
    """

    name: str
    pictures: Pictures
    captions: Sequence[Text]
    owners: Int[np.ndarray, " captions"]
    folds: int = 1
    graphs: str = ""

    @property
    def texts(self) -> Sequence[Text]:
        """The captions."""
        return self.captions

    def with_texts(self, texts: Sequence[Text], graphs: str) -> "RetrievalSet":
        """Return the set with other captions of the same pictures."""
        return self._replace(captions=texts, graphs=graphs)


class ZeroShotSet(NamedTuple):
    """Pictures of known classes; their texts are templates ("a photo of {}") filled with names.

    Where there are `prompts`, those of each class are its texts, and no template is filled. Texts
    have no scene graphs: they are embedded as plain CLIP does.
    Sets that are `averaged_as` one thing have a row of that name for their mean. A row for each of
    the `cutoffs` says how often the right class is among so many nearest.
    """

    name: str
    pictures: Pictures
    labels: Int[np.ndarray, " pictures"]
    class_names: Sequence[str]
    templates: Sequence[str]
    averaged_as: str | None = None
    cutoffs: Sequence[int] = (1, 5)
    prompts: Sequence[Sequence[str]] = ()

    def texts_of_classes(self) -> Sequence[Sequence[str]]:
        """Return the texts of each class."""
        return self.prompts or [
            [template.replace(PLACE_OF_NAME, name) for template in self.templates]
            for name in self.class_names
        ]


class LinearProbeSet(NamedTuple):
    """Pictures of numbered classes, and others (`training`) to fit a classifier to.

    Sets that are `averaged_as` one thing have a row of that name for their mean.
    """

    name: str
    pictures: Pictures
    labels: Int[np.ndarray, " pictures"]
    training: Pictures
    training_labels: Int[np.ndarray, " training"]
    averaged_as: str | None = None


class AttributeProbeSet(NamedTuple):
    """Pictures marked with attributes, and others (`training`) to fit classifiers to.

    A mark is 1 where a picture has an attribute, 0 where it has not, and -1 where nobody knows.
    Attributes of one family are about one thing ("bill shape"); all are of "" where there are none.
    """

    name: str
    pictures: Pictures
    marks: Int8[np.ndarray, "pictures attributes"]
    training: Pictures
    training_marks: Int8[np.ndarray, "training attributes"]
    attributes: Sequence[str]
    families: Sequence[str]


class Question(NamedTuple):
    """One number of a suite: the share of decisions that come out right.

    A pair is (anchor, text); it is scored by the dot product of their embeddings, or, where the
    anchor is a text too, by their cosine. A decision is right when each of its right pairs scores
    strictly higher than the wrong pair in the same place.

    Attributes:
        metric: what tables call the number.
        right: pairs that fit. Decisions with fewer comparisons repeat one of them.
        wrong: pairs that do not.
        chance: expected share for scores without knowledge.
        clusters: decisions of one cluster, an item, depend on each other and are resampled
            together.
        groups: the number is the mean of the means of these groups; None for the plain mean.
        anchors: what the first index of a pair counts: pictures, or texts of the set.
    """

    metric: str
    right: Int[np.ndarray, "decisions comparisons 2"]
    wrong: Int[np.ndarray, "decisions comparisons 2"]
    chance: float
    clusters: Int[np.ndarray, " decisions"]
    groups: Int[np.ndarray, " decisions"] | None = None
    anchors: Literal["pictures", "texts"] = "pictures"


class ChoiceSet(NamedTuple):
    """Pictures, texts, and questions which of them belong together."""

    name: str
    pictures: Pictures
    texts: Sequence[Text]
    questions: Sequence[Question]
    graphs: str = ""

    def with_texts(self, texts: Sequence[Text], graphs: str) -> "ChoiceSet":
        """Return the set with other texts in the same places."""
        return self._replace(texts=texts, graphs=graphs)
