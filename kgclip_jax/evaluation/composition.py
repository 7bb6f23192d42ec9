"""Composition: can a model tell which of two captions of equal words fits which of two pictures?

Everything is decided by scores of shape (items, 2 pictures, 2 captions), where picture j of an item
fits caption j. The three decisions, and what a scorer without knowledge gets:

    text    one picture, two captions: s[j, j] > s[j, 1 - j]; both pictures are asked.    1/2
    image   one caption, two pictures: s[j, j] > s[1 - j, j]; both captions are asked.    1/2
    group   all four of an item are right.                                                1/6

The group score needs {s[0, 0], s[1, 1]} to be the upper two of four scores. If these are
independent and identically distributed, all 4! orders are equally likely and 2! 2! of them qualify:
1/6, as in Winoground (Thrush et al., CVPR 2022). Chance here depends on the kind of ignorance. Any
scorer that ignores one side gets 0; scores whose two differences are one coin
(s[0, 0] = s[1, 1] = -s[0, 1] = -s[1, 0]) get 1/2. 1/6 is the convention, not a bound. (Winoground's
own text and image scores ask for both decisions of an item at once; chance is 1/4 there.)

A tie is wrong. A scorer that never sees the picture prefers one caption of an item for both
pictures, so it gets exactly one of the two right (none, if it is undecided).
"""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float

from kgclip_jax.errors import DataError
from kgclip_jax.evaluation.bootstrap import bootstrap_mean
from kgclip_jax.evaluation.encoding import encode_texts
from kgclip_jax.evaluation.ranking import beats
from kgclip_jax.evaluation.result import Result
from kgclip_jax.types import CompositionSet, Encoder, words_of

TASK = "composition"
PAIR_CHANCE = 1 / 2
GROUP_CHANCE = 1 / 6

_OWN = [0, 1]
_OTHER = [1, 0]


def evaluate_composition(encoder: Encoder, data: CompositionSet) -> list[Result]:
    """Measure text accuracy, image accuracy and group score, with blind rows for the first two.

    The blind text row puts the mean picture embedding of the set in place of each picture, the
    blind image row the mean caption embedding in place of each caption. Intervals resample items.

    Raises:
        DataError: the set is empty or inconsistent.
    """
    check_composition_set(data)
    count = len(data.captions)
    pictures = data.images.reshape(2 * count, *data.images.shape[2:])
    images = encoder.encode_image(pictures).reshape(count, 2, -1)
    texts = [text for pair in data.captions for text in pair]
    captions = encode_texts(encoder, texts).reshape(count, 2, -1)
    return list(_rows(data.name, images, captions))


def _rows(
    name: str,
    images: Float[np.ndarray, "items 2 d"],
    captions: Float[np.ndarray, "items 2 d"],
) -> Iterator[Result]:
    seen = pair_scores(images, captions)
    no_picture = pair_scores(_mean_of_set(images), captions)
    no_caption = pair_scores(images, _mean_of_set(captions))
    yield _row(name, "text", text_correct(seen), PAIR_CHANCE)
    yield _row(name, "text", text_correct(no_picture), PAIR_CHANCE, blind=True)
    yield _row(name, "image", image_correct(seen), PAIR_CHANCE)
    yield _row(name, "image", image_correct(no_caption), PAIR_CHANCE, blind=True)
    yield _row(name, "group", group_correct(seen)[:, None], GROUP_CHANCE)


def _row(
    name: str,
    metric: str,
    correct: Bool[np.ndarray, "items decisions"],
    chance: float,
    blind: bool = False,
) -> Result:
    items = np.repeat(np.arange(len(correct)), correct.shape[1])
    rate = bootstrap_mean(correct.ravel(), items)
    return Result(TASK, name, metric, *rate, correct.size, chance, blind)


def _mean_of_set(embeddings: Float[np.ndarray, "items 2 d"]) -> Float[np.ndarray, "items 2 d"]:
    return np.broadcast_to(embeddings.mean(axis=(0, 1)), embeddings.shape)


def pair_scores(
    images: Float[np.ndarray, "items 2 d"], captions: Float[np.ndarray, "items 2 d"]
) -> Float[np.ndarray, "items 2 2"]:
    """Return the dot product of picture p and caption c of item i at [i, p, c]."""
    return np.einsum("ipd,icd->ipc", images, captions, dtype=np.float64)


def text_correct(scores: Float[np.ndarray, "items 2 2"]) -> Bool[np.ndarray, "items 2"]:
    """Tell for each picture whether its own caption beats the other one."""
    return beats(scores[:, _OWN, _OWN], scores[:, _OWN, _OTHER])


def image_correct(scores: Float[np.ndarray, "items 2 2"]) -> Bool[np.ndarray, "items 2"]:
    """Tell for each caption whether its own picture beats the other one."""
    return beats(scores[:, _OWN, _OWN], scores[:, _OTHER, _OWN])


def group_correct(scores: Float[np.ndarray, "items 2 2"]) -> Bool[np.ndarray, " items"]:
    """Tell for each item whether all four decisions are right."""
    return np.all(np.hstack([text_correct(scores), image_correct(scores)]), axis=1)


def check_composition_set(data: CompositionSet) -> None:
    """Refuse a set that cannot be evaluated.

    Raises:
        DataError: no items, unequal numbers of picture and caption pairs, or equal captions.
    """
    where = f"composition set {data.name!r}"
    if not len(data.captions):
        raise DataError(f"{where} is empty; it needs at least one item")
    if len(data.images) != len(data.captions):
        raise DataError(
            f"{where} has {len(data.images)} pairs of pictures "
            f"but {len(data.captions)} pairs of captions"
        )
    for index, (first, second) in enumerate(data.captions):
        if words_of(first) == words_of(second):
            raise DataError(f"{where}: both captions of item {index} are {words_of(first)!r}")
