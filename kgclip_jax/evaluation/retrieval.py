"""Text-to-image and image-to-text recall over all pictures and captions of a set."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from kgclip_jax.data.evaluation_sets import RetrievalSet
from kgclip_jax.errors import DataError
from kgclip_jax.evaluation.encoder import Encoder, encode_pictures, encode_texts
from kgclip_jax.evaluation.ranking import best_ranks
from kgclip_jax.evaluation.result import Result, measured

TASK = "retrieval"
CUTOFFS = (1, 5, 10)


def evaluate_retrieval(encoder: Encoder, data: RetrievalSet) -> list[Result]:
    """Measure R@1, R@5 and R@10 in both directions.

    Text-to-image: the share of captions whose own picture is among the K nearest pictures.
    Image-to-text: the share of pictures with at least one of their captions among the K nearest
    (Karpathy & Fei-Fei, CVPR 2015). A picture without a caption is a candidate, but not a query. A
    wrong candidate that ties counts as nearer. A K that takes in all candidates says nothing and is
    left out. Pictures that cannot be read are left out with their captions. Intervals resample
    pictures together with their captions.

    A set in folds (COCO's "1K": its 5,000 test pictures in five) has rows for the mean of its folds
    too, each of which ranks its own pictures and captions alone. Folds are consecutive pictures, as
    many in each (Faghri et al., VSE++, BMVC 2018).

    Raises:
        DataError: the set is empty or inconsistent, or too many pictures cannot be read.
    """
    images, captions, owners, image_numbers, _ = embed(encoder, data)
    rows = recalls(data.name, images, captions, owners)
    if data.folds > 1:
        folds = image_numbers * data.folds // len(data.pictures)
        rows += recalls(data.name, images, captions, owners, folds)
    return rows


class Embedded(NamedTuple):
    """The pictures of a set that can be read, and their captions, embedded.

    Attributes:
        images: embeddings of the pictures.
        captions: embeddings of the captions.
        owners: place in `images` of the picture that each caption describes.
        image_numbers: index of each picture in the set.
        caption_numbers: index of each caption in the set.
    """

    images: Float[np.ndarray, "images d"]
    captions: Float[np.ndarray, "captions d"]
    owners: Int[np.ndarray, " captions"]
    image_numbers: Int[np.ndarray, " images"]
    caption_numbers: Int[np.ndarray, " captions"]


def embed(encoder: Encoder, data: RetrievalSet) -> Embedded:
    """Embed a set. Raises DataError as `evaluate_retrieval` does."""
    check_retrieval_set(data)
    captions = encode_texts(encoder, data.captions)
    images, readable = encode_pictures(encoder, data)
    kept = readable[data.owners]
    return Embedded(
        images[readable],
        captions[kept],
        (np.cumsum(readable) - 1)[data.owners[kept]],
        np.flatnonzero(readable),
        np.flatnonzero(kept),
    )


def recalls(
    name: str,
    images: Float[np.ndarray, "images d"],
    captions: Float[np.ndarray, "captions d"],
    owners: Int[np.ndarray, " captions"],
    folds: Int[np.ndarray, " images"] | None = None,
) -> list[Result]:
    """Return the rows of `evaluate_retrieval` for embedded pictures and captions.

    With the fold of each picture, these are rows of the mean of the folds' recalls.
    """
    folds = np.zeros(len(images), np.int64) if folds is None else folds
    directions = []
    for fold in np.unique(folds):
        pictures, mine = folds == fold, folds[owners] == fold
        places = (np.cumsum(pictures) - 1)[owners[mine]]
        both = _both_directions(images[pictures], captions[mine], places)
        numbers = np.flatnonzero(pictures)
        directions.append([r._replace(clusters=numbers[r.clusters]) for r in both])
    return [row for ranked in zip(*directions, strict=True) for row in _rows(name, ranked)]


class _Ranked(NamedTuple):
    """The ranks of queries in one direction.

    Attributes:
        direction: what tables call it.
        ranks: of the best right candidate of each query.
        clusters: the picture of each query.
        right: how many right candidates each query has.
        candidates: how many there are.
    """

    direction: str
    ranks: Int[np.ndarray, " queries"]
    clusters: Int[np.ndarray, " queries"]
    right: Int[np.ndarray, " queries"]
    candidates: int


def _both_directions(
    images: Float[np.ndarray, "images d"],
    captions: Float[np.ndarray, "captions d"],
    owners: Int[np.ndarray, " captions"],
) -> list[_Ranked]:
    pictures = np.arange(len(images))
    described, owned = np.unique(owners, return_counts=True)
    to_image = best_ranks(captions, images, owners, pictures)
    to_text = best_ranks(images[described], captions, described, owners)
    one_each = np.ones(len(captions), dtype=np.int64)
    return [
        _Ranked("text-to-image", to_image, owners, one_each, len(images)),
        _Ranked("image-to-text", to_text, described, owned, len(captions)),
    ]


def _rows(name: str, folds: Sequence[_Ranked]) -> Iterator[Result]:
    """Return the rows of one direction: of all queries, or of the mean of several folds."""
    ranks = np.concatenate([fold.ranks for fold in folds])
    clusters = np.concatenate([fold.clusters for fold in folds])
    note, groups = "", None
    if len(folds) > 1:
        note = f", mean of {len(folds)} folds"
        groups = np.repeat(np.arange(len(folds)), [len(fold.ranks) for fold in folds])
    for cutoff in CUTOFFS:
        if cutoff < min(fold.candidates for fold in folds):
            chances = [chance_recall(cutoff, fold.candidates, fold.right) for fold in folds]
            yield measured(
                TASK,
                name,
                f"{folds[0].direction} R@{cutoff}{note}",
                ranks <= cutoff,
                clusters,
                chance=float(np.mean(chances)),
                groups=groups,
            )


def chance_recall(cutoff: int, candidates: int, right: Int[np.ndarray, " queries"]) -> float:
    """Return the exact expectation of R@`cutoff` when candidates are ranked at random.

    A query with r right ones of m candidates misses with probability
    C(m - r, K) / C(m, K) = prod_{j<K} (m - r - j) / (m - j).
    """
    drawn = np.arange(cutoff)
    wrong_left = np.maximum(candidates - right[:, None] - drawn, 0)
    misses = np.prod(wrong_left / (candidates - drawn), axis=1)
    return float(np.mean(1 - misses))


def check_retrieval_set(data: RetrievalSet) -> None:
    """Refuse a set that cannot be evaluated.

    Raises:
        DataError: fewer than two pictures or captions, or fewer than two pictures a fold.
    """
    where = f"retrieval set {data.name!r}"
    if len(data.pictures) < 2 or len(data.captions) < 2:
        raise DataError(
            f"{where} has {len(data.pictures)} pictures and {len(data.captions)} captions; "
            "ranking needs at least two of each"
        )
    if len(data.pictures) < 2 * data.folds:
        raise DataError(
            f"{where} has {len(data.pictures)} pictures, too few for {data.folds} folds"
        )
