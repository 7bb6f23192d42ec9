"""CE-CLIP's two terms for captions that are wrong on purpose (Zhang et al., CVPR 2024).

Axis letters as in `batch.py`: image i has embedding x_i, caption y_i, and wrong captions n_ik.
s is the logit scale.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from kgclip_jax.models import spec
from kgclip_jax.objectives.contrastive import Contrastive
from kgclip_jax.objectives.objective import Context, Losses, Objective
from kgclip_jax.objectives.pairs import require_negatives
from kgclip_jax.ranges import NonNegativeFloat, PositiveFloat
from kgclip_jax.schema import check


def intra_modal_contrast(
    text: Float[Array, "b d"],
    negatives: Float[Array, "b k d"],
    negative_mask: Bool[Array, "b k"],
    logit_scale: Float[Array, ""],
) -> Losses:
    """A caption shall be far from the wrong captions made of it.

        loss = 1/b sum_i log( 1 + sum_k e^(s (y_i.n_ik - 1)) )

    The cross entropy of choosing caption i among itself (y_i.y_i = 1) and its negatives. Source:
    CE-CLIP's intra-modal term as the paper means it; the released code leaves the caption itself
    out of the choice, names the first negative as the right answer, and so pulls towards it.

    Args:
        text: Caption embeddings of unit length, so without what a knowledge encoder adds.
        negatives: Embeddings of wrong captions, made from caption i in row i; likewise.
        negative_mask: False where a negative does not exist; its content is then irrelevant.
        logit_scale: Inverse temperature.

    Returns:
        The loss, float32, and no metrics.
    """
    similarities = _dot(text, _existing(negatives, negative_mask))
    logits = jnp.where(negative_mask, logit_scale * (similarities - 1), -jnp.inf)
    return Losses(jnp.mean(jax.nn.logsumexp(jnp.pad(logits, [(0, 0), (1, 0)]), axis=1)), {})


def ranked_hinge(
    image: Float[Array, "b d"],
    text: Float[Array, "b d"],
    negatives: Float[Array, "b k d"],
    negative_mask: Bool[Array, "b k"],
    logit_scale: Float[Array, ""],
    *,
    upper_bound: float,
) -> Losses:
    """An image shall prefer its caption to each wrong one by as much as it does on average.

        loss = mean of relu(m_k - s (x_i.y_i - x_i.n_ik)) over the negatives that exist
        m_k = mean over i of s (x_i.y_i - x_i.n_ik), no less than 0 and no more than `upper_bound`

    The margin rises with what the model can do, and no gradient flows through it; each place k
    among the negatives, which may stand for a kind, has its own. Source: CE-CLIP's ranking term.
    There the margin is that of the step before; here it is this step's, so that a step depends on
    nothing but its batch.

    Args:
        image: Image embeddings.
        text: Caption embeddings.
        negatives: Embeddings of wrong captions, made from caption i in row i.
        negative_mask: False where a negative does not exist; its content is then irrelevant.
        logit_scale: Inverse temperature.
        upper_bound: Of the margin, in logits.

    Returns:
        The loss, and as metric `margin` the mean of m_k. All are float32.
    """
    pairs = jnp.sum(image.astype(jnp.float32) * text.astype(jnp.float32), axis=1)[:, None]
    gaps = logit_scale * (pairs - _dot(image, _existing(negatives, negative_mask)))
    counts = jnp.maximum(jnp.sum(negative_mask, axis=0), 1)
    means = jnp.sum(gaps, axis=0, where=negative_mask) / counts
    margins = jax.lax.stop_gradient(jnp.clip(means, 0, upper_bound))
    losses = jnp.sum(jax.nn.relu(margins - gaps), where=negative_mask)
    loss = losses / jnp.maximum(jnp.sum(negative_mask), 1)
    return Losses(loss, {"margin": jnp.mean(margins)})


def _existing(
    negatives: Float[Array, "b k d"], negative_mask: Bool[Array, "b k"]
) -> Float[Array, "b k d"]:
    """Zeros for absent negatives, so that not even a NaN in them reaches a gradient."""
    return jnp.where(negative_mask[..., None], negatives, 0)


def _dot(x: Float[Array, "b d"], y: Float[Array, "b k d"]) -> Float[Array, "b k"]:
    x, y = x.astype(jnp.float32), y.astype(jnp.float32)
    return jnp.einsum("bd,bkd->bk", x, y, precision=jax.lax.Precision.HIGHEST)


@dataclass(frozen=True)
class CeClip:
    """Both terms, to be added to a contrastive objective that reads the negatives too.

    Attributes:
        kind: its name in a config.
        weight: of the objective in the total.
        stream: of captioned pictures with negatives.
        intra_modal_weight: of `intra_modal_contrast`; 0.3 in the released script.
        ranking_weight: of `ranked_hinge`; 0.2 in the released script.
        upper_bound: of the margin, in logits.
    """

    heads: ClassVar[tuple[str, ...]] = ()

    kind: Literal["ce_clip"] = "ce_clip"
    weight: PositiveFloat = 1.0
    stream: str = "captions"
    intra_modal_weight: NonNegativeFloat = 0.3
    ranking_weight: NonNegativeFloat = 0.2
    upper_bound: PositiveFloat = 10.0

    def __post_init__(self) -> None:
        check(
            self.intra_modal_weight + self.ranking_weight > 0, "one of its weights must be positive"
        )

    def check(self, model: spec.DualEncoder, objectives: Mapping[str, Objective]) -> None:
        """Refuse a run without a contrastive objective that reads the same negatives."""
        beside = any(
            isinstance(other, Contrastive) and other.negatives and other.stream == self.stream
            for other in objectives.values()
        )
        check(
            beside,
            f"alone it may collapse; add a contrastive objective with negatives=True on stream "
            f"{self.stream!r}",
        )

    def embed(
        self, heads: Mapping[str, Any], rows: Any, taught: Mapping[str, Any], context: Context
    ) -> dict[str, Array]:
        """Return pairs and negatives, the texts with and without their scene graphs."""
        require_negatives(rows, self.stream)
        return {
            "image": rows.image.pooled,
            "text": rows.text.pooled,
            "negatives": rows.negatives.pooled,
            "plain_text": rows.text.plain,
            "plain_negatives": rows.negatives.plain,
            "negative_mask": rows.negative_mask,
        }

    def loss(self, heads: Mapping[str, Any], vectors: Any, context: Context) -> Losses:
        """The weighted sum of both terms, and each alone.

        The ranking term scores texts as the model does, with their scene graphs. The intra-modal
        term compares texts as the text tower alone embeds them: it takes y_i.y_i for 1, and is to
        hold whatever a knowledge encoder adds.
        """
        mask, scale = vectors["negative_mask"], context.logit_scale
        intra, _ = intra_modal_contrast(
            vectors["plain_text"], vectors["plain_negatives"], mask, scale
        )
        ranking, metrics = ranked_hinge(
            vectors["image"],
            vectors["text"],
            vectors["negatives"],
            mask,
            scale,
            upper_bound=self.upper_bound,
        )
        total = self.intra_modal_weight * intra + self.ranking_weight * ranking
        return Losses(total, metrics | {"intra_modal_loss": intra, "ranking_loss": ranking})
