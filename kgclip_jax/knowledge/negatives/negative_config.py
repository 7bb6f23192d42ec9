"""Which negatives to make, and how many."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from kgclip_jax.knowledge.negatives.listed import LISTED
from kgclip_jax.knowledge.negatives.negative import Negative
from kgclip_jax.knowledge.negatives.replacements import (
    replace_attribute,
    replace_object,
    replace_relation,
)
from kgclip_jax.knowledge.negatives.shuffles import shuffle, swap_words
from kgclip_jax.knowledge.negatives.swaps import (
    structure_clip,
    swap_attributes,
    swap_objects,
    swap_relation,
)
from kgclip_jax.ranges import PositiveFloat, PositiveInt, Share
from kgclip_jax.schema import LocalPath, check, suggestion

SWAPS = {
    rule.__name__: rule for rule in (swap_objects, swap_attributes, swap_relation, structure_clip)
}
SHUFFLES = {rule.__name__: rule for rule in (shuffle, swap_words)}
REARRANGEMENTS: dict[str, Callable[..., Iterator[Negative]]] = {**SWAPS, **SHUFFLES}
REPLACEMENTS = {
    rule.__name__: rule for rule in (replace_object, replace_attribute, replace_relation)
}

# Why a kind makes nothing at all of a caption.
LACKS = {
    "swap_objects": "no two objects that fit in each other's place",
    "swap_attributes": "no two objects with attributes of their own",
    "swap_relation": "no relation whose sides fit in each other's place",
    "structure_clip": "neither attributes nor related objects to swap",
    "shuffle": "no other order found",
    "swap_words": "no two different words found",
    "replace_object": "no object, or no other of its form in the vocabulary",
    "replace_attribute": "no attribute, or no other of its form in the vocabulary",
    "replace_relation": "no relation, or no other of its form in the vocabulary",
    **dict.fromkeys(LISTED, "the file lists none"),
}


@dataclass(frozen=True)
class NegativeSettings:
    """Which negatives to make of each caption.

    Attributes:
        kinds: how often to try each kind first, relative to the others. When a caption allows no
            negative of the kind, the others get their chance.
        count: negatives of a caption, all different; those that do not exist are masked.
        one_of_each: make one negative of each kind, in the order of their names, so that a place
            among the negatives stands for a kind; the weights play no part.
        agreement: let nouns change places only where both are singular or both plural, and
            attributes only where they are of one shape. That is our own rule, so that grammar does
            not tell which caption is wrong; Structure-CLIP makes "a horses rides man" too.
        file: of wrong captions, in `data.path`, for the kinds `listed` and `listed_...`; see
            `kgclip_jax.data.readers.listed_captions`.
        hierarchy: file of triples in `data.path`, whose is-a relation tells which words are
            siblings ("dog" and "cat"), and which may be true together ("dog" and "animal"); see
            `read_hierarchy`.
        sibling_share: of replaced words with siblings in the hierarchy, the share that one of them
            replaces; the others are drawn by frequency.
    """

    kinds: dict[str, PositiveFloat] = field(default_factory=lambda: {"structure_clip": 1.0})
    count: PositiveInt = 1
    one_of_each: bool = False
    agreement: bool = True
    file: LocalPath | None = None
    hierarchy: LocalPath | None = None
    sibling_share: Share = 0.5

    def __post_init__(self) -> None:
        check(bool(self.kinds), f"kinds is empty{suggestion('', LACKS)}")
        for kind in self.kinds:
            check(kind in LACKS, f"kinds: {kind!r} is no kind{suggestion(kind, LACKS)}")
        check(
            not self.one_of_each or self.count == len(self.kinds),
            f"one_of_each makes as many negatives as there are kinds: set count to "
            f"{len(self.kinds)}",
        )
        listed = not self.kinds.keys().isdisjoint(LISTED)
        check(self.file is not None or not listed, "file is needed by the kinds listed")
        check(self.file is None or listed, f"file is for the kinds {', '.join(LISTED)}")
        check(
            self.agreement or not self.kinds.keys().isdisjoint(SWAPS),
            f"agreement is for the kinds {', '.join(SWAPS)}",
        )
        check(
            self.hierarchy is None or self.needs_vocabulary,
            f"hierarchy is for the kinds {', '.join(REPLACEMENTS)}",
        )
        check(
            self.hierarchy is not None or self.sibling_share == 0.5,
            "sibling_share is for a hierarchy",
        )

    @property
    def of_graphs(self) -> list[str]:
        """The kinds that read the scene graph of a caption."""
        return [kind for kind in self.kinds if kind in SWAPS or kind in REPLACEMENTS]

    @property
    def without_graphs(self) -> list[str]:
        """The kinds whose negatives have no scene graph, because nobody knows what they say."""
        return [kind for kind in self.kinds if kind in SHUFFLES]

    @property
    def needs_vocabulary(self) -> bool:
        """Whether a kind draws new words."""
        return not REPLACEMENTS.keys().isdisjoint(self.kinds)
