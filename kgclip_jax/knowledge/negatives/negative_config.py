"""Which negatives to make, and how many."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

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
from kgclip_jax.knowledge.scene_graph import SceneGraph
from kgclip_jax.random import FastRandom
from kgclip_jax.schema import LocalPath, check, suggestion

SWAPS = {
    rule.__name__: rule for rule in (swap_objects, swap_attributes, swap_relation, structure_clip)
}
SHUFFLES = {rule.__name__: rule for rule in (shuffle, swap_words)}
REARRANGEMENTS: dict[str, Callable[[str, SceneGraph, FastRandom], Iterator[Negative]]] = {
    **SWAPS,
    **SHUFFLES,
}
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
}


@dataclass(frozen=True)
class NegativeSettings:
    """Which negatives to make of each caption.

    Attributes:
        kinds: how often to try each kind first, relative to the others. When a caption allows no
            negative of the kind, the others get their chance.
        count: negatives of a caption, all different; those that do not exist are masked.
        hierarchy: file of triples in `data.path`, whose is-a relation tells which words are
            siblings ("dog" and "cat"), and which may be true together ("dog" and "animal"); see
            `read_hierarchy`.
        sibling_share: of replaced words with siblings in the hierarchy, the share that one of them
            replaces; the others are drawn by frequency.
    """

    kinds: dict[str, float] = field(default_factory=lambda: {"structure_clip": 1.0})
    count: int = 1
    hierarchy: LocalPath | None = None
    sibling_share: float = 0.5

    def __post_init__(self) -> None:
        check(bool(self.kinds), f"kinds is empty{suggestion('', LACKS)}")
        for kind, weight in self.kinds.items():
            check(kind in LACKS, f"kinds: {kind!r} is no kind{suggestion(kind, LACKS)}")
            check(weight > 0, f"kinds: the weight of {kind} must be positive")
        check(self.count >= 1, "count must be at least 1")
        check(0 <= self.sibling_share <= 1, "sibling_share must be a share between 0 and 1")
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
        return [kind for kind in self.kinds if kind not in SHUFFLES]

    @property
    def without_graphs(self) -> list[str]:
        """The kinds whose negatives have no scene graph, because nobody knows what they say."""
        return [kind for kind in self.kinds if kind in SHUFFLES]

    @property
    def needs_vocabulary(self) -> bool:
        """Whether a kind draws new words."""
        return not REPLACEMENTS.keys().isdisjoint(self.kinds)
