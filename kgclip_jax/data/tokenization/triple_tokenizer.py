"""Scene graphs as token ids, for the knowledge encoder.

A triple is made of the words of its text, not of the names that its graph has for them: the encoder
is told how words belong together and, by `converses`, which relations are the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int32

from kgclip_jax.batch import Triples
from kgclip_jax.data.tokenization.tokenizer_config import (
    Tokenizer,
    Tokenizers,
    make_tokenizer,
)
from kgclip_jax.errors import ConfigError
from kgclip_jax.knowledge.caption import Text
from kgclip_jax.knowledge.converses import Converses, canonical
from kgclip_jax.knowledge.triples import Triple, to_triples

_REMEMBERED = 100_000  # elements; there are few different ones


@runtime_checkable
class TripleReader(Protocol):
    """What a knowledge encoder reads, as `kgclip_jax.models.spec.KnowledgeEncoder` says it."""

    @property
    def triples(self) -> int:
        """Most triples of a text."""
        ...

    @property
    def element_length(self) -> int:
        """Tokens of a subject, relation or object."""
        ...

    @property
    def elements(self) -> str:
        """Whose tokens they are: "text", the text tower's, or "wordpiece"."""
        ...

    @property
    def vocabulary(self) -> int | None:
        """Number of token ids, for word pieces."""
        ...

    @property
    def converses(self) -> Converses:
        """Relations that are read by canonical names."""
        ...


@dataclass
class TripleTokenizer:
    """Turns scene graphs into the tokens of their first triples. It pickles without its memory.

    Attributes:
        tokenizer: of elements; its context length is that of an element.
        slots: triples of a text.
        whole: whether the padding of a short element counts as its tokens (as BERT's does for
            Structure-CLIP's released code).
        converses: relations that are told by canonical names, see `knowledge.converses`.
    """

    tokenizer: Tokenizer
    slots: int
    whole: bool
    converses: Converses = ()
    _known: dict[str, Int32[np.ndarray, " e"]] = field(default_factory=dict, repr=False)

    @property
    def rules(self) -> tuple[str, int, bool, Converses]:
        """What decides on the tokens: equal for tokenizers that write the same."""
        return self.tokenizer.fingerprint, self.slots, self.whole, self.converses

    def __reduce__(self) -> tuple[type["TripleTokenizer"], tuple[Tokenizer, int, bool, Converses]]:
        return TripleTokenizer, (self.tokenizer, self.slots, self.whole, self.converses)

    def __call__(self, texts: Sequence[Text]) -> Triples:
        """Return the triples of some texts, relations first; a text without a graph has none."""
        spoken = [self._triples(text) for text in texts]
        known = self._tokens(
            {element for triples in spoken for triple in triples for element in triple}
        )
        shape = (len(texts), self.slots, 3, self.tokenizer.context_length)
        tokens, mask = np.full(shape, -1, np.int32), np.zeros(shape[:2], bool)
        for row, triples in enumerate(spoken):
            for slot, triple in enumerate(triples):
                tokens[row, slot] = [known[element] for element in triple]
                mask[row, slot] = True
        return Triples(tokens, mask)

    def _triples(self, text: Text) -> list[Triple]:
        if isinstance(text, str) or text.graph is None:
            return []
        triples = to_triples(text.graph, text.text)[: self.slots]
        return canonical(triples, self.converses)

    def _tokens(self, elements: set[str]) -> Mapping[str, Int32[np.ndarray, " e"]]:
        """Return the tokens of at least these; threads may fill the memory side by side."""
        known = self._known
        if len(known) > _REMEMBERED:
            self._known = known = {}
        new = sorted(element for element in elements if element not in known)
        if new:
            tokens = self.tokenizer(new)
            if not self.whole:
                beyond = np.arange(tokens.shape[1]) >= self.tokenizer.lengths(tokens)[:, None]
                tokens = np.where(beyond, np.int32(-1), tokens)
            known.update(zip(new, tokens, strict=True))
        return known


def triple_tokenizer(
    knowledge: TripleReader | None, tokenizers: Tokenizers
) -> TripleTokenizer | None:
    """Return what makes the input of a knowledge encoder, or None where there is no such encoder.

    Without a tokenizer of word pieces the encoder reads the text tower's.

    Raises:
        ConfigError: elements are too short for the tokenizer, or it has more ids than the encoder.
        DataError: its file cannot be read.
    """
    if knowledge is None:
        return None
    tokenizer = make_tokenizer(tokenizers.elements or tokenizers.text, knowledge.element_length)
    if knowledge.vocabulary is not None and knowledge.vocabulary < tokenizer.vocabulary_size:
        raise ConfigError(
            f"config.model.knowledge.vocabulary {knowledge.vocabulary} is smaller than the element "
            f"tokenizer's {tokenizer.vocabulary_size}"
        )
    return TripleTokenizer(
        tokenizer,
        knowledge.triples,
        whole=knowledge.elements == "wordpiece",
        converses=knowledge.converses,
    )
