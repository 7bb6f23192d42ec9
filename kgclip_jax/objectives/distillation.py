"""Distillation from a frozen dual encoder: the student ranks a batch as its teacher does."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from kgclip_jax.models import spec
from kgclip_jax.objectives.objective import Context, Losses, Objective
from kgclip_jax.objectives.pairs import ABSENT, Candidates, candidates_of, fold
from kgclip_jax.objectives.weight_schedule import Weight
from kgclip_jax.ranges import PositiveFloat, PositiveInt


class _Divergences(NamedTuple):
    """Sums over the texts seen so far, of each image.

    With p the teacher's softmax and q the student's, KL(p || q) = E_p[log p - log q], and
    E_p[z_p - z_q] is kept as a sum of e^z_p (z_p - z_q), divided by the normaliser of p so far.
    """

    teacher: Float[Array, " b"]  # log-sum-exp of its logits
    student: Float[Array, " b"]
    difference: Float[Array, " b"]  # mean difference of the logits under the teacher's softmax
    of_texts: Float[Array, ""]  # sum of the divergences of texts over images

    @classmethod
    def start(cls, batch: int) -> "_Divergences":
        """Before the first chunk."""
        unknown = jnp.full(batch, ABSENT)
        return cls(unknown, unknown, jnp.zeros(batch), jnp.zeros(()))

    def update(
        self,
        teacher: Float[Array, "b c"],
        student: Float[Array, "b c"],
        real: Bool[Array, " c"],
    ) -> "_Divergences":
        """Add the logits of a chunk; `real` is False where a text is padding."""
        gap = teacher - student
        log_p = jax.nn.log_softmax(teacher, axis=0)
        of_texts = jnp.sum(jnp.exp(log_p) * (log_p - jax.nn.log_softmax(student, axis=0)), axis=0)
        teacher, student = (jnp.where(real, logits, ABSENT) for logits in (teacher, student))
        normaliser = jnp.logaddexp(self.teacher, jax.nn.logsumexp(teacher, axis=1))
        before = self.difference * jnp.exp(self.teacher - normaliser)
        new = jnp.sum(jnp.exp(teacher - normaliser[:, None]) * gap, axis=1, where=real)
        return _Divergences(
            normaliser,
            jnp.logaddexp(self.student, jax.nn.logsumexp(student, axis=1)),
            before + new,
            self.of_texts + jnp.sum(of_texts, where=real),
        )

    @property
    def of_images(self) -> Float[Array, " b"]:
        """The divergence of each image over texts."""
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
        chunk_size: Texts compared at a time (at most; None: all b).

    Returns:
        The loss, and the metrics `image_divergence` (I) and `text_divergence` (T), float32.
    """

    def add(sums: _Divergences, chunk: Candidates) -> _Divergences:
        student, teacher = jnp.split(chunk.features[:, 0], [text.shape[1]], axis=1)
        return sums.update(
            _logits(teacher_image, teacher, scale),
            _logits(image, student, scale),
            chunk.present[:, 0],
        )

    teacher_image, teacher_text = jax.lax.stop_gradient((teacher_image, teacher_text))
    candidates = candidates_of(jnp.concatenate([text, teacher_text], axis=1))
    sums = fold(add, _Divergences.start(len(image)), candidates, chunk_size)
    image_divergence = jnp.mean(sums.of_images)
    text_divergence = sums.of_texts / len(image)
    metrics = {"image_divergence": image_divergence, "text_divergence": text_divergence}
    return Losses((image_divergence + text_divergence) / 2, metrics)


def _logits(
    image: Float[Array, "b d"], text: Float[Array, "c d"], scale: float
) -> Float[Array, "b c"]:
    product = jnp.matmul(
        image.astype(jnp.float32),
        text.astype(jnp.float32).T,
        precision=jax.lax.Precision.HIGHEST,
    )
    return scale * product


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
        chunk_size: captions compared at a time; None: all.
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
