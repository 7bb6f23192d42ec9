"""The structures that flow between rooms, and the legend of axis letters.

Axis letters in shapes and einsum strings:

    b  pairs of a batch           n  tokens (patches or word pieces)   d  features
    h  attention heads            k  negative texts per image          l  stacked transformer blocks
    t  texts of a pair: its caption, then its negatives                s  triples of a text
    e  tokens of a triple's element (subject, relation or object)

Images are channels last: (b, height, width, 3).
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Array, Bool, Float, Int, Int32, UInt8

from kgclip_jax.knowledge.scene_graph import SceneGraph


class NegativeTexts(NamedTuple):
    """Texts that are wrong on purpose: k made from the caption of each pair, where they exist."""

    tokens: Int32[Array | np.ndarray, "b k n"]
    mask: Bool[Array | np.ndarray, "b k"]  # False: there is none, and the tokens mean nothing


class Triples(NamedTuple):
    """The scene graphs of texts as (subject, relation, object) triples, relations first."""

    tokens: Int32[Array | np.ndarray, "*texts s 3 e"]  # -1 where an element has no more
    mask: Bool[Array | np.ndarray, "*texts s"]  # False: there is none, and the tokens mean nothing


class Batch(NamedTuple):
    """One step's image-text pairs, as they leave the pipeline (NumPy) and enter the step (JAX)."""

    images: UInt8[Array | np.ndarray, "b height width 3"]
    tokens: Int32[Array | np.ndarray, "b n"]
    negatives: NegativeTexts | None = None
    triples: Triples | None = None  # of each caption and its negatives: texts are "b t"


class PlainTexts(NamedTuple):
    """Texts as the text tower alone embeds them, whatever their scene graphs say."""

    text: Float[Array, "b d"]
    negatives: Float[Array, "b k d"] | None


class Embeddings(NamedTuple):
    """What the towers made of a batch; float32, rows of unit length.

    A knowledge encoder adds a vector of its weight's length to the rows of texts that have a scene
    graph; `plain` then holds them without it.
    """

    image: Float[Array, "b d"]
    text: Float[Array, "b d"]
    logit_scale: Float[Array, ""]  # the factor itself, not its logarithm
    logit_bias: Float[Array, ""]
    step: Int[Array, ""] | int = 0  # steps taken before this one
    negatives: Float[Array, "b k d"] | None = None
    negative_mask: Bool[Array, "b k"] | None = None
    plain: PlainTexts | None = None

    def without_graphs(self) -> "Embeddings":
        """Return the embeddings with texts as the text tower alone makes them."""
        if self.plain is None:
            return self
        return self._replace(text=self.plain.text, negatives=self.plain.negatives, plain=None)

    def required_negatives(self) -> tuple[Float[Array, "b k d"], Bool[Array, "b k"]]:
        """Return the negatives and their mask. Raises ValueError when the batch has none."""
        if self.negatives is None or self.negative_mask is None:
            raise ValueError("the batch has no negatives; set config.data.negatives")
        return self.negatives, self.negative_mask


class Losses(NamedTuple):
    """An objective's scalar loss and what it wants logged (scalars by name)."""

    loss: Float[Array, ""]
    metrics: dict[str, Float[Array, ""]]


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
