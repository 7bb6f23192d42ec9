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
from kgclip_jax.objectives.pairs import (
    ABSENT,
    candidates_of,
    compare,
    dots,
    existing,
    queries_of,
    require_negatives,
)
from kgclip_jax.objectives.weight_schedule import Weight
from kgclip_jax.ranges import NonNegativeFloat, PositiveFloat
from kgclip_jax.schema import check

Margin = Literal["mean", "max", "fixed"]


def caption_among_negatives(
    text: Float[Array, "b d"],
    negatives: Float[Array, "b k d"],
    negative_mask: Bool[Array, "b k"],
    logit_scale: Float[Array, ""],
) -> Float[Array, ""]:
    """A caption shall be far from the wrong captions made of it: what the paper's words ask for.

        loss = 1/b sum_i log( 1 + sum_k e^(s (y_i.n_ik - 1)) )

    The cross entropy of choosing caption i among itself (y_i.y_i = 1) and its negatives: no source
    has it so. It is bounded below, and lets go of negatives that are far enough.

    Args:
        text: Caption embeddings of unit length, so without what a knowledge encoder adds.
        negatives: Embeddings of wrong captions, made from caption i in row i; likewise.
        negative_mask: False where a negative does not exist; its content is then irrelevant.
        logit_scale: Inverse temperature.

    Returns:
        The loss, float32.
    """
    similarities = dots(text, existing(negatives, negative_mask))
    logits = jnp.where(negative_mask, logit_scale * (similarities - 1), -jnp.inf)
    return jnp.mean(jax.nn.logsumexp(jnp.pad(logits, [(0, 0), (1, 0)]), axis=1))


def intra_modal_formula(
    text: Float[Array, "b d"],
    negatives: Float[Array, "b k d"],
    negative_mask: Bool[Array, "b k"],
    logit_scale: Float[Array, ""],
) -> Float[Array, ""]:
    """The intra-modal term as the paper's formula reads: -log 1 / sum.

        loss = 1/b sum_i log sum_k e^(s y_i.n_ik), 0 for a caption without negatives

    It has no lower bound but that of cosines. Arguments as in `caption_among_negatives`.
    """
    similarities = dots(text, existing(negatives, negative_mask))
    some = jnp.any(negative_mask, axis=1)
    logits = jnp.where(negative_mask, logit_scale * similarities, ABSENT)
    return jnp.mean(jnp.where(some, jax.nn.logsumexp(logits, axis=1), 0))


def intra_modal_code(
    text: Float[Array, "b d"],
    negatives: Float[Array, "b k d"],
    negative_mask: Bool[Array, "b k"],
    logit_scale: Float[Array, ""],
) -> Float[Array, ""]:
    """The intra-modal term as the released code computes it (`get_imc_loss`).

        loss = 1/b sum_i [ log sum_jk e^(s y_i.n_jk) - s y_i.n_1 ]

    Over the negatives of the whole batch. n_1, the first of them (of the first caption), is named
    as the right answer of every caption: they are all drawn to it. Negatives that do not exist
    are left out, where the code embeds a placeholder. Arguments as in `caption_among_negatives`.
    """
    there = negative_mask.reshape(-1)
    wrong = existing(negatives, negative_mask).reshape(-1, negatives.shape[-1])
    logits = compare(queries_of(text), candidates_of(wrong), logit_scale).logits[..., 0]
    choice = jax.nn.logsumexp(jnp.where(there, logits, ABSENT), axis=1)
    first = jax.lax.dynamic_index_in_dim(logits, jnp.argmax(there), axis=1, keepdims=False)
    return jnp.where(jnp.any(there), jnp.mean(choice - first), 0)


INTRA_MODAL = {
    "formula": intra_modal_formula,
    "code": intra_modal_code,
    "caption": caption_among_negatives,
}


def ranked_hinge(
    image: Float[Array, "b d"],
    text: Float[Array, "b d"],
    negatives: Float[Array, "b k d"],
    negative_mask: Bool[Array, "b k"],
    logit_scale: Float[Array, ""],
    *,
    margin: Margin,
    upper_bound: float,
    fixed_margin: float = 0.0,
) -> Losses:
    """An image shall prefer its caption to each wrong one by a margin, one for each kind of wrong.

        loss = 1/(b k) sum over the negatives that exist of relu(m_k - s (x_i.y_i - x_i.n_ik))

        mean    m_k = mean over i of s x_i.y_i - mean over those that exist of s x_i.n_ik
        max     m_k = 1/5 max over i of s (x_i.y_i - x_i.n_ik), 0 for those that do not exist
        fixed   m_k = `fixed_margin`

    The first two rise with what the model can do, no less than 0 and no more than `upper_bound`,
    and no gradient flows through them. Each place k among the negatives has its own; it stands
    for a kind where the stream makes `one_of_each`. Source: CE-CLIP's `get_cmr_loss`, whose margin
    is that of the step before (0 in the first step of an epoch); here it is this step's, so that a
    step depends on nothing but its batch.

    Args:
        image: Image embeddings.
        text: Caption embeddings.
        negatives: Embeddings of wrong captions, made from caption i in row i.
        negative_mask: False where a negative does not exist; its content is then irrelevant.
        logit_scale: Inverse temperature.
        margin: Which of the three.
        upper_bound: Of a margin that rises, in logits.
        fixed_margin: In logits.

    Returns:
        The loss, and as metric `margin` the mean of m_k. All are float32.
    """
    pairs = logit_scale * dots(image, text[:, None])
    wrong = logit_scale * dots(image, existing(negatives, negative_mask))
    match margin:
        case "mean":
            counts = jnp.maximum(jnp.sum(negative_mask, axis=0), 1)
            margins = jnp.mean(pairs) - jnp.sum(wrong, axis=0, where=negative_mask) / counts
        case "max":
            margins = jnp.max(jnp.where(negative_mask, pairs - wrong, 0), axis=0) / 5
        case "fixed":
            margins = jnp.full(negatives.shape[1], fixed_margin)
    if margin != "fixed":
        margins = jax.lax.stop_gradient(jnp.clip(margins, 0, upper_bound))
    losses = jnp.where(negative_mask, jax.nn.relu(margins - (pairs - wrong)), 0)
    return Losses(jnp.mean(losses), {"margin": jnp.mean(margins)})


@dataclass(frozen=True)
class CeClip:
    """Both terms, to be added to a contrastive objective that reads the negatives too.

    Attributes:
        kind: its name in a config.
        weight: of the objective in the total.
        stream: of captioned pictures with negatives.
        intra_modal: the term between texts: as the paper's "formula" reads, as the released "code"
            has it, or the "caption" chosen among its own negatives.
        intra_modal_weight: of that term; 0.3 in the released script.
        ranking_weight: of `ranked_hinge`; 0.2 in the released script.
        margin: of `ranked_hinge`: "mean" and "max" follow the model, "fixed" does not.
        upper_bound: of a margin that follows, in logits.
        fixed_margin: in logits; for "fixed".
    """

    heads: ClassVar[tuple[str, ...]] = ()

    kind: Literal["ce_clip"] = "ce_clip"
    weight: Weight = 1.0
    stream: str = "captions"
    intra_modal: Literal["formula", "code", "caption"] = "formula"
    intra_modal_weight: NonNegativeFloat = 0.3
    ranking_weight: NonNegativeFloat = 0.2
    margin: Margin = "mean"
    upper_bound: PositiveFloat = 10.0
    fixed_margin: PositiveFloat = 10.0

    def __post_init__(self) -> None:
        check(
            self.intra_modal_weight + self.ranking_weight > 0, "one of its weights must be positive"
        )
        fixed = self.margin == "fixed"
        check(fixed or self.fixed_margin == 10.0, "fixed_margin is for the margin fixed")
        check(not fixed or self.upper_bound == 10.0, "upper_bound is for margins that follow")

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
        term compares texts as the text tower alone embeds them: unit vectors, whatever a knowledge
        encoder adds.
        """
        mask, scale = vectors["negative_mask"], context.logit_scale
        intra = INTRA_MODAL[self.intra_modal](
            vectors["plain_text"], vectors["plain_negatives"], mask, scale
        )
        ranking, metrics = ranked_hinge(
            vectors["image"],
            vectors["text"],
            vectors["negatives"],
            mask,
            scale,
            margin=self.margin,
            upper_bound=self.upper_bound,
            fixed_margin=self.fixed_margin,
        )
        total = self.intra_modal_weight * intra + self.ranking_weight * ranking
        return Losses(total, metrics | {"intra_modal_loss": intra, "ranking_loss": ranking})
