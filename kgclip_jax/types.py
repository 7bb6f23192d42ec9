"""Texts, sources, tokenizers, encoders and evaluation sets: what rooms hand to each other."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int, Int32, UInt8

from kgclip_jax.knowledge.scene_graph import SceneGraph


class Caption(NamedTuple):
    """A caption and, where it is known, the scene graph whose spans point into its text."""

    text: str
    graph: SceneGraph | None = None


Text = str | Caption  # a bare text has no known scene graph


def words_of(text: Text) -> str:
    """Return the words of a text, without its graph."""
    return text if isinstance(text, str) else text.text


@runtime_checkable
class Source(Protocol):
    """Image-text records with random access. Everything random comes from the given generator."""

    name: str

    def __len__(self) -> int: ...

    def caption(self, index: int, rng: np.random.Generator) -> Caption:
        """Choose one caption of record `index`."""
        ...

    def graphs(self, index: int) -> Sequence[SceneGraph]:
        """Return what is known of record `index`: all that any of the graphs says is true."""
        ...

    def image(self, index: int, rng: np.random.Generator) -> UInt8[np.ndarray, "size size 3"]:
        """Read or render the picture of record `index`, augmented. Raises BadRecord."""
        ...

    def fingerprint(self) -> str:
        """Return a hash of what the records are, wherever they lie."""
        ...


@runtime_checkable
class Tokenizer(Protocol):
    """Turns texts into rows of token ids of one length. It pickles cheaply."""

    @property
    def context_length(self) -> int:
        """Tokens in a row."""
        ...

    @property
    def vocabulary_size(self) -> int:
        """Ids lie below it."""
        ...

    @property
    def fingerprint(self) -> str:
        """Hash of vocabulary and rules; equal fingerprints give equal ids."""
        ...

    @property
    def end_id(self) -> int | None:
        """The token that ends every text, or None where texts need not have one."""
        ...

    def __call__(self, texts: Sequence[str]) -> Int32[np.ndarray, "texts n"]:
        """Return the token ids of each text, cut or padded to `context_length`."""
        ...

    def lengths(self, tokens: Int[np.ndarray, "texts n"]) -> Int[np.ndarray, " texts"]:
        """Return how many tokens of each row matter to a causal tower."""
        ...
