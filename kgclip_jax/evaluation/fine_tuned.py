"""Items with labels, classified by a head that was trained for that: VQA, SNLI-VE, GLUE.

Accuracy is how right the most likely class is, on average; of VQA that is the official accuracy
(see `kgclip_jax.data.readers.vqa`), and there each type of answer has a row of its own. Its chance
is what the best constant answer reaches: the share of the commonest class. That of F1 is what
saying yes to everything reaches. Intervals resample pictures, or first texts, with all their items.

Beneath each row about pictures stands its blind row: the same model, each picture's items asked
about another picture, see `kgclip_jax.evaluation.choice`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from kgclip_jax.data.labelled import Items
from kgclip_jax.data.labelled_set import LabelledSet
from kgclip_jax.errors import ConfigError
from kgclip_jax.evaluation.agreement import STATISTICS
from kgclip_jax.evaluation.bootstrap import bootstrap_statistic
from kgclip_jax.evaluation.choice import CONTROL, another_of
from kgclip_jax.evaluation.encoder import HeadReader, encode_pictures, encode_texts
from kgclip_jax.evaluation.result import Result, measured
from kgclip_jax.schema import suggestion

TASK = "fine-tuned"


class _Told(NamedTuple):
    """What a head says of each item: the most likely class, and the first logit, a number."""

    label: Int[Any, " items"]
    number: Float[Any, " items"]


@dataclass(frozen=True)
class _Classify:
    """Has a head classify rows, given as the embeddings of each item."""

    head: str

    def __call__(
        self, heads: Mapping[str, Any], rows: Sequence[Float[Array, "r d"]], constants: None
    ) -> _Told:
        logits = heads[self.head](rows)
        return _Told(jnp.argmax(logits, axis=1), logits[:, 0])


def evaluate_fine_tuned(encoder: HeadReader, data: LabelledSet) -> list[Result]:
    """Measure what the set wants; items whose picture cannot be read are left out.

    Raises:
        ConfigError: the model has no such head, or one of other classes or inputs.
        DataError: too many pictures cannot be read.
    """
    _check_head(encoder, data)
    items, classify = data.items, _Classify(data.head)
    columns = [encode_texts(encoder, texts) for texts in items.texts]
    if not items.pictures:
        return [*_rows(data, items, encoder.read(columns, classify))]
    pictures, readable = encode_pictures(encoder, data)
    kept = np.flatnonzero(readable[items.owners])
    items = _only(items, kept)
    columns = [column[kept] for column in columns]
    rows = [*_rows(data, items, encoder.read([pictures[items.owners], *columns], classify))]
    asked, place = np.unique(items.owners, return_inverse=True)
    if len(asked) > 1:
        others = asked[another_of(len(asked))][place]
        rows += _rows(data, items, encoder.read([pictures[others], *columns], classify), CONTROL)
    return rows


def _check_head(encoder: HeadReader, data: LabelledSet) -> None:
    where = f"evaluation set {data.name!r}"
    if data.head not in encoder.heads:
        known = suggestion(data.head, encoder.heads) if encoder.heads else ""
        raise ConfigError(f"{where}: heads.{data.head} is not there{known}")
    head = encoder.heads[data.head]
    inputs = len(data.items.texts) + bool(data.items.pictures)
    for key, wanted in (("classes", len(data.items.classes)), ("inputs", inputs)):
        if getattr(head, key, None) != wanted:
            raise ConfigError(f"{where}: heads.{data.head}.{key} must be {wanted}")


def _only(items: Items, kept: Int[np.ndarray, " kept"]) -> Items:
    """Return some items, without their texts."""
    columns = ("owners", "labels", "scores", "parts")
    return items._replace(texts=(), **{name: getattr(items, name)[kept] for name in columns})


def _rows(data: LabelledSet, items: Items, told: _Told, control: str = "") -> Iterator[Result]:
    for metric in data.metrics:
        if metric == "accuracy":
            yield from _accuracies(data.name, items, told, control)
        else:
            yield _agreement(data.name, metric, items, told, control)


def _accuracies(name: str, items: Items, told: _Told, control: str) -> Iterator[Result]:
    """Return accuracy over all items, then over each part of them."""
    right = np.sum(items.scores, axis=1, where=items.labels == told.label[:, None])
    for part in ("", *np.unique(items.parts[items.parts != ""]).tolist()):
        some = np.flatnonzero((items.parts == part) | (part == ""))
        labels, scores, owners = items.labels[some], items.scores[some], items.owners[some]
        of_class = np.bincount(labels[labels >= 0], scores[labels >= 0], minlength=1)
        chance = float(of_class.max()) / len(some)
        metric = f"accuracy, {part}" if part else "accuracy"
        yield measured(TASK, name, metric, right[some], owners, chance=chance, control=control)


def _agreement(name: str, metric: str, items: Items, told: _Told, control: str) -> Result:
    predicted, true = told.label, items.labels[:, 0]
    if len(items.classes) == 1:
        predicted, true = told.number, items.scores[:, 0]
    statistic, said_yes = STATISTICS[metric], np.ones_like(predicted)
    return Result(
        *(TASK, name, metric),
        *bootstrap_statistic(partial(statistic, predicted, true), items.owners),
        n=len(true),
        chance=statistic(said_yes, true, np.ones(len(true))),
        blind=control != "",
        control=control,
    )
