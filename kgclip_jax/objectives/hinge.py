"""Hinge losses on cosine similarities: the hardest of the batch, and negatives made on purpose.

They have no temperature. A similarity is x_i.y_j for an image embedding x_i and a text embedding
y_j, of any length; axis letters as in `pairs.py`.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Int32

from kgclip_jax.objectives.objective import Losses
from kgclip_jax.objectives.pairs import (
    ABSENT,
    Candidates,
    candidates_of,
    compare,
    dots,
    equal_pairs,
    existing,
    fold,
)


class _Hardest(NamedTuple):
    """What is known of the similarities with the captions seen so far."""

    rival: Float[Array, " b"]  # each image's highest with another caption
    text_loss: Float[Array, ""]  # sum over captions
    equal: Int[Array, " b"]  # captions left out for each image


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
        chunk_size: Captions compared at a time, see `pairs.fold`.

    Returns:
        The loss, and as metric `equal_pairs` the share of comparisons left out because of equal
        ids. Both are float32.
    """
    pairs = dots(image, text[:, None])[:, 0]

    def add(sums: _Hardest, chunk: Candidates) -> _Hardest:
        comparison = compare(image, ids, chunk, jnp.ones(()))
        similarities, present = comparison.logits[..., 0], comparison.present[..., 0]
        own = comparison.own[..., 0]
        others = jnp.where(own, ABSENT, similarities)
        count = jnp.maximum(jnp.sum(present, axis=0), 1)  # padding has no images at all
        mean = jnp.sum(similarities, axis=0, where=present) / count
        rival = jnp.where(mild, mean, jnp.max(others, axis=0))
        losses = jax.nn.relu(margin + rival - jnp.sum(similarities, axis=0, where=own))
        return _Hardest(
            jnp.maximum(sums.rival, jnp.max(others, axis=1)),
            sums.text_loss + jnp.sum(losses, where=chunk.present[:, 0]),
            sums.equal + comparison.equal,
        )

    candidates = candidates_of(text, ids)
    batch = len(image)
    start = _Hardest(jnp.full(batch, ABSENT), jnp.zeros(()), jnp.zeros(batch, int))
    hardest = fold(add, start, candidates, chunk_size)
    image_loss = jnp.sum(jax.nn.relu(margin + hardest.rival - pairs))
    loss = (image_loss + hardest.text_loss) / batch
    return Losses(loss, equal_pairs(hardest.equal, candidates))


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
