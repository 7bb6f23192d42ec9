"""A caption as a dependency tree: each word with its part of speech and the word it depends on."""

from collections.abc import Sequence

from kgclip_jax.knowledge.english import plain_words
from kgclip_jax.knowledge.scene_graph import Span

NOUNS = frozenset({"NN", "NNS", "NNP", "NNPS"})
VERBS = frozenset({"VB", "VBD", "VBG", "VBN", "VBP", "VBZ"})
ADVERBS = frozenset({"RB", "RBR", "RP"})


class Tree:
    """The words of a caption, numbered from 0; punctuation marks are words too.

    Attributes:
        text: the caption.
        words: in lower case.
        tags: parts of speech, as in the Penn Treebank ("NNS": a noun in the plural).
        labels: what each word is to its head, in the scheme of spaCy's English models ("dobj").
        heads: the word that each one depends on; a root is its own head.
        spans: where each word stands in the caption.
        children: the words that depend on each one, from left to right.
        things: whether a word stands for an object, as far as `nouns.is_thing` was asked.
    """

    __slots__ = ("children", "heads", "labels", "spans", "tags", "text", "things", "words")

    def __init__(
        self,
        text: str,
        tags: Sequence[str],
        labels: Sequence[str],
        heads: Sequence[int],
        spans: Sequence[Span],
    ) -> None:
        self.text = text
        self.words = [text[start:stop].lower() for start, stop in spans]
        self.tags = tags
        self.labels = labels
        self.heads = heads
        self.spans = spans
        self.things: dict[int, bool] = {}
        self.children: list[list[int]] = [[] for _ in heads]
        for word, head in enumerate(heads):
            if head != word:
                self.children[head].append(word)

    def labelled(self, head: int, *labels: str) -> list[int]:
        """Return the children of a word that have one of these labels."""
        return [child for child in self.children[head] if self.labels[child] in labels]

    def span(self, first: int, last: int) -> Span:
        """Return where the words from `first` to `last`, inclusive, stand in the caption."""
        return Span(self.spans[first].start, self.spans[last].stop)

    def phrase(self, first: int, last: int) -> str:
        """Return the words from `first` to `last` as they are written, but in lower case."""
        start, stop = self.span(first, last)
        return plain_words(self.text[start:stop])

    def joined(self, word: int) -> bool:
        """Tell whether a word follows the one before it without a space, as in "t-shirt"."""
        return word > 0 and self.spans[word - 1].stop == self.spans[word].start
