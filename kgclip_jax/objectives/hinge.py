"""Hinge losses on cosine similarities: the hardest of the batch, and negatives made on purpose.

They have no temperature. A similarity is x_i.y_j for an image embedding x_i and a text embedding
y_j, of any length; axis letters as in `pairs.py`.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int32

from kgclip_jax.objectives.objective import Losses
from kgclip_jax.objectives.pairs import (
    ABSENT,
    Candidates,
    Queries,
    candidates_of,
    compare,
    dots,
    equal_pairs,
    existing,
    queries_of,
)
from kgclip_jax.objectives.walk import fold


class _OfImages(NamedTuple):
    """What is known of the similarities of each image with the captions seen so far."""

    rival: Float[Array, " b"]  # the highest with another caption
    equal: Float[Array, " b"]  # captions left out


class _OfCaptions(NamedTuple):
    """What is known of the similarities of each caption with the images seen so far."""

    rival: Float[Array, " b"]  # the highest with another image
    total: Float[Array, " b"]
    number: Float[Array, " b"]  # of these


def _block(
    shared: tuple[()], queries: Queries, chunk: Candidates, seen: tuple[_OfImages, _OfCaptions]
) -> tuple[_OfImages, _OfCaptions]:
    del shared
    images, captions = seen
    logits, own, present, equal = compare(queries, chunk, jnp.ones(()))
    similarities, own, present = logits[..., 0], own[..., 0], present[..., 0]
    others = jnp.where(own, ABSENT, similarities)
    return (
        _OfImages(jnp.maximum(images.rival, jnp.max(others, axis=1)), images.equal + equal),
        _OfCaptions(
            jnp.maximum(captions.rival, jnp.max(others, axis=0)),
            captions.total + jnp.sum(similarities, axis=0, where=present),
            captions.number + jnp.sum(present, axis=0, dtype=jnp.float32),
        ),
    )


def hardest_negative_hinge(
    image: Float[Array, "b d"],
    text: Float[Array, "b d"],
    *,
    margin: float,
    ids: Int32[Array, "b 2"] | None = None,
    mild: Bool[Array, ""] | bool = False,
    chunk_size: int | None = None,
) -> Losses:
    """Each pair must beat its nearest wrong caption and its nearest wrong image by a margin.

        loss = 1/b sum_i [ relu(m + max_{j != i} x_i.y_j - x_i.y_i) + relu(m + g_i - x_i.y_i) ]
        g_i = max_{j != i} x_j.y_i, or, when mild, the mean over all j of x_j.y_i

    Sources: VSE++, Faghri et al. 2018, equation 6; Structure-CLIP's released code, which is mild in
    its first hundred steps. (A lone pair has no wrong caption or image: the max is minus infinity.)

    Args:
        image: Image embeddings.
        text: Caption embeddings, row i describes image i.
        margin: m.
        ids: Of each caption and its picture, -1 if unknown; captions and images of equal ids are
            left out of max and mean, but for the own pair. None: all are different.
        mild: Whether g_i is the mean.
        chunk_size: Captions compared at a time, see `walk.fold`.

    Returns:
        The loss, and as metric `equal_pairs` the share of comparisons left out because of equal
        ids. Both are float32.
    """
    pairs = dots(image, text[:, None])[:, 0]

    candidates = candidates_of(text, ids)
    unknown, zeros = jnp.full(len(image), ABSENT), jnp.zeros(len(image))
    images, captions = fold(
        _block,
        (),
        queries_of(image, ids),
        candidates,
        (_OfImages(unknown, zeros), _OfCaptions(unknown, zeros, zeros)),
        chunk_size=chunk_size,
    )
    rival = jnp.where(mild, captions.total / captions.number, captions.rival)
    loss = jnp.mean(
        jax.nn.relu(margin + images.rival - pairs) + jax.nn.relu(margin + rival - pairs)
    )
    return Losses(loss, equal_pairs(images.equal, candidates))


def negative_hinge(
    image: Float[Array, "b d"],
    text: Float[Array, "b d"],
    negatives: Float[Array, "b k d"],
    negative_mask: Bool[Array, "b k"],
    *,
    margin: float,
) -> Losses:
    """Each image must be nearer to its caption than to the wrong captions made of it, by a margin.

        loss = mean of relu(m - (x_i.y_i - x_i.n_ik)) over the negatives that exist; 0 without any

    Source: Structure-CLIP, Huang et al. 2024 (its L_hinge; in the released code `MarginLoss`).

    Args:
        image: Image embeddings.
        text: Caption embeddings.
        negatives: Embeddings of wrong captions, made from caption i in row i.
        negative_mask: False where a negative does not exist; its content is then irrelevant.
        margin: m.

    Returns:
        The loss, and as metric `negative_accuracy` the share of negatives that lie further from
        the image than its caption (a tie is a miss). All are float32.
    """
    pairs = dots(image, text[:, None])
    wrong = dots(image, existing(negatives, negative_mask))
    count = jnp.maximum(jnp.sum(negative_mask), 1)
    losses = jax.nn.relu(margin - (pairs - wrong))
    right = jnp.sum(pairs > wrong, where=negative_mask, dtype=jnp.float32)
    loss = jnp.sum(losses, where=negative_mask) / count
    return Losses(loss, {"negative_accuracy": right / count})
