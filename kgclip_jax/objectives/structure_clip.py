"""Structure-CLIP as published (Huang et al., AAAI 2024): a caption must beat its swapped twin."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from jaxtyping import Array

from kgclip_jax.models import spec
from kgclip_jax.objectives.contrastive import refuse_unused_bias, softmax_contrastive
from kgclip_jax.objectives.hinge import negative_hinge
from kgclip_jax.objectives.objective import Context, Losses, Objective
from kgclip_jax.objectives.pairs import require_negatives
from kgclip_jax.objectives.weight_schedule import Weight
from kgclip_jax.ranges import NonNegativeFloat, PositiveInt


@dataclass(frozen=True)
class StructureClip:
    """The paper's objective; reads `Pairs` with negatives.

        L = L_itc + w L_hinge

    L_itc is `softmax_contrastive` without negatives, L_hinge `negative_hinge`; both see texts with
    what their scene graphs add. The released code does something else: `structure_clip_code.py`.

    Attributes:
        kind: its name in a config.
        weight: of the objective in the total.
        stream: of captioned pictures with negatives.
        negative_weight: w.
        margin: of L_hinge; the paper does not state it, the code has 0.1.
        chunk_size: captions compared at a time; None: by rows and devices.
    """

    heads: ClassVar[tuple[str, ...]] = ()

    kind: Literal["structure_clip"] = "structure_clip"
    weight: Weight = 1.0
    stream: str = "captions"
    negative_weight: NonNegativeFloat = 1.0
    margin: NonNegativeFloat = 0.1
    chunk_size: PositiveInt | None = None

    def check(self, model: spec.DualEncoder, objectives: Mapping[str, Objective]) -> None:
        """Refuse a model with a bias that nothing uses."""
        refuse_unused_bias(model, objectives)

    def collapsed(self, rows: int) -> dict[str, float]:
        """What L_itc is where all embeddings are equal."""
        return {"batch_loss": math.log(rows)}

    def embed(
        self, heads: Mapping[str, Any], rows: Any, taught: Mapping[str, Any], context: Context
    ) -> dict[str, Array]:
        """Return pairs, their ids, and negatives."""
        require_negatives(rows, self.stream)
        return {
            "image": rows.image.pooled,
            "text": rows.text.pooled,
            "ids": rows.ids,
            "negatives": rows.negatives.pooled,
            "negative_mask": rows.negative_mask,
        }

    def loss(self, heads: Mapping[str, Any], vectors: Any, context: Context) -> Losses:
        """The loss, the parts that it is made of, and the accuracy among the negatives."""
        image, text = vectors["image"], vectors["text"]
        whole = softmax_contrastive(
            image, text, context.logit_scale, ids=vectors["ids"], chunk_size=self.chunk_size
        )
        hinge, metrics = negative_hinge(
            image, text, vectors["negatives"], vectors["negative_mask"], margin=self.margin
        )
        parts = {"batch_loss": whole.loss, "negative_loss": hinge}
        loss = whole.loss + self.negative_weight * hinge
        return Losses(loss, whole.metrics | metrics | parts)
