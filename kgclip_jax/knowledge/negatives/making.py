"""From a caption and its scene graph to negatives."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from kgclip_jax.errors import ConfigError
from kgclip_jax.knowledge.caption import Caption
from kgclip_jax.knowledge.english import quiet
from kgclip_jax.knowledge.facts import Known
from kgclip_jax.knowledge.negatives.listed import LISTED, Listed, listed
from kgclip_jax.knowledge.negatives.negative import Negative
from kgclip_jax.knowledge.negatives.negative_config import (
    LACKS,
    REPLACEMENTS,
    SHUFFLES,
    SWAPS,
    NegativeSettings,
)
from kgclip_jax.knowledge.negatives.replacements import Palette
from kgclip_jax.knowledge.negatives.truth import Truth
from kgclip_jax.knowledge.vocabulary import Vocabulary
from kgclip_jax.random import FastRandom

MADE = "made"
NO_GRAPH = "the caption has no scene graph"
SAME_WORDS = "same words as the caption or another negative"
TRUE = "true of the picture"
NO_MORE = "no other one"


def make_negatives(
    caption: Caption,
    rng: np.random.Generator,
    settings: NegativeSettings,
    *,
    vocabulary: Vocabulary | None = None,
    known: Sequence[Known] = (),
    entries: Sequence[Listed] = (),
    counts: Counter[tuple[str, ...]] | None = None,
) -> list[Negative]:
    """Make `settings.count` negatives of a caption.

    They differ from the caption and from each other in more than case, and none is true
    according to the caption's own graph or another that is known. None shouts (see `quiet`).

    Args:
        caption: a text and its graph, without which only words can be shuffled. Spans of different
            parts must not overlap.
        rng: all randomness comes from here.
        settings: which kinds, and how many.
        vocabulary: for the kinds that replace words.
        known: what else is true of the picture, in the same names as the caption's graph; what one
            of these says by itself is true.
        entries: what a list has of the caption, for the kinds that are listed.
        counts: where to count (kind, MADE), or (kind, reason) for each kind that made none or no
            more.

    Returns:
        The valid ones, then the invalid ones, which say why there are no more; with `one_of_each`
        each in the place of its kind.

    Raises:
        ConfigError: words should be replaced, and there is no vocabulary.
    """
    if (text := quiet(caption.text)) is not caption.text:
        caption = Caption(text, caption.graph)
    counts = Counter() if counts is None else counts
    random = FastRandom(rng, block=16)
    judge = _Judge(caption, known)
    drafts = _drafts(caption, random, settings, vocabulary, entries)
    reasons: dict[str, str] = {}

    def next_of(kind: str) -> Negative | None:
        for negative in drafts[kind]:
            reason = judge.objection(negative)
            reasons[kind] = reason or NO_MORE
            if reason is None:
                counts[negative.kind, MADE] += 1
                return negative
        blind = caption.graph is None and (kind in SWAPS or kind in REPLACEMENTS)
        reasons.setdefault(kind, NO_GRAPH if blind else LACKS[kind])
        counts[kind, reasons[kind]] += 1
        return None

    if settings.one_of_each:
        return [
            next_of(kind) or Negative("", None, "", f"{kind}: {reasons[kind]}") for kind in drafts
        ]
    return _by_weight(next_of, list(drafts), settings, random, reasons)


def _by_weight(
    next_of: Callable[[str], Negative | None],
    kinds: list[str],
    settings: NegativeSettings,
    random: FastRandom,
    reasons: Mapping[str, str],
) -> list[Negative]:
    """Ask kinds, drawn by weight, until there are enough negatives or no kind has any more."""
    negatives: list[Negative] = []
    while kinds and len(negatives) < settings.count:
        kind = _draw(settings.kinds, kinds, random)
        if negative := next_of(kind):
            negatives.append(negative)
        else:
            kinds.remove(kind)
    missing = settings.count - len(negatives)
    if missing:
        why = "; ".join([f"{kind}: {reason}" for kind, reason in reasons.items()])
        negatives += [Negative("", None, "", why)] * missing
    return negatives


class _Judge:
    """Says what speaks against a negative of one caption."""

    def __init__(self, caption: Caption, known: Sequence[Known]) -> None:
        self._texts = [caption.text.lower()]
        self._truth = Truth(*known) if caption.graph is None else Truth(caption.graph, *known)

    def objection(self, negative: Negative) -> str | None:
        """Return the reason to refuse a negative; None takes it, and refuses its like from now."""
        text = negative.text.lower()
        if text in self._texts:
            return SAME_WORDS
        if negative.graph is not None and self._truth.holds(negative.graph):
            return TRUE
        self._texts.append(text)
        return None


def _drafts(
    caption: Caption,
    random: FastRandom,
    settings: NegativeSettings,
    vocabulary: Vocabulary | None,
    entries: Sequence[Listed],
) -> dict[str, Iterator[Negative]]:
    text, graph = caption
    drafts: dict[str, Iterator[Negative]] = {}
    for kind in sorted(settings.kinds):  # as configs sort them
        if kind in SHUFFLES:
            drafts[kind] = SHUFFLES[kind](text, graph, random)
        elif kind in LISTED:
            drafts[kind] = listed(entries, kind, random)
        elif graph is None:
            drafts[kind] = iter(())
        elif kind in SWAPS:
            drafts[kind] = SWAPS[kind](text, graph, random, agreement=settings.agreement)
        elif vocabulary is None:
            raise ConfigError(f"negatives of the kind {kind} need a vocabulary")
        else:
            palette = Palette(vocabulary, settings.sibling_share)
            drafts[kind] = REPLACEMENTS[kind](text, graph, random, palette)
    return drafts


def _draw(weights: dict[str, float], kinds: list[str], random: FastRandom) -> str:
    """Draw one of the kinds that are left, by weight."""
    if len(kinds) > 1:
        rest = random.uniform() * sum([weights[kind] for kind in kinds])
        for kind in kinds:
            rest -= weights[kind]
            if rest < 0:
                return kind
    return kinds[-1]
