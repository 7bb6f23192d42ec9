"""Putting a suite together: pictures and texts by number, and the decisions between them."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from kgclip_jax.data.evaluation_sets import ChoiceSet, Question
from kgclip_jax.data.images import Box
from kgclip_jax.data.lazy_pictures import (
    EncodedPicture,
    EvaluationTransform,
    encoded_pictures,
)
from kgclip_jax.data.questions import Decision
from kgclip_jax.data.records import Records, readable_records
from kgclip_jax.errors import DataError
from kgclip_jax.knowledge.caption import Text


class Judged(NamedTuple):
    """A caption, and whether it is true of a picture; captions of another `scope` are others."""

    caption: str
    picture: int
    true: bool
    scope: str = ""


class Assembly:
    """The pictures and texts of a suite; each distinct one has one number.

    Attributes:
        images: where paths of pictures start from.
        pictures: by number.
        texts: by number.
    """

    def __init__(self, images: Path) -> None:
        """Start with nothing."""
        self.images = images
        self.pictures: list[EncodedPicture] = []
        self.texts: list[Text] = []
        self._pictures: dict[tuple[str, Box | None], int] = {}
        self._first_part: dict[str, int] = {}
        self._texts: dict[Text, int] = {}

    def picture(self, file: str, box: Box | None = None) -> int:
        """Return the number of a picture file, or of the part of it in a box."""
        return self._number(file, (self.images / file).read_bytes, box)

    def captions_of(self, records: Records, bad_share: float) -> list[tuple[int, str]]:
        """Return the stored captions, each with the number of its picture, record by record.

        Raises:
            DataError: a larger share of the records than `bad_share` cannot be read.
        """
        return [
            (self._number(record.key, partial(records.encoded, index), record.box), caption)
            for index, record in readable_records(records, bad_share)
            for caption in record.captions
        ]

    def _number(self, name: str, read: Callable[[], bytes], box: Box | None) -> int:
        number = self._pictures.setdefault((name, box), len(self.pictures))
        if number == len(self.pictures):
            self.pictures.append(EncodedPicture(name, read, box))
            self._first_part.setdefault(name, number)
        return number

    def text(self, text: Text) -> int:
        """Return the number of a text."""
        number = self._texts.setdefault(text, len(self.texts))
        if number == len(self.texts):
            self.texts.append(text)
        return number

    def choice_set(
        self,
        name: str,
        questions: Sequence[Question],
        transform: EvaluationTransform,
        bad_share: float,
        where: str,
    ) -> ChoiceSet:
        """Return the set of these questions. Raises DataError, naming `where`, without any."""
        if not questions:
            raise DataError(f"{where}: no cases to ask about")
        pictures = encoded_pictures(self.pictures, transform, name=name, bad_share=bad_share)
        return ChoiceSet(name, pictures, self.texts, questions)

    def caption_choice(
        self, picture: int, right: Text, wrong: Iterable[Text], group: str = ""
    ) -> Decision:
        """Decide which caption fits a picture; decisions about one file form a cluster."""
        true = (picture, self.text(right))
        false = [(picture, self.text(text)) for text in wrong]
        cluster = self._first_part[self.pictures[picture].name]
        return Decision([true] * len(false), false, cluster, group)

    def picture_choices(self, judged: Iterable[Judged]) -> list[Decision]:
        """Decide which picture a caption is true of, for each pair of a right and a wrong one.

        All decisions about one caption form a cluster.
        """
        found: dict[tuple[str, str], tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
        for caption, picture, true, scope in judged:
            found[caption, scope][true].append(picture)
        return [
            Decision([(right, self.text(caption))], [(wrong, self.text(caption))], cluster)
            for cluster, ((caption, _), (wrong_ones, right_ones)) in enumerate(found.items())
            for right in right_ones
            for wrong in wrong_ones
        ]
