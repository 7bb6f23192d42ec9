"""Scene graphs as token ids, for the knowledge encoder."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Int32

from kgclip_jax.data.tokenization.settings import TokenizerSettings, make_tokenizer
from kgclip_jax.errors import ConfigError
from kgclip_jax.knowledge.scene_graph import SceneGraph
from kgclip_jax.knowledge.triples import to_triples
from kgclip_jax.models import spec
from kgclip_jax.types import Tokenizer, Triples

_REMEMBERED = 100_000  # elements; there are few different ones


@dataclass
class TripleTokenizer:
    """Turns scene graphs into the tokens of their first triples. It pickles without its memory.

    Attributes:
        tokenizer: of elements; its context length is that of an element.
        slots: triples of a text.
        whole: whether the padding of a short element counts as its tokens (as BERT's does for
            Structure-CLIP's released code).
    """

    tokenizer: Tokenizer
    slots: int
    whole: bool
    _known: dict[str, Int32[np.ndarray, " e"]] = field(default_factory=dict, repr=False)

    def __reduce__(self) -> tuple[type["TripleTokenizer"], tuple[Tokenizer, int, bool]]:
        return TripleTokenizer, (self.tokenizer, self.slots, self.whole)

    def __call__(self, graphs: Sequence[SceneGraph | None]) -> Triples:
        """Return the triples of some texts, relations first; a text without a graph has none."""
        texts = [[] if graph is None else to_triples(graph)[: self.slots] for graph in graphs]
        self._learn({element for triples in texts for triple in triples for element in triple})
        shape = (len(texts), self.slots, 3, self.tokenizer.context_length)
        tokens, mask = np.full(shape, -1, np.int32), np.zeros(shape[:2], bool)
        for row, triples in enumerate(texts):
            for slot, triple in enumerate(triples):
                tokens[row, slot] = [self._known[element] for element in triple]
                mask[row, slot] = True
        return Triples(tokens, mask)

    def _learn(self, elements: set[str]) -> None:
        new = sorted(elements - self._known.keys())
        if not new:
            return
        if len(self._known) > _REMEMBERED:
            self._known.clear()
            new = sorted(elements)
        tokens = self.tokenizer(new)
        if not self.whole:
            beyond = np.arange(tokens.shape[1]) >= self.tokenizer.lengths(tokens)[:, None]
            tokens = np.where(beyond, np.int32(-1), tokens)
        self._known.update(zip(new, tokens, strict=True))


def triple_tokenizer(
    knowledge: spec.KnowledgeEncoder | None,
    text: TokenizerSettings,
    elements: TokenizerSettings | None,
) -> TripleTokenizer | None:
    """Return what makes the input of a knowledge encoder, or None where there is no such encoder.

    Args:
        knowledge: the encoder.
        text: the tokenizer of the text tower.
        elements: that of word pieces, for an encoder that reads them.

    Raises:
        ConfigError: elements are too short for the tokenizer, or it has more ids than the encoder.
        DataError: its file cannot be read.
    """
    if knowledge is None:
        return None
    tokenizer = make_tokenizer(text if elements is None else elements, knowledge.element_length)
    if knowledge.vocabulary is not None and knowledge.vocabulary < tokenizer.vocabulary_size:
        raise ConfigError(
            f"config.model.knowledge.vocabulary {knowledge.vocabulary} is smaller than the element "
            f"tokenizer's {tokenizer.vocabulary_size}"
        )
    return TripleTokenizer(tokenizer, knowledge.triples, whole=knowledge.elements == "wordpiece")
