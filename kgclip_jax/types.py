"""The structures that flow between rooms, and the legend of axis letters.

Axis letters in shapes and einsum strings:

    b  pairs of a batch           n  tokens (patches or word pieces)   d  features
    h  attention heads            k  negative texts per image          l  stacked transformer blocks
    t  texts of a pair: its caption, then its negatives                s  triples of a text
    e  tokens of a triple's element (subject, relation or object)

Images are channels last: (b, height, width, 3). Arrays are NumPy's in the pipeline and JAX's in the
step, which is why shapes stand with `Any`: JAX is not imported here.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Int, Int32, UInt8

from kgclip_jax.knowledge.scene_graph import SceneGraph


class NegativeTexts(NamedTuple):
    """Texts that are wrong on purpose: k made from the caption of each pair, where they exist."""

    tokens: Int32[Any, "b k n"]
    mask: Bool[Any, "b k"]  # False: there is none, and the tokens mean nothing


class Triples(NamedTuple):
    """The scene graphs of texts as (subject, relation, object) triples, relations first."""

    tokens: Int32[Any, "*texts s 3 e"]  # -1 where an element has no more
    mask: Bool[Any, "*texts s"]  # False: there is none, and the tokens mean nothing


class Batch(NamedTuple):
    """One step's image-text pairs, as they leave the pipeline (NumPy) and enter the step (JAX)."""

    images: UInt8[Any, "b height width 3"]
    tokens: Int32[Any, "b n"]
    negatives: NegativeTexts | None = None
    triples: Triples | None = None  # of each caption and its negatives: texts are "b t"


class PlainTexts(NamedTuple):
    """Texts as the text tower alone embeds them, whatever their scene graphs say."""

    text: Float[Any, "b d"]
    negatives: Float[Any, "b k d"] | None


class Embeddings(NamedTuple):
    """What the towers made of a batch; float32, rows of unit length.

    A knowledge encoder adds a vector of its weight's length to the rows of texts that have a scene
    graph; `plain` then holds them without it.
    """

    image: Float[Any, "b d"]
    text: Float[Any, "b d"]
    logit_scale: Float[Any, ""]  # the factor itself, not its logarithm
    logit_bias: Float[Any, ""]
    step: Int[Any, ""] | int = 0  # steps taken before this one
    negatives: Float[Any, "b k d"] | None = None
    negative_mask: Bool[Any, "b k"] | None = None
    plain: PlainTexts | None = None

    def without_graphs(self) -> "Embeddings":
        """Return the embeddings with texts as the text tower alone makes them."""
        if self.plain is None:
            return self
        return self._replace(text=self.plain.text, negatives=self.plain.negatives, plain=None)

    def required_negatives(self) -> tuple[Float[Any, "b k d"], Bool[Any, "b k"]]:
        """Return the negatives and their mask. Raises ValueError when the batch has none."""
        if self.negatives is None or self.negative_mask is None:
            raise ValueError("the batch has no negatives; set config.data.negatives")
        return self.negatives, self.negative_mask


class Losses(NamedTuple):
    """An objective's scalar loss and what it wants logged (scalars by name)."""

    loss: Float[Any, ""]
    metrics: dict[str, Float[Any, ""]]


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


class RetrievalSet(NamedTuple):
    """Images and captions; `owners[c]` is the index of the image that caption c describes."""

    name: str
    images: UInt8[np.ndarray, "images size size 3"]
    captions: Sequence[Text]
    owners: Int[np.ndarray, " captions"]


class ZeroShotSet(NamedTuple):
    """Images of known classes; their texts are templates ("a photo of {}") filled with names."""

    name: str
    images: UInt8[np.ndarray, "images size size 3"]
    labels: Int[np.ndarray, " images"]
    class_names: Sequence[str]
    templates: Sequence[str]


class CompositionSet(NamedTuple):
    """Pairs of pictures and captions of equal words: picture j of an item fits caption j alone."""

    name: str
    images: UInt8[np.ndarray, "items 2 size size 3"]
    captions: Sequence[tuple[Text, Text]]


@runtime_checkable
class Pictures(Protocol):
    """Pictures that are read when they are needed, because they are too many to hold."""

    def __len__(self) -> int: ...

    def batches(
        self,
    ) -> Iterator[tuple[UInt8[np.ndarray, "b size size 3"], Bool[np.ndarray, " b"]]]:
        """Read all pictures in their order, and tell which could be read (others are black).

        Raises DataError when too many cannot be read.
        """
        ...


class Question(NamedTuple):
    """One number of a suite: the share of decisions that come out right.

    A pair is (anchor, text); it is scored by the dot product of their embeddings, or, where the
    anchor is a text too, by their cosine. A decision is right when each of its right pairs scores
    strictly higher than the wrong pair in the same place.

    Attributes:
        metric: what tables call the number.
        right: pairs that fit. Decisions with fewer comparisons repeat one of them.
        wrong: pairs that do not.
        chance: expected share for scores without knowledge.
        clusters: decisions of one cluster depend on each other and are resampled together.
        groups: the number is the mean of the means of these groups; None for the plain mean.
        anchors: what the first index of a pair counts: pictures, or texts of the set.
        blind_to: what the blind row beneath keeps from the scorer; None for no such row.
    """

    metric: str
    right: Int[np.ndarray, "decisions comparisons 2"]
    wrong: Int[np.ndarray, "decisions comparisons 2"]
    chance: float
    clusters: Int[np.ndarray, " decisions"]
    groups: Int[np.ndarray, " decisions"] | None = None
    anchors: Literal["pictures", "texts"] = "pictures"
    blind_to: Literal["pictures", "texts"] | None = "pictures"


class ChoiceSet(NamedTuple):
    """Pictures, texts, and questions which of them belong together."""

    name: str
    pictures: Pictures
    texts: Sequence[Text]
    questions: Sequence[Question]


EvaluationSet = RetrievalSet | ZeroShotSet | CompositionSet | ChoiceSet


@runtime_checkable
class Encoder(Protocol):
    """Anything that embeds pictures and texts into one space; a pair's score is the dot product."""

    def encode_image(self, images: UInt8[np.ndarray, "b size size 3"]) -> Float[np.ndarray, "b d"]:
        """Embed pictures of the encoder's own size."""
        ...

    def encode_text(self, texts: Sequence[Text]) -> Float[np.ndarray, "b d"]:
        """Embed texts, with their scene graphs where the encoder reads them."""
        ...
