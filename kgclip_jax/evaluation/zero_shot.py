"""Zero-shot classification: pictures against texts made of class names."""

import numpy as np
from jaxtyping import Float

from kgclip_jax.data.evaluation_sets import ZeroShotSet
from kgclip_jax.errors import DataError
from kgclip_jax.evaluation.encoder import Encoder, encode_pictures, encode_texts
from kgclip_jax.evaluation.ranking import best_ranks
from kgclip_jax.evaluation.result import Result, measured

TASK = "zero-shot"
CUTOFFS = (1, 5)
PLACE_OF_NAME = "{}"


def evaluate_zero_shot(encoder: Encoder, data: ZeroShotSet) -> list[Result]:
    """Measure top-1 and (with more than five classes) top-5 accuracy over all readable pictures.

    A class is the normalised mean of its normalised template embeddings (CLIP, Radford et al. 2021,
    section 3.1.4). A wrong class that ties with the right one counts as nearer. Templates have no
    scene graphs: a knowledge encoder adds nothing to them.

    Raises:
        DataError: the set is empty or inconsistent, or too many pictures cannot be read.
    """
    check_zero_shot_set(data)
    classes = class_embeddings(encoder, data)
    images, readable = encode_pictures(encoder, data)
    count = len(data.class_names)
    ranks = best_ranks(images[readable], classes, data.labels[readable], np.arange(count))
    each = np.flatnonzero(readable)
    return [
        measured(TASK, data.name, f"top-{cutoff}", ranks <= cutoff, each, chance=cutoff / count)
        for cutoff in CUTOFFS
        if cutoff < count
    ]


def class_embeddings(encoder: Encoder, data: ZeroShotSet) -> Float[np.ndarray, "classes d"]:
    """Embed each class: fill its name into every template, average, and normalise."""
    texts = [
        template.replace(PLACE_OF_NAME, name)
        for name in data.class_names
        for template in data.templates
    ]
    embedded = encode_texts(encoder, texts)
    means = embedded.reshape(len(data.class_names), len(data.templates), -1).mean(axis=1)
    lengths = np.linalg.norm(means, axis=1, keepdims=True)
    return means / np.maximum(lengths, np.finfo(means.dtype).tiny)


def check_zero_shot_set(data: ZeroShotSet) -> None:
    """Refuse a set that cannot be evaluated.

    Raises:
        DataError: no pictures, fewer than two classes, a repeated class name, a label that is no
            class, or a template without a place for the name.
    """
    where = f"zero-shot set {data.name!r}"
    count = len(data.class_names)
    if not len(data.pictures) or count < 2 or not data.templates:
        raise DataError(
            f"{where} has {len(data.pictures)} pictures, {count} classes and {len(data.templates)} "
            "templates; it needs a picture, two classes and a template"
        )
    if len(data.labels) != len(data.pictures):
        raise DataError(f"{where} has {len(data.pictures)} pictures but {len(data.labels)} labels")
    strays = np.flatnonzero((data.labels < 0) | (data.labels >= count))
    if len(strays):
        raise DataError(
            f"{where}: picture {strays[0]} has label {data.labels[strays[0]]}, "
            f"but there are {count} classes"
        )
    if len(set(data.class_names)) < count:
        repeated = next(n for n in data.class_names if list(data.class_names).count(n) > 1)
        raise DataError(f"{where} names two classes {repeated!r}, which no text can tell apart")
    for template in data.templates:
        if PLACE_OF_NAME not in template:
            raise DataError(f"{where}: template {template!r} lacks {PLACE_OF_NAME} for the name")
