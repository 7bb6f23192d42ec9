"""What the objects, attributes and relations of a collection of captions are called, how often."""

from bisect import bisect
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable
from functools import lru_cache
from itertools import accumulate
from typing import Literal, NamedTuple

from kgclip_jax.knowledge.caption import Caption
from kgclip_jax.knowledge.english import PREPOSITIONS, plural, quiet, words_at
from kgclip_jax.knowledge.hierarchy import Hierarchy
from kgclip_jax.knowledge.scene_graph import SceneGraph
from kgclip_jax.random import FastRandom

Part = Literal["object", "attribute", "relation"]

_PRONOUNS = frozenset(("it", "its", "them", "their", "him", "his", "her"))
_NUMBERS = frozenset(
    (
        *("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
        *("several", "many", "few"),
    )
)


class Word(NamedTuple):
    """Words as they stand in a caption ("tiny", "men") and the name that a graph gives them."""

    words: str
    name: str


class Form(NamedTuple):
    """Words of one form can take each other's place without harm to the grammar."""

    part: Part
    shape: str


@lru_cache(2**16)
def form(part: Part, word: Word) -> Form:
    """Return the form of a word.

    Nouns: singular and plural. Attributes: see `attribute_shape`. Relations: prepositions, and
    verbs by their ending; with a pronoun among the words or without.
    """
    if part == "object":
        return Form(part, "plural" if plural(word.words, word.name) else "singular")
    if part == "attribute":
        return Form(part, attribute_shape(word.words))
    first, *rest = word.words.lower().split() or [""]
    if first in PREPOSITIONS:
        shape = "preposition"
    else:
        shape = next((e for e in ("ing", "ed", "s") if first.endswith(e)), "verb")
    return Form(part, f"{shape} with pronoun" if _PRONOUNS.intersection(rest) else shape)


@lru_cache(2**16)
def attribute_shape(words: str) -> str:
    """Tell numbers, present participles and other attributes apart.

    A number wants a plural ("two dogs"); what a thing is doing may stand anywhere behind it ("a
    dog in the snow, barking").
    """
    words = words.lower()
    if words.isdigit() or words in _NUMBERS:
        return "number"
    return "participle" if words.endswith("ing") else "other"


class Vocabulary:
    """The words of a collection of captions, by form and frequency. It pickles."""

    def __init__(self, captions: Iterable[Caption], hierarchy: Hierarchy | None = None) -> None:
        """Count the words that graphs point to; captions without a graph add none.

        Args:
            captions: all captions of the training data, or a fair sample of them.
            hierarchy: tells which names are siblings, and which may be true of one thing.
        """
        counts: defaultdict[Form, Counter[Word]] = defaultdict(Counter)
        for text, graph in captions:
            if graph is not None:
                for part, word in _mentions(quiet(text), graph):
                    counts[form(part, word)][word] += 1
        self._hierarchy = hierarchy or Hierarchy({})
        self._words: dict[Form, tuple[Word, ...]] = {}
        self._cumulative: dict[Form, tuple[int, ...]] = {}
        self._siblings: dict[Form, dict[str, tuple[Word, ...]]] = {}
        for shape, counter in counts.items():
            common = counter.most_common()
            self._words[shape] = tuple(word for word, _ in common)
            self._cumulative[shape] = tuple(accumulate(count for _, count in common))
            self._siblings[shape] = _siblings(self._words[shape], self._hierarchy)

    def __len__(self) -> int:
        return sum(map(len, self._words.values()))

    @property
    def with_siblings(self) -> int:
        """How many names of a form have siblings of that form."""
        return sum(map(len, self._siblings.values()))

    def words(self, shape: Form) -> tuple[Word, ...]:
        """Return all words of a form, the commonest first."""
        return self._words.get(shape, ())

    def siblings(self, shape: Form, name: str) -> tuple[Word, ...]:
        """Return words of a form for the siblings of a name in the hierarchy."""
        return self._siblings.get(shape, {}).get(name, ())

    def draw(self, shape: Form, random: FastRandom) -> Word:
        """Draw a word of a form by frequency. Raises KeyError when there is none."""
        cumulative = self._cumulative[shape]
        return self._words[shape][bisect(cumulative, random.below(cumulative[-1]))]

    def may_agree(self, name: str, others: Collection[str]) -> bool:
        """Tell whether a thing of that name may have one of the other names too."""
        return self._hierarchy.may_agree(name, others)


def _mentions(text: str, graph: SceneGraph) -> Iterable[tuple[Part, Word]]:
    for name, attributes, span in graph.objects:
        if span is not None:
            yield "object", Word(words_at(text, span, name), name)
        for attribute, attribute_span in attributes:
            if attribute_span is not None:
                yield "attribute", Word(words_at(text, attribute_span, attribute), attribute)
    for _, predicate, _, span in graph.relations:
        if span is not None:
            yield "relation", Word(words_at(text, span, predicate), predicate)


def _siblings(words: Iterable[Word], hierarchy: Hierarchy) -> dict[str, tuple[Word, ...]]:
    """Find the siblings of each name among words of one form; one word, the commonest, a name."""
    commonest: dict[str, Word] = {}
    for word in words:
        commonest.setdefault(word.name, word)
    found = {
        name: tuple(commonest[s] for s in hierarchy.siblings(name) if s in commonest)
        for name in commonest
    }
    return {name: siblings for name, siblings in found.items() if siblings}
