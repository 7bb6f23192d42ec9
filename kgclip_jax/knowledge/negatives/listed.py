"""Negatives that were made before, by others or offline, and are listed caption by caption.

    listed              any that the list has of a caption
    listed_relation     those of CE-CLIP's (Zhang et al., CVPR 2024): two nouns exchanged,
    listed_adjective    an adjective,
    listed_noun         a noun,
    listed_verb         or a verb replaced by what a language model puts there

Where the list does not tell what they say, their graph is None, and nothing keeps them from being
true.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from kgclip_jax.knowledge.negatives.negative import Negative
from kgclip_jax.knowledge.scene_graph import SceneGraph
from kgclip_jax.random import FastRandom

LISTED = ("listed", "listed_relation", "listed_adjective", "listed_noun", "listed_verb")


class Listed(NamedTuple):
    """A wrong caption of a list, and its scene graph if that is known; `kind` is one of LISTED."""

    kind: str
    text: str
    graph: SceneGraph | None = None


def listed(entries: Sequence[Listed], kind: str, random: FastRandom) -> Iterator[Negative]:
    """Take the entries of a kind in random order; "listed" takes all."""
    wanted = [entry for entry in entries if kind in ("listed", entry.kind)]
    for entry in random.in_any_order(wanted):
        yield Negative(entry.text, entry.graph, kind)
