"""Structure-CLIP as its released code trains it, which differs from the paper more than it says."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from jaxtyping import Array

from kgclip_jax.models import spec
from kgclip_jax.objectives.contrastive import refuse_unused_bias
from kgclip_jax.objectives.hinge import hardest_negative_hinge, negative_hinge
from kgclip_jax.objectives.objective import Context, Losses, Objective
from kgclip_jax.objectives.pairs import require_negatives
from kgclip_jax.objectives.weight_schedule import Weight
from kgclip_jax.ranges import NonNegativeFloat, NonNegativeInt, PositiveInt


@dataclass(frozen=True)
class StructureClipCode:
    """The code's objective; reads `Pairs` with negatives, and neither temperature nor bias.

        L = L_batch + w L_hinge

    L_batch is `hardest_negative_hinge`, of texts with what their scene graphs add; L_hinge is
    `negative_hinge`, of texts without it.

    Attributes:
        kind: its name in a config.
        weight: of the objective in the total.
        stream: of captioned pictures with negatives.
        negative_weight: w.
        margin: of L_hinge.
        batch_margin: of L_batch.
        mild_steps: first steps, in which L_batch takes the mean over images instead of the hardest
            wrong one.
        chunk_size: captions compared at a time; None: by rows and devices.
    """

    heads: ClassVar[tuple[str, ...]] = ()

    kind: Literal["structure_clip_code"] = "structure_clip_code"
    weight: Weight = 1.0
    stream: str = "captions"
    negative_weight: NonNegativeFloat = 5.0
    margin: NonNegativeFloat = 0.1
    batch_margin: NonNegativeFloat = 0.2
    mild_steps: NonNegativeInt = 100
    chunk_size: PositiveInt | None = None

    def check(self, model: spec.DualEncoder, objectives: Mapping[str, Objective]) -> None:
        """Refuse a model with a bias that nothing uses."""
        refuse_unused_bias(model, objectives)

    def collapsed(self, rows: int) -> dict[str, float]:
        """What L_batch is where all embeddings are equal."""
        del rows
        return {"batch_loss": 2 * self.batch_margin}

    def embed(
        self, heads: Mapping[str, Any], rows: Any, taught: Mapping[str, Any], context: Context
    ) -> dict[str, Array]:
        """Return pairs, their ids, and negatives; texts for L_hinge without their scene graphs."""
        require_negatives(rows, self.stream)
        return {
            "image": rows.image.pooled,
            "text": rows.text.pooled,
            "ids": rows.ids,
            "plain_text": rows.text.plain,
            "plain_negatives": rows.negatives.plain,
            "negative_mask": rows.negative_mask,
        }

    def loss(self, heads: Mapping[str, Any], vectors: Any, context: Context) -> Losses:
        """The loss, the parts that it is made of, and the accuracy among the negatives."""
        whole = hardest_negative_hinge(
            vectors["image"],
            vectors["text"],
            margin=self.batch_margin,
            ids=vectors["ids"],
            mild=context.step < self.mild_steps,
            chunk_size=self.chunk_size,
        )
        hinge, metrics = negative_hinge(
            vectors["image"],
            vectors["plain_text"],
            vectors["plain_negatives"],
            vectors["negative_mask"],
            margin=self.margin,
        )
        parts = {"batch_loss": whole.loss, "negative_loss": hinge}
        loss = whole.loss + self.negative_weight * hinge
        return Losses(loss, whole.metrics | metrics | parts)
