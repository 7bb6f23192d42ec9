"""Classification of pictures and texts by a head."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int32

from kgclip_jax.errors import ConfigError
from kgclip_jax.models import spec
from kgclip_jax.objectives.objective import Context, Losses, Objective
from kgclip_jax.objectives.weight_schedule import Weight
from kgclip_jax.schema import check

Form = Literal["softmax", "sigmoid", "squared"]


def label_losses(
    logits: Float[Array, "b classes"],
    labels: Int32[Array, "b k"],
    scores: Float[Array, "b k"],
    form: Form,
) -> Float[Array, " b"]:
    """Return the loss of each item, where l are its logits and t the scores of its labels.

        softmax    sum over labels c of  t_c (log sum_j e^(l_j) - l_c)
        sigmoid    sum over classes j of log(1 + e^(l_j))  -  sum over labels c of t_c l_c
        squared    (l_0 - t_0)^2

    That is cross-entropy; binary cross-entropy of every class, summed as for VQA (Teney et al.,
    "Tips and Tricks for Visual Question Answering", CVPR 2018); and regression.

    Args:
        logits: of each class.
        labels: classes that are right; -1: no more.
        scores: how right they are, 0 where there is none.
        form: which of the three.
    """
    if form == "squared":
        return jnp.square(logits[:, 0] - scores[:, 0])
    right = jnp.take_along_axis(logits, jnp.maximum(labels, 0), axis=1)
    told = jnp.sum(scores * right, axis=1)
    if form == "softmax":
        return jnp.sum(scores, axis=1) * jax.nn.logsumexp(logits, axis=1) - told
    return jnp.sum(jax.nn.softplus(logits), axis=1) - told


@dataclass(frozen=True)
class Classification:
    """Tell what is right about items; reads a `LabelledBlock`.

    Attributes:
        kind: its name in a config.
        weight: of the objective in the total.
        stream: of items with labels.
        heads: a classifier.
        form: "softmax" where one class is right, "sigmoid" where several may be, more or less,
            "squared" for a number; see `label_losses`.
    """

    kind: Literal["classification"] = "classification"
    weight: Weight = 1.0
    stream: str = "labelled"
    heads: tuple[str, ...] = ("classifier",)
    form: Form = "softmax"

    def check(self, model: spec.DualEncoder, objectives: Mapping[str, Objective]) -> None:
        """Refuse more than one head."""
        check(len(self.heads) == 1, "heads: expected the name of one classifier")

    def embed(
        self, heads: Mapping[str, Any], rows: Any, taught: Mapping[str, Any], context: Context
    ) -> dict[str, Array]:
        """Return the loss of each row, and how right the most likely class is.

        Raises:
            ConfigError: the head has other classes or inputs than the stream, or the form does not
                fit them.
        """
        ((name, head),) = heads.items()
        inputs = [part for part in (rows.image, *rows.texts) if part is not None]
        self._check_head(name, head.settings, len(inputs), len(context.constants["classes"]))
        logits = head([part.pooled for part in inputs])
        vectors = {"loss": label_losses(logits, rows.labels, rows.scores, self.form)}
        if self.form != "squared":
            found = rows.labels == jnp.argmax(logits, axis=1)[:, None]
            vectors["accuracy"] = jnp.sum(rows.scores, axis=1, where=found)
        return vectors

    def loss(self, heads: Mapping[str, Any], vectors: Any, context: Context) -> Losses:
        """Average over rows."""
        means = {name: jnp.mean(values) for name, values in vectors.items()}
        return Losses(means.pop("loss"), means)

    def _check_head(self, name: str, settings: Any, inputs: int, classes: int) -> None:
        for key, wanted in (("classes", classes), ("inputs", inputs)):
            if getattr(settings, key) != wanted:
                raise ConfigError(
                    f"config.heads.{name}.{key} must be {wanted}: that of config.streams."
                    f"{self.stream}"
                )
        if (classes == 1) != (self.form == "squared"):
            raise ConfigError(
                f"config.objectives: the form {self.form!r} does not fit config.streams."
                f"{self.stream}: 'squared' is for a number, the others are for classes"
            )
