"""Structure-CLIP (Huang et al., AAAI 2024): a caption must beat its own swapped twin."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from kgclip_jax.objectives.contrastive import softmax_contrastive
from kgclip_jax.objectives.hinge import hardest_negative_hinge, negative_hinge
from kgclip_jax.schema import check
from kgclip_jax.types import Embeddings, Losses


@dataclass(frozen=True)
class StructureClip:
    """The paper's objective, or that of its released code; reads images, captions and negatives.

        paper: L = L_itc + w L_hinge     L_itc: `softmax_contrastive` without negatives
        code:  L = L_batch + w L_hinge   L_batch: `hardest_negative_hinge`, no temperature

    L_hinge is `negative_hinge`: of texts with what their scene graphs add in the paper, and without
    it in the code. The two differ more than their text says; see each field.

    Attributes:
        mode: which of the two.
        weight: of the objective in the total.
        negative_weight: w; None is 1 in the paper, and 5 in the code.
        margin: of L_hinge; 0.1 in the code, not stated in the paper.
        batch_margin: code only: of L_batch.
        mild_steps: code only: first steps, in which L_batch takes the mean over wrong images
            instead of the hardest one.
        chunk_size: captions compared at a time; None: all.
    """

    name: ClassVar[str] = "structure_clip"
    reads_negatives: ClassVar[bool] = True

    mode: Literal["paper", "code"]
    weight: float = 1.0
    negative_weight: float | None = None
    margin: float = 0.1
    batch_margin: float = 0.2
    mild_steps: int = 100
    chunk_size: int | None = None

    def __post_init__(self) -> None:
        check(self.chunk_size is None or self.chunk_size >= 1, "chunk_size must be at least 1")
        defaults = (self.batch_margin, self.mild_steps) == (0.2, 100)
        check(self.mode == "code" or defaults, "batch_margin and mild_steps are for mode code")
        check(self.mild_steps >= 0, "mild_steps must not be negative")
        check(self.margin >= 0 and self.batch_margin >= 0, "margins must not be negative")
        check((self.negative_weight or 0) >= 0, "negative_weight must not be negative")

    def __call__(self, embeddings: Embeddings) -> Losses:
        """The loss, the parts that it is made of, and the accuracy among the negatives."""
        image, text = embeddings.image, embeddings.text
        twins = embeddings if self.mode == "paper" else embeddings.without_graphs()
        negatives, mask = twins.required_negatives()
        hinge, metrics = negative_hinge(image, twins.text, negatives, mask, margin=self.margin)
        if self.mode == "paper":
            whole = softmax_contrastive(
                image, text, embeddings.logit_scale, chunk_size=self.chunk_size
            )
        else:
            whole = hardest_negative_hinge(
                image,
                text,
                margin=self.batch_margin,
                mild=embeddings.step < self.mild_steps,
                chunk_size=self.chunk_size,
            )
        default = 1.0 if self.mode == "paper" else 5.0
        weight = default if self.negative_weight is None else self.negative_weight
        parts = {"batch_loss": whole.loss, "negative_loss": hinge}
        return Losses(whole.loss + weight * hinge, whole.metrics | metrics | parts)
