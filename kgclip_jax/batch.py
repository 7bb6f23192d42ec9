"""What flows from the pipeline to the objectives, and the legend of axis letters.

A batch is a dict of named streams; a stream is any pytree of blocks of rows. The inputs of towers
are marked nodes, `Images` and `Texts`; every other leaf is side data (ids, masks, labels). Each
leaf has its rows in front, as many as its block has, on all hosts together; what has no rows is a
constant of the step. `kgclip_jax.models.encode` puts `Features` where the inputs were.

Axis letters in shapes and einsum strings:

    b  pairs of a batch           n  tokens (patches or word pieces)   d  features
    h  attention heads            k  negative texts per image          l  stacked transformer blocks
    r  rows of a block            s  triples of a text                 w  width of a tower
    t  texts of a pair: its caption, then its negatives
    e  tokens of a triple's element (subject, relation or object)

Images are channels last: (b, height, width, 3). Everything here is NumPy in the pipeline and JAX in
the step.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from jaxtyping import Bool, Float32, Int32, UInt8, UInt32

Batch = Mapping[str, Any]  # the pytree of each stream, by its name


class Images(NamedTuple):
    """Pictures for the image tower."""

    pixels: UInt8[Any, "*r height width 3"]


class Triples(NamedTuple):
    """The scene graphs of texts as (subject, relation, object) triples, relations first."""

    tokens: Int32[Any, "*r s 3 e"]  # -1 where an element has no more
    mask: Bool[Any, "*r s"]  # False: there is none, and the tokens mean nothing


class Texts(NamedTuple):
    """Texts for the text tower, in slots of rows that are cut to one length each.

    Attributes:
        tokens: of each slot, (r, n) or, with several texts a row, (r, k, n); the rows of the block
            are those of all slots, put together by `concat_rows`.
        triples: of all rows of the block, or None where no scene graphs are read.
    """

    tokens: tuple[Int32[Any, "*r n"], ...]
    triples: Triples | None = None


class Features(NamedTuple):
    """What a tower made of `Images` or `Texts`.

    Attributes:
        pooled: the embedding, float32: of unit length, but for what a knowledge encoder adds.
        tokens: the un-pooled tokens after the last norm, in the dtype of activations; shorter slots
            of texts are filled up.
        visible: which of these tokens mean something; None for all.
        plain: the embedding without a knowledge encoder's part.
    """

    pooled: Float32[Any, "*r d"]
    tokens: Any
    visible: Bool[Any, "*r n"] | None
    plain: Float32[Any, "*r d"]


class Pairs(NamedTuple):
    """Captioned pictures: what the stream of kind `captions` gives."""

    image: Images | Features
    text: Texts | Features
    ids: Int32[Any, "b 2"]  # (hash of the text, key of the picture); -1: unknown
    negatives: Texts | Features | None  # k wrong texts a pair
    negative_mask: Bool[Any, "b k"] | None  # False: there is none, and the tokens mean nothing
    negative_ids: Int32[Any, "b k"] | None  # hash of each negative's text
    tables: Mapping[str, Any] | None = None  # the rows of each side table, by its name


class TextBlock(NamedTuple):
    """Texts without pictures: the stream of kind `texts`."""

    text: Texts | Features
    tables: Mapping[str, Any] | None  # as in `Pairs`


class TripletBlock(NamedTuple):
    """Triples of a knowledge graph whose ends have one modality each.

    The stream of kind `triplets` gives a dict of them: image_image, image_text, text_image and
    text_text, by what stands for the head and for the tail.
    """

    head: Any  # Images or Texts, then Features
    relation: Any  # Texts, then Features
    tail: Any
    ids: Int32[Any, "b 3"]  # of head, relation and tail
    asks_head: Bool[Any, " b"]  # which end is to be found from the rest
    seeds: UInt32[Any, "b 2"]  # for drop path


class EntityBlock(NamedTuple):
    """Entities of a knowledge graph and edges between them: the stream of kind `neighbourhoods`.

    Edges lead from each entity to neighbours, which are rows of the block on all hosts together.
    """

    entity: Images | Texts | Features
    is_root: Bool[Any, " m"]
    neighbours: Int32[Any, "m k"]
    relations: Int32[Any, "m k"]
    edge_mask: Bool[Any, "m k"]  # False: there is no edge
    seeds: UInt32[Any, "m 2"]  # for drop path


class EdgeBlock(NamedTuple):
    """Triples by number alone, and wrong ends for each: the stream of kind `edges`."""

    ids: Int32[Any, "b 3"]  # of head, relation and tail
    negatives: Int32[Any, "b k"]  # entities
    of_head: Bool[Any, "b k"]  # each takes the head's place, or else the tail's
    negative_mask: Bool[Any, "b k"]  # False: there is none, and the entity means nothing


class LabelledBlock(NamedTuple):
    """Items with labels: the stream of kind `labelled`."""

    image: Images | Features | None  # None: texts alone
    texts: tuple[Texts | Features, ...]  # one, or two
    labels: Int32[Any, "b k"]  # classes that are right; -1: no more
    scores: Float32[Any, "b k"]  # how right; of a number that is to be told, that number
