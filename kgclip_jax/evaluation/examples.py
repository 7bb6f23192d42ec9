"""What a model finds: the nearest pictures of a caption, the nearest captions of a picture."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from kgclip_jax.data.evaluation_sets import RetrievalSet
from kgclip_jax.evaluation.encoder import Encoder
from kgclip_jax.evaluation.retrieval import embed

SHOWN = 5


class Found(NamedTuple):
    """A candidate of a query: index in the set, rank (1 is nearest), score, rightness."""

    candidate: int
    rank: int
    score: float
    right: bool


class Examples(NamedTuple):
    """Queries with their five nearest candidates, and the best right one if it is not among them.

    `found_images` holds (caption index, pictures found), `found_captions` (image index, captions
    found); all indices point into `data`.
    """

    data: RetrievalSet
    found_images: tuple[tuple[int, tuple[Found, ...]], ...]
    found_captions: tuple[tuple[int, tuple[Found, ...]], ...]


def retrieval_examples(encoder: Encoder, data: RetrievalSet, count: int) -> Examples:
    """Look up `count` captions and `count` pictures, spread evenly over the set.

    The choice does not depend on the encoder, so two models show the same queries and neither shows
    its best ones. Fewer come back when the set is smaller. Pictures that cannot be read are left
    out.

    Raises:
        DataError: the set is empty or inconsistent, or too many pictures cannot be read.
    """
    images, captions, owners, image_numbers, caption_numbers = embed(encoder, data)
    places = np.arange(len(images))
    return Examples(
        data,
        tuple(
            (
                int(caption_numbers[c]),
                _find(images @ captions[c], places == owners[c], image_numbers),
            )
            for c in _spread(np.arange(len(captions)), count)
        ),
        tuple(
            (int(image_numbers[i]), _find(captions @ images[i], owners == i, caption_numbers))
            for i in _spread(np.unique(owners), count)
        ),
    )


def _spread(indices: Int[np.ndarray, " n"], count: int) -> Int[np.ndarray, " chosen"]:
    """Choose up to `count` indices at the middles of equal stretches."""
    count = min(count, len(indices))
    return indices[(2 * np.arange(count) + 1) * len(indices) // (2 * max(1, count))]


def _find(
    scores: Float[np.ndarray, " candidates"],
    right: Bool[np.ndarray, " candidates"],
    numbers: Int[np.ndarray, " candidates"],
) -> tuple[Found, ...]:
    order = np.lexsort((right, -scores))  # at equal scores the wrong ones come first
    best_right = int(np.argmax(right[order]))
    places = [*range(min(SHOWN, len(order)))]
    if best_right >= SHOWN:
        places.append(best_right)
    return tuple(
        Found(int(numbers[i]), place + 1, float(scores[i]), bool(right[i]))
        for place, i in zip(places, order[places], strict=True)
    )
