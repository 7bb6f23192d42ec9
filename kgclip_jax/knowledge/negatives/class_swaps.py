"""Two words or phrases of one class change places: NegCLIP's negatives.

Yuksekgonul et al. (ICLR 2023) publish negatives and not their code. In those of their validation
pictures (4,839 captions, 1.5 each) two words of one tag of the Penn Treebank, drawn at random,
change places, or two noun phrases of at least three words; one swap of each class at most. Of verbs
only present participles do. By the tag, nouns change places in the singular or in the plural. As
there, articles are not repaired, and nothing is refused for being true all the same.
"""

from collections.abc import Iterator
from itertools import combinations

import numpy as np

from kgclip_jax.knowledge.parsing.tree import NOUNS, Tree
from kgclip_jax.knowledge.scene_graph import Span

CLASSES = ("NN", "NNS", "JJ", "RB", "VBG")
SHORTEST_PHRASE = 3  # words

_PHRASES = frozenset(
    ("nsubj", "nsubjpass", "dobj", "pobj", "attr", "appos", "dative", "ROOT", "conj")
)


def class_swaps(tree: Tree, text: str, rng: np.random.Generator) -> list[str]:
    """Return a swap of each class that has two different words or phrases.

    Args:
        tree: of the caption.
        text: the caption, with the capitals that the tree has not.
        rng: chooses the pair.
    """
    return [swaps[int(rng.integers(len(swaps)))] for swaps in every_class_swap(tree, text) if swaps]


def every_class_swap(tree: Tree, text: str) -> list[list[str]]:
    """Return all swaps of each class, of the noun phrases first."""
    groups = [
        [tree.spans[word] for word, tag in enumerate(tree.tags) if tag == wanted]
        for wanted in CLASSES
    ]
    return [
        [
            _exchanged(text, one, other)
            for one, other in combinations(spans, 2)
            if one.stop <= other.start and _at(text, one).lower() != _at(text, other).lower()
        ]
        for spans in (list(_phrases(tree)), *groups)
    ]


def _phrases(tree: Tree) -> Iterator[Span]:
    """Yield the noun phrases, from their first word to the noun, that are long enough."""
    for noun, tag in enumerate(tree.tags):
        if tag in NOUNS and tree.labels[noun] in _PHRASES:
            first = noun
            while before := [child for child in tree.children[first] if child < first]:
                first = before[0]
            if noun - first + 1 >= SHORTEST_PHRASE:
                yield tree.span(first, noun)


def _exchanged(text: str, one: Span, other: Span) -> str:
    between = text[one.stop : other.start]
    return text[: one.start] + _at(text, other) + between + _at(text, one) + text[other.stop :]


def _at(text: str, span: Span) -> str:
    return text[span.start : span.stop]
