"""Distillation from a frozen dual encoder: the student ranks a batch as its teacher does."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from kgclip_jax.models import spec
from kgclip_jax.objectives.objective import Context, Losses, Objective
from kgclip_jax.objectives.pairs import (
    ABSENT,
    Candidates,
    Queries,
    candidates_of,
    products,
    queries_of,
)
from kgclip_jax.objectives.walk import fold
from kgclip_jax.objectives.weight_schedule import Weight
from kgclip_jax.ranges import PositiveFloat, PositiveInt


class _Divergence(NamedTuple):
    """Of each row, what is known of KL(p || q), over the columns seen so far.

    With p the teacher's softmax and q the student's, KL(p || q) = E_p[log p - log q], and
    E_p[z_p - z_q] is kept as a sum of e^z_p (z_p - z_q), divided by the normaliser of p so far.
    """

    teacher: Float[Array, " r"]  # log-sum-exp of its logits
    student: Float[Array, " r"]
    difference: Float[Array, " r"]  # mean difference of the logits under the teacher's softmax

    @classmethod
    def start(cls, rows: int) -> "_Divergence":
        """Before the first block."""
        unknown = jnp.full(rows, ABSENT)
        return cls(unknown, unknown, jnp.zeros(rows))

    def update(
        self, teacher: Float[Array, "b c"], student: Float[Array, "b c"], axis: int
    ) -> "_Divergence":
        """Add the logits of a block, ABSENT where a text is padding, whose columns are `axis`."""
        normaliser = jnp.logaddexp(self.teacher, jax.nn.logsumexp(teacher, axis))
        before = self.difference * jnp.exp(self.teacher - normaliser)
        shares = jnp.exp(teacher - jnp.expand_dims(normaliser, axis))
        return _Divergence(
            normaliser,
            jnp.logaddexp(self.student, jax.nn.logsumexp(student, axis)),
            before + jnp.sum(shares * (teacher - student), axis),
        )

    @property
    def value(self) -> Float[Array, " r"]:
        """The divergence of each row."""
        return self.difference - self.teacher + self.student


def similarity_distillation(
    image: Float[Array, "b d"],
    text: Float[Array, "b d"],
    teacher_image: Float[Array, "b d_teacher"],
    teacher_text: Float[Array, "b d_teacher"],
    scale: float,
    *,
    chunk_size: int | None = None,
) -> Losses:
    """Divergence of the student's similarities within a batch from those of its teacher.

        loss = (I + T) / 2    S, S': cosines of student and teacher, images in rows
        I = 1/b sum_i KL( softmax(s S'_i:) || softmax(s S_i:) )      T: the same over columns

    Source: Knowledge-CLIP (Pan et al., NeurIPS 2022), Section 3.3, which says that outputs are
    compared by KL divergence; which outputs, and at which temperature, is our choice.

    Args:
        image: Embeddings of the student, rows of unit length.
        text: Likewise; row i describes image i.
        teacher_image: Embeddings of the same images by the teacher; no gradient reaches it.
        teacher_text: Likewise.
        scale: s, inverse temperature of both.
        chunk_size: Texts compared at a time, at most; None: `walk.plan_walk` decides.

    Returns:
        The loss, and the metrics `image_divergence` (I) and `text_divergence` (T), float32.
    """
    images, texts = fold(
        partial(_block, text.shape[1], scale),
        (),
        queries_of(jnp.concatenate([image, teacher_image], axis=1)),
        candidates_of(jnp.concatenate([text, teacher_text], axis=1)),
        (_Divergence.start(len(image)), _Divergence.start(len(text))),
        chunk_size=chunk_size,
    )
    image_divergence, text_divergence = jnp.mean(images.value), jnp.mean(texts.value)
    metrics = {"image_divergence": image_divergence, "text_divergence": text_divergence}
    return Losses((image_divergence + text_divergence) / 2, metrics)


def _block(
    d: int,
    scale: float,
    shared: tuple[()],
    queries: Queries,
    chunk: Candidates,
    seen: tuple[_Divergence, _Divergence],
) -> tuple[_Divergence, _Divergence]:
    """Add a block; the student's embeddings are the first `d` features, no gradient the others'."""
    del shared
    images, texts = seen
    image, teacher_image = jnp.split(queries.features, [d], axis=1)
    text, teacher_text = jnp.split(chunk.features, [d], axis=-1)
    student = scale * products(image, text)[..., 0]
    teacher = scale * products(*jax.lax.stop_gradient((teacher_image, teacher_text)))[..., 0]
    student, teacher = (jnp.where(chunk.present[:, 0], x, ABSENT) for x in (student, teacher))
    return images.update(teacher, student, 1), texts.update(teacher, student, 0)


@dataclass(frozen=True, kw_only=True)
class Distillation:
    """Distillation from a frozen teacher as a run configures it; reads `Pairs`.

    Attributes:
        kind: its name in a config.
        teacher: name of the entry in `config.teachers`: of Knowledge-CLIP, the CLIP that training
            goes on from, as it was.
        weight: of the objective in the total.
        stream: of captioned pictures.
        scale: inverse temperature of both; 100 is that of OpenAI's CLIP.
        chunk_size: captions compared at a time; None: by rows and devices.
    """

    heads: ClassVar[tuple[str, ...]] = ()

    kind: Literal["distillation"] = "distillation"
    teacher: str
    weight: Weight = 1.0
    stream: str = "captions"
    scale: PositiveFloat = 100.0
    chunk_size: PositiveInt | None = None

    def check(self, model: spec.DualEncoder, objectives: Mapping[str, Objective]) -> None:
        """Accept any model."""

    def embed(
        self, heads: Mapping[str, Any], rows: Any, taught: Mapping[str, Any], context: Context
    ) -> dict[str, Array]:
        """Return what the loss takes by these names."""
        teacher = taught[self.teacher]
        return {
            "image": rows.image.pooled,
            "text": rows.text.pooled,
            "teacher_image": teacher.image.pooled,
            "teacher_text": teacher.text.pooled,
        }

    def loss(self, heads: Mapping[str, Any], vectors: Any, context: Context) -> Losses:
        """The divergence over the pairs of the whole step."""
        return similarity_distillation(**vectors, scale=self.scale, chunk_size=self.chunk_size)
