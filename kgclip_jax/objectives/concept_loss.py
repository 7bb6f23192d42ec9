"""Both towers tell which concept a caption belongs to (Knowledge-CLIP, arXiv 2412.03513)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from kgclip_jax.batch import Pairs
from kgclip_jax.errors import ConfigError
from kgclip_jax.models import spec
from kgclip_jax.objectives.objective import Context, Losses, Objective
from kgclip_jax.objectives.side_table import side_table
from kgclip_jax.objectives.weight_schedule import Weight
from kgclip_jax.schema import check

_LEAST_TOTAL = 1e-12


def soft_cross_entropy(
    logits: Float[Array, "b clusters"], labels: Float[Array, "b clusters"]
) -> Float[Array, " b"]:
    """Return -sum_k s_k log p_k of each row, p the softmax of the logits.

    It is at least the entropy of the labels, and equals it where p = s.

    Args:
        logits: of each concept.
        labels: s, divided by their sum here; no gradient reaches them.
    """
    labels = _distribution(labels)
    return -jnp.sum(labels * jax.nn.log_softmax(logits.astype(jnp.float32)), axis=1)


def _distribution(labels: Float[Array, "b clusters"]) -> Float[Array, "b clusters"]:
    labels = jax.lax.stop_gradient(labels.astype(jnp.float32))
    return labels / jnp.maximum(jnp.sum(labels, axis=1, keepdims=True), _LEAST_TOTAL)


@dataclass(frozen=True, kw_only=True)
class Concepts:
    """Both towers classify softly; reads `Pairs` with a side table of concepts.

        L_con = 1/2 mean( soft_cross_entropy(image) + soft_cross_entropy(text) )

    Source: Knowledge-CLIP (arXiv 2412.03513), concept learning. We could not find its equation: one
    head for both towers, on embeddings of unit length, is our choice.

    Attributes:
        kind: its name in a config.
        weight: of the objective in the total; the paper: 0.01.
        stream: of captioned pictures.
        table: the stream's table of concepts.
        heads: a linear head for both towers, or one for images and one for texts.
    """

    kind: Literal["concepts"] = "concepts"
    weight: Weight = 1.0
    stream: str = "captions"
    table: str = "concepts"
    heads: tuple[str, ...] = ("concept_map",)

    def check(self, model: spec.DualEncoder, objectives: Mapping[str, Objective]) -> None:
        """Refuse other numbers of heads than one and two."""
        check(len(self.heads) in (1, 2), "heads: one for both towers, or one for each")

    def embed(
        self, heads: Mapping[str, Any], rows: Any, taught: Mapping[str, Any], context: Context
    ) -> dict[str, Array]:
        """Return the losses of each row, whether the nearest concept was found, and the entropy.

        Raises:
            ConfigError: the stream has no pictures or no such table, or a head is of another width.
        """
        if not isinstance(rows, Pairs):
            raise ConfigError(f"stream {self.stream!r} has no captioned pictures, as concepts need")
        labels = side_table(rows, self.table, self.stream)
        logits: dict[str, Any] = {}
        names = [*heads] * (3 - len(heads))
        features: Any
        for side, name, features in zip(
            ("image", "text"), names, (rows.image, rows.text), strict=True
        ):
            logits[side] = heads[name](features.pooled)
            if logits[side].shape != labels.shape:
                raise ConfigError(
                    f"config.heads.{name}.width must be {labels.shape[1]}: the concepts of the "
                    f"table {self.table!r} of config.streams.{self.stream}"
                )
        nearest = jnp.argmax(labels, axis=1)
        shares = _distribution(labels)
        found = {"entropy": -jnp.sum(jax.scipy.special.xlogy(shares, shares), axis=1)}
        for side, each in logits.items():
            found[f"{side}_loss"] = soft_cross_entropy(each, labels)
            found[f"{side}_accuracy"] = (jnp.argmax(each, axis=1) == nearest).astype(jnp.float32)
        return found

    def loss(self, heads: Mapping[str, Any], vectors: Any, context: Context) -> Losses:
        """The mean over the rows of the whole step and both towers."""
        means = {name: jnp.mean(values) for name, values in vectors.items()}
        return Losses((means["image_loss"] + means["text_loss"]) / 2, means)
