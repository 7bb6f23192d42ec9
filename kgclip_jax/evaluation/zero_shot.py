"""Zero-shot classification: pictures against texts made of class names."""

import numpy as np
from jaxtyping import Float, Int

from kgclip_jax.data.evaluation_sets import ZeroShotSet
from kgclip_jax.errors import DataError
from kgclip_jax.evaluation.accuracy import accuracies
from kgclip_jax.evaluation.encoder import Encoder, encode_pictures, encode_texts
from kgclip_jax.evaluation.ranking import best_ranks
from kgclip_jax.evaluation.result import Result

TASK = "zero-shot"


def evaluate_zero_shot(encoder: Encoder, data: ZeroShotSet) -> list[Result]:
    """Measure top-1 and top-5 accuracy, or the set's other cutoffs, over all readable pictures.

    A cutoff that takes in all classes says nothing and is left out.

    A class is the normalised mean of its normalised template embeddings (CLIP, Radford et al. 2021,
    section 3.1.4). A wrong class that ties with the right one counts as nearer. Templates have no
    scene graphs: a knowledge encoder adds nothing to them.

    Two classes of equal names always tie. ImageNet has two pairs, and numbers are quoted with all
    1,000 classes and arg-max, which takes the first of a pair: of equal names the earlier one
    counts as nearer. Rows that take them for one class (998-way) stand beside.

    Raises:
        DataError: the set is empty or inconsistent, or too many pictures cannot be read.
    """
    check_zero_shot_set(data)
    classes = class_embeddings(encoder, data)
    images, readable = encode_pictures(encoder, data)
    names, first, name = np.unique(data.class_names, return_index=True, return_inverse=True)
    images, labels = images[readable], data.labels[readable]
    ranks = best_ranks(images, classes, name[labels], name) + _earlier_twins(name)[labels]
    numbers = np.flatnonzero(readable)
    found, cutoffs = (TASK, data.name, ranks, numbers, len(name)), data.cutoffs
    rows = [*accuracies(*found, labels=data.labels, cutoffs=cutoffs)]
    if len(names) < len(name):
        ranks = best_ranks(images, classes[first], name[labels], np.arange(len(names)))
        found, note = (TASK, data.name, ranks, numbers, len(names)), ", equal names as one class"
        rows += accuracies(*found, cutoffs=cutoffs, note=note)
    return rows


def _earlier_twins(names: Int[np.ndarray, " classes"]) -> Int[np.ndarray, " classes"]:
    """Count for each class how many before it have its name."""
    return np.array([np.count_nonzero(names[:place] == name) for place, name in enumerate(names)])


def class_embeddings(encoder: Encoder, data: ZeroShotSet) -> Float[np.ndarray, "classes d"]:
    """Embed each class: average the embeddings of its texts, and normalise."""
    texts = data.texts_of_classes()
    embedded = encode_texts(encoder, [text for part in texts for text in part])
    parts = np.split(embedded, np.cumsum([len(part) for part in texts[:-1]]))
    means = np.stack([part.mean(axis=0) for part in parts])
    lengths = np.linalg.norm(means, axis=1, keepdims=True)
    return means / np.maximum(lengths, np.finfo(means.dtype).tiny)


def check_zero_shot_set(data: ZeroShotSet) -> None:
    """Refuse a set that cannot be evaluated.

    Raises:
        DataError: no pictures, no templates or prompts, or fewer than two names of classes.
    """
    where = f"zero-shot set {data.name!r}"
    count = len(data.class_names)
    if not len(data.pictures) or count < 2 or not all(data.texts_of_classes()):
        raise DataError(
            f"{where} has {len(data.pictures)} pictures, {count} classes and {len(data.templates)} "
            "templates; it needs a picture, two classes and a template"
        )
    if len({*data.class_names}) < 2:
        raise DataError(f"{where}: all classes are named {data.class_names[0]!r}")
