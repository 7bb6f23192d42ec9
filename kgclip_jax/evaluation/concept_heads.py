"""Concepts of captions, told by linear heads from the caption, and from the picture it describes.

Accuracy is the share of captions whose most likely concept, as the head says, is the one that the
caption is nearest to. Its chance is the share of the commonest concept. NMI is how much the most
likely concepts say of the nearest ones (normalised mutual information, arithmetic mean): a head
that takes two concepts for one is less wrong by it. Its chance is the mean over random exchanges of
the items, which is not 0, see `kgclip_jax.evaluation.mutual_information`.

Items are pictures with their captions. Beneath the rows of pictures stand their blind rows, see
`kgclip_jax.evaluation.choice`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from kgclip_jax.data.concept_sets import ConceptSet
from kgclip_jax.errors import ConfigError
from kgclip_jax.evaluation.choice import CONTROL, another_of, taken_from
from kgclip_jax.evaluation.encoder import HeadReader, encode_pictures, encode_texts
from kgclip_jax.evaluation.mutual_information import nmi_of_items
from kgclip_jax.evaluation.result import Result, measured
from kgclip_jax.random import generator
from kgclip_jax.schema import suggestion

TASK = "concepts"
_EXCHANGES = 20  # that the chance of NMI is the mean of


@dataclass(frozen=True)
class _MostLikely:
    """The most likely concept of each embedding, as a head says."""

    head: str

    def __call__(
        self, heads: Mapping[str, Any], embedded: Float[Array, "r d"], constants: None
    ) -> Int[Array, " r"]:
        return jnp.argmax(heads[self.head](embedded), axis=1)


def evaluate_concepts(encoder: HeadReader, data: ConceptSet) -> list[Result]:
    """Measure accuracy and NMI of the image head, blindly too, and of the text head.

    Captions of pictures that cannot be read are left out. One picture alone has no blind rows.
    Intervals resample pictures together with their captions.

    Raises:
        ConfigError: the model has no such head, or one of another width.
        DataError: too many pictures cannot be read.
    """
    of_images, of_texts = data.heads
    for head in data.heads:
        _check_head(encoder, data, head)
    captions = encode_texts(encoder, data.texts)
    pictures, readable = encode_pictures(encoder, data)
    kept = readable[data.owners]
    owners, nearest = data.owners[kept], data.nearest[kept]
    by_image = encoder.read(pictures, _MostLikely(of_images))[owners]
    by_text = encoder.read(captions[kept], _MostLikely(of_texts))
    rows = [*_rows(data.name, "image", by_image, nearest, owners)]
    items = len(np.unique(owners))
    if items > 1:
        others = by_image[taken_from(another_of(items), owners)]
        rows += _rows(data.name, "image", others, nearest, owners, CONTROL)
    return [*rows, *_rows(data.name, "text", by_text, nearest, owners)]


def _check_head(encoder: HeadReader, data: ConceptSet, head: str) -> None:
    where = f"evaluation set {data.name!r}"
    if head not in encoder.heads:
        known = suggestion(head, encoder.heads) if encoder.heads else ""
        raise ConfigError(f"{where}: heads.{head} is not there{known}")
    if getattr(encoder.heads[head], "width", None) != data.concepts:
        raise ConfigError(
            f"{where}: heads.{head}.width must be {data.concepts}: the concepts of its folder"
        )


def _rows(
    name: str,
    tower: str,
    told: Int[np.ndarray, " captions"],
    nearest: Int[np.ndarray, " captions"],
    owners: Int[np.ndarray, " captions"],
    control: str = "",
) -> Iterator[Result]:
    commonest = float(np.bincount(nearest).max()) / len(nearest)
    accuracy, shared = f"{tower} accuracy", f"{tower} NMI"
    right = told == nearest
    yield measured(TASK, name, accuracy, right, owners, chance=commonest, control=control)
    values, chance = nmi_of_items(told, nearest), _chance_of_nmi(told, nearest, owners)
    yield measured(TASK, name, shared, values, owners, chance=chance, control=control)


def _chance_of_nmi(
    told: Int[np.ndarray, " captions"],
    nearest: Int[np.ndarray, " captions"],
    owners: Int[np.ndarray, " captions"],
) -> float:
    """Return what is left of NMI when what is told of items is exchanged at random among them."""
    rng, items = generator(0, "chance of NMI"), len(np.unique(owners))
    exchanges = (taken_from(rng.permutation(items), owners) for _ in range(_EXCHANGES))
    return float(np.mean([nmi_of_items(told[given], nearest).mean() for given in exchanges]))
