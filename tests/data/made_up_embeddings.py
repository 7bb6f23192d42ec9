"""Folders of embedded texts and of concepts, without a language model."""

import numpy as np

from kgclip_jax.data.embedded_texts import (
    EmbeddedContents,
    EmbeddedTexts,
    complete,
    part_file,
    write_part,
)
from kgclip_jax.preparation import text_clusters
from kgclip_jax.preparation.text_clusters import ConceptSettings, store_concepts


def embedded(folder, texts, vectors, parts=1):
    """Write texts and their vectors."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = np.array_split(np.arange(len(vectors)), parts)
    for number, each in enumerate(rows):
        path = folder / part_file(number, parts)
        write_part(path, [texts[row] for row in each], vectors[each].astype(np.float16))
    contents = EmbeddedContents(
        settings={},
        rows=tuple(map(len, rows)),
        texts=len(texts),
        width=vectors.shape[1],
        dtype="float16",
        fingerprint="f",
        left_out={},
    )
    complete(folder, contents)
    return EmbeddedTexts(folder)


def random_embeddings(folder, texts, width=6):
    """Give every text a random vector, whose numbers differ in mean and size."""
    vectors = np.random.default_rng(0).normal(size=(len(texts), width))
    return embedded(folder, texts, 3 + vectors * np.arange(1, width + 1))


def clustered(texts, output, monkeypatch, clusters=4):
    """Write concepts around the first vectors, without faiss."""
    monkeypatch.setattr(
        text_clusters, "k_means", lambda x, clusters, **options: (x[:clusters].copy(), [0.0])
    )
    return store_concepts(texts, output, ConceptSettings(clusters=clusters, kept=2))
