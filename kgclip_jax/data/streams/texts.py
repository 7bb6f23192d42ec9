"""The text side of captioned pictures: captions, and negatives made of them on the fly."""

import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int, Int32, UInt64

from kgclip_jax.batch import Triples
from kgclip_jax.data.listed_negatives import ListedNegatives
from kgclip_jax.data.records import Source
from kgclip_jax.data.streams.stream import Counts
from kgclip_jax.data.tokenization.tokenizer_config import Tokenizer
from kgclip_jax.data.tokenization.triple_tokenizer import TripleTokenizer
from kgclip_jax.knowledge.caption import Caption, Text
from kgclip_jax.knowledge.hierarchy import Hierarchy
from kgclip_jax.knowledge.negatives import Negative, NegativeSettings, make_negatives
from kgclip_jax.knowledge.vocabulary import Vocabulary
from kgclip_jax.random import generator, hashed

VOCABULARY_CAPTIONS = 10_000


class Draw(NamedTuple):
    """A record in one epoch of its source."""

    source: str
    epoch: int
    record: int


class TextRows(NamedTuple):
    """The texts of some rows; k is 0 when no negatives are wanted."""

    captions: Int32[np.ndarray, "b n"]
    negatives: Int32[np.ndarray, "b k n"]
    mask: Bool[np.ndarray, "b k"]
    lengths: Int[np.ndarray, " b"]  # of the longest text of each row
    triples: Triples | None  # of each caption, then its negatives: texts are (b, 1 + k)
    words: Sequence[str]  # of the captions


@dataclass(frozen=True)
class TextMaker:
    """Chooses captions, makes their negatives, and turns all into token ids.

    Attributes:
        sources: where captions come from, by name.
        tokenizer: for all texts.
        seed: of the choice of captions and negatives.
        settings: which negatives to make, or None.
        vocabulary: words to put in the place of others, for the kinds that do so.
        triples: turns scene graphs into tokens, or None where they are not wanted.
        listed: wrong captions of a file, for the kinds that take them from there.
    """

    sources: Mapping[str, Source]
    tokenizer: Tokenizer
    seed: int
    settings: NegativeSettings | None = None
    vocabulary: Vocabulary | None = None
    triples: TripleTokenizer | None = None
    listed: ListedNegatives | None = None

    def __call__(self, draws: Sequence[Draw], counts: Counts) -> TextRows:
        """Return the texts of some records; what became of each negative is added to `counts`."""
        count = 0 if self.settings is None else self.settings.count
        captions: list[Caption] = []
        negatives: list[Negative] = []
        outcomes: Counts = Counter()
        for draw in draws:  # one by one: what was read of a record for its caption is still there
            captions.append(self._caption(draw))
            if self.settings is not None:
                negatives += self._negatives(draw, captions[-1], self.settings, outcomes)
        for (kind, outcome), times in outcomes.items():
            counts["negatives", f"{kind}: {outcome}"] += times
        texts = [caption.text for caption in captions]
        tokens = self.tokenizer(texts + [negative.text for negative in negatives])
        lengths = self.tokenizer.lengths(tokens)
        wrong = lengths[len(draws) :].reshape(len(draws), count)
        valid = np.array([negative.valid for negative in negatives], bool)
        return TextRows(
            captions=tokens[: len(draws)],
            negatives=tokens[len(draws) :].reshape(len(draws), count, tokens.shape[1]),
            mask=valid.reshape(len(draws), count),
            lengths=np.maximum(lengths[: len(draws)], wrong.max(axis=1, initial=0)),
            triples=self._triples(captions, negatives),
            words=texts,
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

    def generator(self, draw: Draw, purpose: str) -> np.random.Generator:
        """Return the random numbers of a record in an epoch, for one purpose."""
        return generator(self.seed, f"{draw.source}/{purpose}", draw.epoch, draw.record)

    def _caption(self, draw: Draw) -> Caption:
        rng = self.generator(draw, "caption")
        return self.sources[draw.source].caption(draw.record, rng)

    def _negatives(
        self, draw: Draw, caption: Caption, settings: NegativeSettings, outcomes: Counts
    ) -> Sequence[Negative]:
        return make_negatives(
            caption,
            self.generator(draw, "negatives"),
            settings,
            vocabulary=self.vocabulary,
            known=self.sources[draw.source].known(draw.record),
            entries=() if self.listed is None else self.listed(caption.text),
            counts=outcomes,
        )


def count_vocabulary(
    sources: Mapping[str, Source], seed: int, hierarchy: Hierarchy | None = None
) -> Vocabulary:
    """Count the words of the graphs of at most VOCABULARY_CAPTIONS captions of each source."""
    return Vocabulary(sample_captions(sources, seed), hierarchy)


def sample_captions(sources: Mapping[str, Source], seed: int) -> list[Caption]:
    """Return captions of at most VOCABULARY_CAPTIONS records of each source."""
    found = []
    for name, source in sources.items():
        rng = generator(seed, f"{name}/vocabulary")
        many = len(source) > VOCABULARY_CAPTIONS
        records = (
            rng.integers(len(source), size=VOCABULARY_CAPTIONS) if many else range(len(source))
        )
        found += [source.caption(int(record), rng) for record in records]
    return found


def text_ids(tokens: Int32[np.ndarray, "*rows n"]) -> Int32[np.ndarray, "*rows"]:
    """Hash the tokens of each text to 31 bits: equal texts have equal ids."""
    places = np.arange(1, tokens.shape[-1] + 1, dtype=np.uint64)
    return _to_31_bits(hashed(tokens.astype(np.uint64) + (places << np.uint64(32))).sum(axis=-1))


def picture_ids(source: str, records: Int[np.ndarray, " rows"]) -> Int32[np.ndarray, " rows"]:
    """Hash the records of a source to 31 bits."""
    name = np.uint64(zlib.crc32(source.encode()))
    return _to_31_bits(records.astype(np.uint64) * np.uint64(2**32) + name)


def _to_31_bits(x: UInt64[np.ndarray, "*rows"]) -> Int32[np.ndarray, "*rows"]:
    return (hashed(np.asarray(x)) >> np.uint64(33)).astype(np.int32)
