"""The text side of a batch: captions and, where they are wanted, negatives made on the fly."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int32

from kgclip_jax.data.tokenization.triple_tokenizer import TripleTokenizer
from kgclip_jax.knowledge.hierarchy import Hierarchy
from kgclip_jax.knowledge.negatives import Negative, NegativeSettings, make_negatives
from kgclip_jax.knowledge.vocabulary import Vocabulary
from kgclip_jax.random import generator
from kgclip_jax.types import Caption, NegativeTexts, Source, Text, Tokenizer, Triples

Outcomes = Counter[tuple[str, str]]  # (kind of negative, "made" or the reason why there is none)

VOCABULARY_CAPTIONS = 10_000


class Draw(NamedTuple):
    """One slot of the endless training stream."""

    position: int
    source: int
    record: int


class TextRows(NamedTuple):
    """Token ids of some slots; k is 0 when no negatives are wanted."""

    captions: Int32[np.ndarray, "b n"]
    negatives: Int32[np.ndarray, "b k n"]
    mask: Bool[np.ndarray, "b k"]
    length: int  # of the longest text; what is beyond it is padding
    triples: Triples | None  # of each caption and its negatives, where they are wanted

    def take(self, rows: slice, length: int) -> "TextRows":
        """Copy some rows, cut to a length."""
        captions, negatives, mask = (
            np.ascontiguousarray(array)
            for array in (
                self.captions[rows, :length],
                self.negatives[rows, :, :length],
                self.mask[rows],
            )
        )
        triples = self.triples
        if triples is not None:
            triples = Triples(*(np.ascontiguousarray(array[rows]) for array in triples))
        return TextRows(captions, negatives, mask, length, triples)

    def put(self, row: int, other: "TextRows") -> None:
        """Replace a row by the only one of others, whose texts are no longer than these."""
        self.captions[row] = other.captions[0, : self.length]
        self.negatives[row] = other.negatives[0, :, : self.length]
        self.mask[row] = other.mask[0]
        if self.triples is not None and other.triples is not None:
            for array, replacement in zip(self.triples, other.triples, strict=True):
                array[row] = replacement[0]

    def negative_texts(self) -> NegativeTexts | None:
        """The negatives as a batch holds them."""
        return NegativeTexts(self.negatives, self.mask) if self.mask.shape[1] else None


@dataclass(frozen=True)
class TextMaker:
    """Chooses the caption of each slot, makes its negatives, and turns all into token ids.

    Attributes:
        sources: where captions come from.
        tokenizer: for all texts.
        seed: of the choice of captions and negatives.
        settings: which negatives to make, or None.
        vocabulary: words to put in the place of others, for the kinds that do so.
        triples: turns scene graphs into tokens, or None where they are not wanted.
    """

    sources: Sequence[Source]
    tokenizer: Tokenizer
    seed: int
    settings: NegativeSettings | None = None
    vocabulary: Vocabulary | None = None
    triples: TripleTokenizer | None = None

    def __call__(self, draws: Sequence[Draw], outcomes: Outcomes) -> TextRows:
        """Return the texts of some slots; what became of each negative is added to `outcomes`."""
        captions = [self._caption(draw) for draw in draws]
        count = 0 if self.settings is None else self.settings.count
        texts = [caption.text for caption in captions]
        negatives: list[Negative] = []
        if self.settings is not None:
            for draw, caption in zip(draws, captions, strict=True):
                negatives += self._negatives(draw, caption, self.settings, outcomes)
        tokens = self.tokenizer(texts + [negative.text for negative in negatives])
        valid = np.array([negative.valid for negative in negatives], bool)
        return TextRows(
            captions=tokens[: len(draws)],
            negatives=tokens[len(draws) :].reshape(len(draws), count, tokens.shape[1]),
            mask=valid.reshape(len(draws), count),
            length=int(self.tokenizer.lengths(tokens).max()),
            triples=self._triples(captions, negatives),
        )

    def _triples(
        self, captions: Sequence[Caption], negatives: Sequence[Negative]
    ) -> Triples | None:
        """Tokenise the graphs of each caption and of its negatives, side by side."""
        if self.triples is None:
            return None
        count = len(negatives) // max(1, len(captions))
        texts: list[Text] = []
        for row, caption in enumerate(captions):
            made = negatives[row * count : (row + 1) * count]
            texts += [caption, *(Caption(negative.text, negative.graph) for negative in made)]
        return Triples(
            *(array.reshape(len(captions), -1, *array.shape[1:]) for array in self.triples(texts))
        )

    def _caption(self, draw: Draw) -> Caption:
        rng = generator(self.seed, "caption", draw.position)
        return self.sources[draw.source].caption(draw.record, rng)

    def _negatives(
        self, draw: Draw, caption: Caption, settings: NegativeSettings, outcomes: Outcomes
    ) -> Sequence[Negative]:
        return make_negatives(
            caption,
            generator(self.seed, "negatives", draw.position),
            settings,
            vocabulary=self.vocabulary,
            known=self.sources[draw.source].graphs(draw.record),
            counts=outcomes,
        )


def count_vocabulary(
    sources: Sequence[Source], seed: int, hierarchy: Hierarchy | None = None
) -> Vocabulary:
    """Count the words of the graphs of at most VOCABULARY_CAPTIONS captions of each source.

    Args:
        sources: of captions with graphs.
        seed: of the choice of captions.
        hierarchy: of the words.
    """

    def captions() -> list[Caption]:
        found = []
        for number, source in enumerate(sources):
            rng = generator(seed, "vocabulary", number)
            many = len(source) > VOCABULARY_CAPTIONS
            records = (
                rng.integers(len(source), size=VOCABULARY_CAPTIONS) if many else range(len(source))
            )
            found += [source.caption(int(record), rng) for record in records]
        return found

    return Vocabulary(captions(), hierarchy)
