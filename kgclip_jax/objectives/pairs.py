"""Compare every image of the global batch with every text, a chunk of texts at a time.

A loss over all pairs needs b x b logits: 4 GiB at b = 32,768. Here a scan runs over chunks of c
captions and computes their logits again in the backward pass, so only O(b c) of them ever exist.
Everything is written for the global batch; sharding follows from the arguments under `jax.jit`.

A caption travels with its negatives. Axis letters beside the legend of `types.py`:

    c  captions of a chunk           t  texts of a caption: itself, then its k negatives
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

# The logit of a text that does not exist: its exp and softplus are 0, and being finite it never
# makes a gradient NaN.
ABSENT = -1e30

Carry = TypeVar("Carry")


class Texts(NamedTuple):
    """Captions with their negatives, and the image that each belongs to."""

    features: Float[Array, "c t d"]
    present: Bool[Array, "c t"]  # False: padding, or a caption without this negative
    owner: Int[Array, "c t"]  # index of the image that the text describes; -1: none


def gather_texts(
    text: Float[Array, "b d"],
    negatives: Float[Array, "b k d"] | None,
    negative_mask: Bool[Array, "b k"] | None,
) -> Texts:
    """Put each caption and its negatives side by side.

    Absent negatives become zeros, so that not even a NaN in them reaches a gradient.

    Raises:
        ValueError: a mask is given without negatives.
    """
    features = text[:, None]
    owner = jnp.arange(len(text))[:, None]
    present = jnp.ones_like(owner, bool)
    if negatives is not None:
        if negative_mask is None:
            negative_mask = jnp.ones(negatives.shape[:2], bool)
        negatives = jnp.where(negative_mask[..., None], negatives, 0)
        features = jnp.concatenate([features, negatives], axis=1)
        present = jnp.concatenate([present, negative_mask], axis=1)
        owner = jnp.pad(owner, [(0, 0), (0, negatives.shape[1])], constant_values=-1)
    elif negative_mask is not None:
        raise ValueError("negative_mask is given without negatives")
    return Texts(features, present, owner)


def compare(
    image: Float[Array, "b d"], texts: Texts, logit_scale: Float[Array, ""]
) -> tuple[Float[Array, "b c t"], Bool[Array, "b c t"]]:
    """Scaled dot product of each image with each text (else ABSENT), and whether they are a pair.

    Float32 for any input, with the products asked for in full precision: by default a GPU rounds
    their factors to 10 bits and a TPU to 7, which at a scale of 100 moves logits by up to 0.006
    and 0.06.
    """
    logits = jnp.einsum(
        "bd,ctd->bct",
        image.astype(jnp.float32),
        logit_scale * texts.features.astype(jnp.float32),
        precision=jax.lax.Precision.HIGHEST,
    )
    own = texts.owner == jnp.arange(len(image))[:, None, None]
    return jnp.where(texts.present, logits, ABSENT), own


def fold(
    body: Callable[[Carry, Texts], Carry], carry: Carry, texts: Texts, chunk_size: int | None
) -> Carry:
    """Run `carry = body(carry, chunk)` over chunks of at most `chunk_size` captions; None: one.

    The fewest chunks that suffice are made equally wide, and filled up with absent texts.

    Raises:
        ValueError: `chunk_size` is below 1.
    """
    if chunk_size is not None and chunk_size < 1:
        raise ValueError(f"chunk_size must be at least 1, got {chunk_size}")
    captions = len(texts.owner)
    count = 1 if chunk_size is None else -(-captions // chunk_size)
    if count == 1:
        return body(carry, texts)
    width = -(-captions // count)

    def split(array: Array, fill: int) -> Array:
        """Chunk j takes the rows j, j + count, j + 2 count, ...

        So each chunk has an equal share of every device's rows, and the scan slices an axis that
        is not sharded: devices gather one chunk at a time, never the whole batch.
        """
        padding = [(0, width * count - captions)] + [(0, 0)] * (array.ndim - 1)
        array = jnp.pad(array, padding, constant_values=fill)
        return array.reshape(width, count, *array.shape[1:]).swapaxes(0, 1)

    # Without recomputation the scan would save every chunk's logits, b x b again.
    @partial(jax.checkpoint, prevent_cse=False)
    def step(carry: Carry, chunk: Texts) -> tuple[Carry, None]:
        return body(carry, chunk), None

    chunks = Texts(split(texts.features, 0), split(texts.present, False), split(texts.owner, -1))
    return jax.lax.scan(step, carry, chunks)[0]


class Retrieval(NamedTuple):
    """How often images and captions find each other in the batch, over the chunks so far."""

    own: Float[Array, " b"]  # logit of each image with its own caption
    rival: Float[Array, " b"]  # its highest logit with any other text
    found: Int[Array, ""]  # captions whose own image beats all others

    @classmethod
    def start(cls, batch: int) -> "Retrieval":
        """Before the first chunk."""
        unknown = jnp.full(batch, ABSENT)
        return cls(own=unknown, rival=unknown, found=jnp.zeros((), int))

    def update(self, logits: Float[Array, "b c t"], own: Bool[Array, "b c t"]) -> "Retrieval":
        """Add a chunk, given what `compare` returns. No gradient flows."""
        logits = jax.lax.stop_gradient(logits)
        pairs = jnp.where(own, logits, ABSENT)
        rivals = jnp.where(own, ABSENT, logits)
        found = jnp.max(pairs[..., 0], axis=0) > jnp.max(rivals[..., 0], axis=0)
        return Retrieval(
            own=jnp.maximum(self.own, jnp.max(pairs, axis=(1, 2))),
            rival=jnp.maximum(self.rival, jnp.max(rivals, axis=(1, 2))),
            found=self.found + jnp.sum(found),
        )

    def metrics(self) -> dict[str, Float[Array, ""]]:
        """Share of images whose caption beats all other texts, negatives included, and of captions
        whose image beats all other images. A tie is a miss, so a collapsed model scores 0.
        """
        return {
            "image_to_text_accuracy": jnp.mean(self.own > self.rival, dtype=jnp.float32),
            "text_to_image_accuracy": self.found / len(self.own),
        }
