"""Concepts: clusters of embedded texts by K-means, and soft labels of all texts.

Source: Knowledge-CLIP (arXiv 2412.03513), concept learning. Its number of clusters and its
temperature are not known to us.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float32, Int, Int64

from kgclip_jax.data.embedded_texts import INDEX as TEXTS
from kgclip_jax.data.embedded_texts import EmbeddedTexts
from kgclip_jax.data.text_concepts import (
    CENTRES,
    CONCEPTS,
    CONTENTS,
    INDEX,
    PROBABILITIES,
    ConceptContents,
    TextConcepts,
)
from kgclip_jax.errors import ConfigError, UserError
from kgclip_jax.files import atomic_file, sha256, write_atomically, write_json, writing
from kgclip_jax.preparation.parts import begin
from kgclip_jax.random import generator
from kgclip_jax.ranges import NonNegativeInt, PositiveFloat, PositiveInt
from kgclip_jax.schema import to_dict

_BLOCK = 4_096  # texts whose distances are held at a time
_NAMES = 3  # texts that tell what a cluster is about


@dataclass(frozen=True)
class ConceptSettings:
    """Everything that concepts depend on, the embeddings aside.

    Attributes:
        clusters: K.
        temperature: T in softmax(-d^2 / T) over the clusters, d the distance to a centre. Squared
            distances of vectors of unit length are at most 4.
        kept: clusters that are stored of each text, the nearest ones.
        normalised: embeddings are divided by their length.
        points_per_cluster: the centres are found by a sample of so many texts for each cluster, at
            most; all texts get labels. 256 is faiss's own choice: on a million texts and 1,000
            clusters the inertia was 0.3 % above that of all, see docs/performance.md.
        iterations: of Lloyd's algorithm.
        seed: of the sample and of where centres begin.
    """

    clusters: PositiveInt = 1000
    temperature: PositiveFloat = 0.1
    kept: PositiveInt = 16
    normalised: bool = True
    points_per_cluster: PositiveInt = 256
    iterations: PositiveInt = 25
    seed: NonNegativeInt = 0


@dataclass(frozen=True)
class ConceptPlan:
    """What is made: the settings, and of which embeddings."""

    settings: ConceptSettings
    embeddings: str


class Labels(NamedTuple):
    """Soft labels of some texts.

    Attributes:
        concepts: the nearest clusters, the nearest one first.
        probabilities: of these; rows add up to 1.
        share: what they have of all probability.
        nearest: squared distance to the nearest centre.
    """

    concepts: Int[np.ndarray, "n m"]
    probabilities: Float32[np.ndarray, "n m"]
    share: Float32[np.ndarray, " n"]
    nearest: Float32[np.ndarray, " n"]


def k_means(
    x: Float32[np.ndarray, "n d"],
    clusters: int,
    *,
    iterations: int,
    seed: int,
    start: Float32[np.ndarray, "clusters d"] | None = None,
) -> tuple[Float32[np.ndarray, "clusters d"], list[float]]:
    """Return centres by Lloyd's algorithm, and the sum of squared distances in each iteration.

    They are those of faiss, which gives an empty cluster half of a large one's texts. The same
    numbers of threads and the same seed give the same centres.

    Args:
        x: points.
        clusters: their number.
        iterations: of the algorithm.
        seed: of the points that it starts from.
        start: centres to start from instead.

    Raises:
        ConfigError: there are fewer points than clusters.
        UserError: faiss is not installed.
    """
    if len(x) < clusters:
        raise ConfigError(f"{clusters:,} clusters of {len(x):,} texts: there must be more texts")
    try:
        import faiss
    except ImportError as error:
        raise UserError("faiss: pip install -r requirements-teach.txt") from error
    found: Any = faiss.Kmeans(
        x.shape[1],
        clusters,
        niter=iterations,
        seed=seed,
        min_points_per_centroid=1,
        max_points_per_centroid=len(x) // clusters + 1,  # all
    )
    found.train(np.ascontiguousarray(x), init_centroids=start)
    return found.centroids, [float(value) for value in found.obj]


def soft_labels(
    x: Float32[np.ndarray, "n d"],
    centres: Float32[np.ndarray, "clusters d"],
    temperature: float,
    kept: int,
) -> Labels:
    """Return softmax(-d^2 / T) of the nearest clusters, divided by its sum over these.

    Args:
        x: embeddings.
        centres: of the clusters.
        temperature: T.
        kept: how many clusters, at most all.
    """
    squares = np.square(x).sum(axis=1)[:, None] + np.square(centres).sum(axis=1)
    distances = np.maximum(squares - 2 * x @ centres.T, 0)
    kept = min(kept, len(centres))
    concepts = np.argpartition(distances, kept - 1, axis=1)[:, :kept]
    near = np.take_along_axis(distances, concepts, axis=1)
    order = np.argsort(near, axis=1, kind="stable")
    concepts = np.take_along_axis(concepts, order, axis=1)
    near = np.take_along_axis(near, order, axis=1)
    weights = np.exp((near[:, :1] - near) / temperature)
    total = np.exp((near[:, :1] - distances) / temperature).sum(axis=1)
    sums = weights.sum(axis=1)
    return Labels(concepts, weights / sums[:, None], sums / total, near[:, 0])


def store_concepts(
    embedded: EmbeddedTexts, output: Path, settings: ConceptSettings
) -> TextConcepts:
    """Cluster embedded texts, and label all of them.

    Raises:
        ConfigError: there are fewer texts than clusters, or the folder holds something else.
        DataError: an embedding is not finite.
        UserError: faiss is not installed, or the disk refuses.
    """
    plan = ConceptPlan(settings, embedded.contents.fingerprint)
    begin(output, plan)
    if (output / CONTENTS).exists():
        return TextConcepts(output)
    rows = _sampled(len(embedded), settings)
    centres, _ = k_means(
        _prepared(embedded, rows, settings.normalised),
        settings.clusters,
        iterations=settings.iterations,
        seed=settings.seed,
    )
    told = _label_all(embedded, centres, settings, output)
    with _new_array(output / CENTRES, centres.shape, np.float32) as array:
        array[:] = centres
    write_atomically(output / INDEX, (embedded.folder / TEXTS).read_bytes())
    hashes = "".join(sha256(output / name) for name in (CENTRES, CONCEPTS, PROBABILITIES, INDEX))
    contents = ConceptContents(
        settings=to_dict(plan),
        clusters=settings.clusters,
        rows=len(embedded),
        texts=embedded.contents.texts,
        fingerprint=hashlib.sha256(hashes.encode()).hexdigest(),
        **told,
    )
    write_json(output / CONTENTS, to_dict(contents))
    return TextConcepts(output)


def describe_concepts(found: TextConcepts) -> str:
    """Say what a folder of concepts holds, with the names of the largest ones."""
    contents = found.contents
    sizes = np.array(contents.sizes)
    largest = np.argsort(-sizes, kind="stable")[:_NAMES]
    return "\n".join(
        [
            f"{found.folder}: {contents.clusters:,} concepts of {contents.texts:,} texts; mean "
            f"squared distance {contents.inertia:.4g}; {contents.kept} nearest ones kept, with "
            f"{contents.share:.1%} of the probability",
            f"texts of a concept: {sizes.min():,} to {sizes.max():,}, median "
            f"{int(np.median(sizes)):,}",
            *(f"{sizes[each]:,} texts: " + " / ".join(contents.names[each]) for each in largest),
        ]
    )


def _sampled(rows: int, settings: ConceptSettings) -> Int64[np.ndarray, " n"]:
    most = settings.clusters * settings.points_per_cluster
    if rows <= most:
        return np.arange(rows)
    return np.sort(generator(settings.seed, "concepts").choice(rows, most, replace=False))


def _prepared(
    embedded: EmbeddedTexts, rows: Int64[np.ndarray, " n"], normalised: bool
) -> Float32[np.ndarray, "n d"]:
    x = embedded.vectors(rows).astype(np.float32)
    if normalised:
        x /= np.maximum(np.linalg.norm(x, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    return x


def _label_all(
    embedded: EmbeddedTexts,
    centres: Float32[np.ndarray, "clusters d"],
    settings: ConceptSettings,
    output: Path,
) -> dict[str, Any]:
    """Write the labels of all rows; return what there is to tell of them."""
    count, kept = len(embedded), min(settings.kept, len(centres))
    nearest, own = np.empty(count, np.float32), np.empty(count, np.int32)
    share = 0.0
    with (
        _new_array(output / CONCEPTS, (count, kept), np.int32) as concepts,
        _new_array(output / PROBABILITIES, (count, kept), np.float16) as probabilities,
    ):
        for start in range(0, count, _BLOCK):
            rows = slice(start, min(start + _BLOCK, count))
            x = _prepared(embedded, np.arange(rows.start, rows.stop), settings.normalised)
            found = soft_labels(x, centres, settings.temperature, kept)
            concepts[rows], probabilities[rows] = found.concepts, found.probabilities
            nearest[rows], own[rows] = found.nearest, found.concepts[:, 0]
            share += float(found.share.sum())
    order = np.lexsort((nearest, own))  # by concept, the nearest texts first
    ends = np.searchsorted(own[order], np.arange(len(centres) + 1))
    members = [order[start:end] for start, end in pairwise(ends.tolist())]
    return {
        "kept": kept,
        "share": share / count,
        "inertia": float(nearest.mean(dtype=np.float64)),
        "sizes": tuple(map(len, members)),
        "names": tuple(_names(embedded, rows) for rows in members),
    }


def _names(embedded: EmbeddedTexts, rows: Int[np.ndarray, " members"]) -> tuple[str, ...]:
    """Return the first few texts that differ."""
    return tuple(dict.fromkeys(embedded.texts(rows[: 10 * _NAMES])))[:_NAMES]


@contextmanager
def _new_array(path: Path, shape: tuple[int, ...], dtype: type) -> Iterator[np.memmap]:
    """Yield an array on disk, which is there when the block has ended."""
    with atomic_file(path) as temporary, writing(path):
        array = np.lib.format.open_memmap(temporary, "w+", dtype, shape)
        yield array
        array.flush()
