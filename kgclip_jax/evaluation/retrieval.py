"""Text-to-image and image-to-text recall over all pictures and captions of a set."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Int

from kgclip_jax.errors import DataError
from kgclip_jax.evaluation.bootstrap import bootstrap_mean
from kgclip_jax.evaluation.encoding import encode_texts
from kgclip_jax.evaluation.ranking import best_ranks
from kgclip_jax.evaluation.result import Result
from kgclip_jax.types import Encoder, RetrievalSet

TASK = "retrieval"
CUTOFFS = (1, 5, 10)


def evaluate_retrieval(encoder: Encoder, data: RetrievalSet) -> list[Result]:
    """Measure R@1, R@5 and R@10 in both directions.

    Text-to-image: the share of captions whose own picture is among the K nearest pictures.
    Image-to-text: the share of pictures with at least one of their captions among the K nearest
    (Karpathy & Fei-Fei, CVPR 2015). A picture without a caption is a candidate, but not a query. A
    wrong candidate that ties counts as nearer. A K that takes in all candidates says nothing and is
    left out. Intervals resample pictures together with their captions.

    Raises:
        DataError: the set is empty or inconsistent.
    """
    check_retrieval_set(data)
    images = encoder.encode_image(data.images)
    captions = encode_texts(encoder, data.captions)
    return recalls(data.name, images, captions, data.owners)


def recalls(
    name: str,
    images: Float[np.ndarray, "images d"],
    captions: Float[np.ndarray, "captions d"],
    owners: Int[np.ndarray, " captions"],
) -> list[Result]:
    """Return the rows of `evaluate_retrieval` for embedded pictures and captions."""
    pictures = np.arange(len(images))
    described, owned = np.unique(owners, return_counts=True)
    to_image = best_ranks(captions, images, owners, pictures)
    to_text = best_ranks(images[described], captions, described, owners)
    one_each = np.ones(len(captions), dtype=np.int64)
    return [
        *_rows(name, "text-to-image", to_image, owners, len(images), one_each),
        *_rows(name, "image-to-text", to_text, described, len(captions), owned),
    ]


def _rows(
    name: str,
    direction: str,
    ranks: Int[np.ndarray, " queries"],
    groups: Int[np.ndarray, " queries"],
    candidates: int,
    right: Int[np.ndarray, " queries"],
) -> Iterator[Result]:
    for cutoff in CUTOFFS:
        if cutoff < candidates:
            chance = chance_recall(cutoff, candidates, right)
            rate = bootstrap_mean(ranks <= cutoff, groups)
            yield Result(TASK, name, f"{direction} R@{cutoff}", *rate, len(ranks), chance)


def chance_recall(cutoff: int, candidates: int, right: Int[np.ndarray, " queries"]) -> float:
    """Return the exact expectation of R@`cutoff` when candidates are ranked at random.

    A query with r right ones of m candidates misses with probability
    C(m - r, K) / C(m, K) = prod_{j<K} (m - r - j) / (m - j).

    Args:
        cutoff: K, at most `candidates`.
        candidates: m.
        right: r of each query.
    """
    drawn = np.arange(cutoff)
    wrong_left = np.maximum(candidates - right[:, None] - drawn, 0)
    misses = np.prod(wrong_left / (candidates - drawn), axis=1)
    return float(np.mean(1 - misses))


def check_retrieval_set(data: RetrievalSet) -> None:
    """Refuse a set that cannot be evaluated.

    Raises:
        DataError: fewer than two pictures or captions, or owners that do not fit them.
    """
    where = f"retrieval set {data.name!r}"
    if len(data.images) < 2 or len(data.captions) < 2:
        raise DataError(
            f"{where} has {len(data.images)} pictures and {len(data.captions)} captions; "
            "ranking needs at least two of each"
        )
    if len(data.owners) != len(data.captions):
        raise DataError(
            f"{where} has {len(data.captions)} captions but {len(data.owners)} owners; "
            "give one picture index a caption"
        )
    strays = np.flatnonzero((data.owners < 0) | (data.owners >= len(data.images)))
    if len(strays):
        raise DataError(
            f"{where}: caption {strays[0]} belongs to picture {data.owners[strays[0]]}, "
            f"but there are {len(data.images)} pictures"
        )
