"""Images and texts side by side: which texts are candidates for which images, and their logits.

A loss over all pairs of the global batch compares a block of them at a time, see `walk.py`.

A caption travels with its negatives, and each text with its ids: batches of pictures with several
captions, or of captions that recur, hold further true pairs beside the diagonal, which are neither
positives nor negatives. Axis letters beside the legend of `batch.py`:

    c  captions of a chunk           t  texts of a caption: itself, then its k negatives
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int32

from kgclip_jax.batch import Pairs
from kgclip_jax.errors import ConfigError

# The logit of a text that does not exist: its exp and softplus are 0, and being finite it never
# makes a gradient NaN.
ABSENT = -1e30
UNKNOWN = -1


def require_negatives(rows: Pairs, stream: str) -> None:
    """Raise ConfigError unless the pairs of a stream have negatives."""
    if rows.negatives is None:
        raise ConfigError(
            f"stream {stream!r} has no negatives; set config.streams.{stream}.negatives"
        )


def existing(
    negatives: Float[Array, "b k d"], negative_mask: Bool[Array, "b k"]
) -> Float[Array, "b k d"]:
    """Zeros for absent negatives, so that not even a NaN in them reaches a gradient."""
    return jnp.where(negative_mask[..., None], negatives, 0)


def dots(x: Float[Array, "b d"], y: Float[Array, "b k d"]) -> Float[Array, "b k"]:
    """Products of each row with its own k others, in full float32 as in `products`."""
    x, y = x.astype(jnp.float32), y.astype(jnp.float32)
    return jnp.einsum("bd,bkd->bk", x, y, precision=jax.lax.Precision.HIGHEST)


class Queries(NamedTuple):
    """Images.

    Attributes:
        features: the embeddings.
        facts: of each image's own caption, as those of `Candidates`.
    """

    features: Float[Array, "b d"]
    facts: Int32[Array, "b 4"]


def queries_of(image: Float[Array, "b d"], ids: Int32[Array, "b 2"] | None = None) -> Queries:
    """Put each image and what is known of its caption side by side."""
    return Queries(image, _facts(ids, len(image)))


class Candidates(NamedTuple):
    """Captions with their negatives, in two arrays, so that passing them on takes two collectives.

    Attributes:
        features: the embeddings.
        facts: of each text, whether it is there at all (1), the index of the image whose caption it
            is, its text id, and the id of the picture that it describes. -1 where there is none, or
            it is unknown.
    """

    features: Float[Array, "c t d"]
    facts: Int32[Array, "c t 4"]

    @property
    def present(self) -> Bool[Array, "c t"]:
        """False: padding, or a caption without this negative."""
        return self.facts[..., 0] == 1


def candidates_of(
    text: Float[Array, "b d"],
    ids: Int32[Array, "b 2"] | None = None,
    negatives: Float[Array, "b k d"] | None = None,
    negative_mask: Bool[Array, "b k"] | None = None,
    negative_ids: Int32[Array, "b k"] | None = None,
) -> Candidates:
    """Put each caption and its negatives side by side; negatives describe no known picture.

    Raises:
        ValueError: a mask or ids of negatives are given without negatives.
    """
    facts = _facts(ids, len(text))[:, None]
    if negatives is None:
        if negative_mask is not None or negative_ids is not None:
            raise ValueError("negative_mask or negative_ids is given without negatives")
        return Candidates(text[:, None], facts)
    if negative_mask is None:
        negative_mask = jnp.ones(negatives.shape[:2], bool)
    none = jnp.full(negatives.shape[:2], -1, jnp.int32)
    hashes = none if negative_ids is None else negative_ids
    negative_facts = jnp.stack([negative_mask.astype(jnp.int32), none, hashes, none], axis=-1)
    return Candidates(
        jnp.concatenate([text[:, None], existing(negatives, negative_mask)], axis=1),
        jnp.concatenate([facts, negative_facts], axis=1),
    )


@jax.custom_vjp
def products(x: Float[Array, "b d"], y: Float[Array, "c t d"]) -> Float[Array, "b c t"]:
    """Dot product of each row with each text.

    Float32 for any input, with factors in full precision: by default a GPU rounds them to 10 bits
    and a TPU to 7, which at a scale of 100 moves logits by up to 0.006 and 0.06. Nothing enlarges
    the errors of a gradient, so that its products are computed as all others are: factors of 7 bits
    change it by 0.2 to 0.5 % (of 1,024 made-up pairs), as rounding it for towers in bfloat16 does.
    """
    x, y = x.astype(jnp.float32), y.astype(jnp.float32)
    return jnp.einsum("bd,ctd->bct", x, y, precision=jax.lax.Precision.HIGHEST)


def _products_forward(x: Array, y: Array) -> tuple[Array, tuple[Array, Array]]:
    return products(x, y), (x, y)


def _products_backward(factors: tuple[Array, Array], gradient: Array) -> tuple[Array, Array]:
    x, y = factors
    of_x = jnp.einsum("bct,ctd->bd", gradient, y.astype(jnp.float32))
    of_y = jnp.einsum("bct,bd->ctd", gradient, x.astype(jnp.float32))
    return of_x.astype(x.dtype), of_y.astype(y.dtype)


products.defvjp(_products_forward, _products_backward)


class Comparison(NamedTuple):
    """All images beside the texts of a chunk."""

    logits: Float[Array, "b c t"]  # ABSENT where the text is no candidate for the image
    own: Bool[Array, "b c t"]  # whether they are a pair
    present: Bool[Array, "b c t"]  # whether the text is a candidate; an image's own caption is
    equal: Float[Array, " b"]  # how many are none for an image because of their ids


def compare(queries: Queries, candidates: Candidates, logit_scale: Float[Array, ""]) -> Comparison:
    """Scaled dot product of each image with each of its candidates.

    A text is left out for an image if it equals the image's caption or describes the same picture,
    as told by their ids, unless it is that very caption.
    """
    logits = products(queries.features, logit_scale * candidates.features)
    # The facts are compared before they are told apart, so that devices gather them in one piece.
    mine = queries.facts[:, None, None]
    same = (candidates.facts == mine) & (mine != UNKNOWN)
    there, own, same_text, same_picture = (same[..., fact] for fact in range(4))
    equal = (same_text | same_picture) & there & ~own
    present = there & ~equal
    count = jnp.sum(equal, axis=(1, 2), dtype=jnp.float32)
    return Comparison(jnp.where(present, logits, ABSENT), own, present, count)


def _facts(ids: Int32[Array, "b 2"] | None, batch: int) -> Int32[Array, "b 4"]:
    """The facts of each image's own caption."""
    if ids is None:
        ids = jnp.full((batch, 2), UNKNOWN, jnp.int32)
    index = jnp.arange(batch, dtype=jnp.int32)
    return jnp.stack([jnp.ones_like(index), index, *ids.T], axis=-1)


def equal_pairs(equal: Float[Array, " b"], candidates: Candidates) -> dict[str, Float[Array, ""]]:
    """Share of all comparisons but those of own pairs that were left out because of equal ids.

    Args:
        equal: of each image, summed over the chunks.
        candidates: of the whole batch.
    """
    texts = jnp.sum(candidates.present, dtype=jnp.float32)  # a product of integers would overflow
    others = len(equal) * (texts - 1)
    return {"equal_pairs": jnp.sum(equal) / jnp.maximum(others, 1)}
