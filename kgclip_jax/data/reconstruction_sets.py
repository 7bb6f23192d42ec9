"""Texts to be told again from their embeddings, and the settings of the decoder that tells them."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, NamedTuple

import numpy as np
from jaxtyping import Int, Int32

from kgclip_jax.data.evaluation_sets import Pictures
from kgclip_jax.data.lazy_pictures import EvaluationTransform, encoded_pictures
from kgclip_jax.data.skips import Skips
from kgclip_jax.errors import DataError
from kgclip_jax.knowledge.caption import Text, words_of
from kgclip_jax.ranges import INT32_MAX, PositiveFloat, PositiveInt, Range, Seed
from kgclip_jax.schema import check

PADDING, END, FIRST_WORD = 0, 1, 2  # ids; those of words follow
HEAD_WIDTH = 32

_LEAST_TEXTS = 2

TextCount = Annotated[int, Range(_LEAST_TEXTS, INT32_MAX)]
Words = tuple[str, ...]
Owned = tuple[int, Text]  # a text and its owner


@dataclass(frozen=True)
class Copier:
    """A small autoencoder of texts, and how it is trained (`kgclip_jax.evaluation.reconstruction`).

    Attributes:
        width: features of its decoder, a multiple of 32.
        depth: blocks of its decoder.
        vector: features of the one vector that all of a text goes through.
        longest: texts of more words are left out.
        rows: texts of a training step.
        steps: of the autoencoder.
        map_steps: of the map from a tested encoder's embeddings, which is all that is trained then.
        learning_rate: highest one, of Adam, of the autoencoder.
        map_learning_rate: that of the map.
        seed: of the initial values, and of the order of texts.
    """

    width: PositiveInt = 128
    depth: PositiveInt = 2
    vector: PositiveInt = 256
    longest: PositiveInt = 32
    rows: PositiveInt = 64
    steps: PositiveInt = 800
    map_steps: PositiveInt = 2000
    learning_rate: PositiveFloat = 3e-3
    map_learning_rate: PositiveFloat = 1e-2
    seed: Seed = 0

    def __post_init__(self) -> None:
        check(
            self.width % HEAD_WIDTH == 0,
            f"width must be a multiple of {HEAD_WIDTH}, not {self.width}",
        )


_DEFAULT_COPIER = Copier()


@dataclass(frozen=True, kw_only=True)
class Reconstruction:
    """What all kinds have in common.

    Attributes:
        training_texts: so many texts at most that the decoder learns from.
        texts: so many at most that are to be told.
        copier: the decoder, and how it is trained.
    """

    training_texts: TextCount = 10_000
    texts: TextCount = 1_000
    copier: Copier = _DEFAULT_COPIER


class ReconstructionSet(NamedTuple):
    """Texts to be told again, and others (`training`) that the decoder learns from.

    Ids are of the words of the training texts, in lower case and parted by white space; an end
    follows, then padding.

    Attributes:
        name: what tables call it.
        pictures: none.
        training: as the tested encoder reads them.
        training_ids: the same, as the decoder tells them.
        held_out: texts of words that some training text has; none of them is a training text.
        held_out_ids: the same, as the decoder is to tell them.
        owners: held-out texts of one owner, a picture, depend on each other.
        words: how many ids there are.
        copier: settings of the decoder.
        graphs: which scene graphs the texts have, for tables.
    """

    name: str
    pictures: Pictures
    training: Sequence[Text]
    training_ids: Int32[np.ndarray, "training length"]
    held_out: Sequence[Text]
    held_out_ids: Int32[np.ndarray, "texts length"]
    owners: Int[np.ndarray, " texts"]
    words: int
    copier: Copier
    graphs: str = ""

    @property
    def texts(self) -> Sequence[Text]:
        """Training texts, then held-out ones."""
        return [*self.training, *self.held_out]

    def with_texts(self, texts: Sequence[Text], graphs: str) -> "ReconstructionSet":
        """Return the set with other texts for the tested encoder; what is to be told stays."""
        count = len(self.training)
        return self._replace(training=texts[:count], held_out=texts[count:], graphs=graphs)


def reconstruction_set(
    name: str,
    training: Iterable[Owned],
    held_out: Iterable[Owned],
    transform: EvaluationTransform,
    copier: Copier,
) -> ReconstructionSet:
    """Make a set of training texts and held-out ones.

    Left out, and counted in the log: what repeats an earlier text; training texts that are held
    out; texts of too many words, for `copier.longest` or more than any training text has; held-out
    texts with a word that no training text has, because the decoder could not tell it.

    Raises:
        DataError: fewer than two texts are left on either side.
    """
    skips = Skips()
    asked = _distinct(held_out, "held-out", skips)
    known = _distinct(training, "training", skips)
    _leave_out(known, asked.__contains__, "training text that is held out", skips)
    _leave_out(known, lambda words: len(words) > copier.longest, "training text too long", skips)
    vocabulary = sorted({word for words in known for word in words})
    ids = {word: number for number, word in enumerate(vocabulary, FIRST_WORD)}
    longest = max(map(len, known), default=0)
    _leave_out(asked, lambda words: len(words) > longest, "held-out text too long", skips)
    _leave_out(
        asked, lambda words: not ids.keys() >= {*words}, "held-out text with an unknown word", skips
    )
    skips.check(f"evaluation set {name!r}", name, dict.fromkeys(skips.counts, math.inf), 1.0)
    if min(len(known), len(asked)) < _LEAST_TEXTS:
        raise DataError(
            f"evaluation set {name!r}: {len(known)} training texts and {len(asked)} held-out texts "
            f"are left, {skips.counts} aside; it needs {_LEAST_TEXTS} of each"
        )
    return ReconstructionSet(
        name=name,
        pictures=encoded_pictures([], transform, name=name),
        training=[text for _, text in known.values()],
        training_ids=_ids_of(known, ids, longest),
        held_out=[text for _, text in asked.values()],
        held_out_ids=_ids_of(asked, ids, longest),
        owners=np.array([owner for owner, _ in asked.values()]),
        words=FIRST_WORD + len(ids),
        copier=copier,
    )


def _distinct(texts: Iterable[Owned], side: str, skips: Skips) -> dict[Words, Owned]:
    """Return the first of equal texts, by its words: in lower case, parted by white space."""
    found: dict[Words, Owned] = {}
    for owner, text in texts:
        words = tuple(words_of(text).lower().split())
        if words in found:
            skips.add(f"{side} text repeated", words_of(text))
        else:
            found[words] = owner, text
    return found


def _leave_out(
    texts: dict[Words, Owned], bad: Callable[[Words], bool], reason: str, skips: Skips
) -> None:
    for words in [words for words in texts if bad(words)]:
        skips.add(reason, " ".join(words))
        del texts[words]


def _ids_of(
    texts: Iterable[Words], ids: Mapping[str, int], longest: int
) -> Int32[np.ndarray, "texts length"]:
    rows = [[*map(ids.__getitem__, words), END] for words in texts]
    return np.array([row + [PADDING] * (longest + 1 - len(row)) for row in rows], np.int32)
