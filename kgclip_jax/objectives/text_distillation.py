"""Distillation of a language model into the text tower (Knowledge-CLIP, arXiv 2412.03513)."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from kgclip_jax.errors import ConfigError
from kgclip_jax.models import spec
from kgclip_jax.models.dual_encoder import normalise
from kgclip_jax.objectives.objective import Context, Losses, Objective
from kgclip_jax.objectives.pairs import Candidates, Queries, candidates_of, products, queries_of
from kgclip_jax.objectives.side_table import side_table
from kgclip_jax.objectives.walk import fold
from kgclip_jax.objectives.weight_schedule import Weight
from kgclip_jax.ranges import PositiveInt
from kgclip_jax.schema import check

Form = Literal["squared", "cosine", "relational"]


def squared_distance(
    mapped: Float[Array, "b d"], taught: Float[Array, "b d"]
) -> Float[Array, " b"]:
    """Return || E_T(x) W_e - L(x) ||^2 of each text x, the summands of L_emb.

    Source: Knowledge-CLIP (arXiv 2412.03513), text embedding distillation.

    Args:
        mapped: E_T(x) W_e, what the student's embedding is mapped to.
        taught: L(x), the teacher's; no gradient reaches it.
    """
    taught = jax.lax.stop_gradient(taught.astype(jnp.float32))
    return jnp.sum(jnp.square(mapped - taught), axis=1)


def cosine_distance(
    mapped: Float[Array, "*r d"], taught: Float[Array, "*r d"]
) -> Float[Array, "*r"]:
    """Return 1 - cos(E_T(x) W_e, L(x)) of each text; arguments as `squared_distance`."""
    taught = jax.lax.stop_gradient(taught.astype(jnp.float32))
    return 1 - jnp.sum(normalise(mapped) * normalise(taught), axis=-1)


def relational_distance(
    student: Float[Array, "b d"],
    teacher: Float[Array, "b e"],
    *,
    chunk_size: int | None = None,
) -> Float[Array, ""]:
    """Return the mean squared difference of the cosines of any two texts, by both models.

    No map is needed between the two widths. Source: similarities in place of the distances of
    Relational Knowledge Distillation (Park et al., CVPR 2019).

    Args:
        student: embeddings.
        teacher: of the same texts; no gradient reaches it.
        chunk_size: texts compared at a time; None: `walk.plan_walk` decides.
    """
    count, d = student.shape
    teacher = jax.lax.stop_gradient(teacher.astype(jnp.float32))
    both = jnp.concatenate([normalise(student.astype(jnp.float32)), normalise(teacher)], axis=1)
    of_texts, _ = fold(
        partial(_relations, d),
        (),
        queries_of(both),
        candidates_of(both),
        (jnp.zeros(count), ()),
        chunk_size=chunk_size,
    )
    return jnp.sum(of_texts) / max(count * (count - 1), 1)  # a text and itself add nothing


def _relations(
    d: int,
    shared: tuple[()],
    queries: Queries,
    chunk: Candidates,
    seen: tuple[Float[Array, " b"], tuple[()]],
) -> tuple[Float[Array, " b"], tuple[()]]:
    """Add squared differences; the student's embeddings are the first `d` features."""
    del shared
    of_texts, nothing = seen
    student, teacher = jnp.split(queries.features, [d], axis=1)
    others, taught = jnp.split(chunk.features, [d], axis=-1)
    teacher, taught = jax.lax.stop_gradient((teacher, taught))
    difference = (products(student, others) - products(teacher, taught))[..., 0]
    return of_texts + jnp.sum(jnp.square(difference), 1, where=chunk.present[:, 0]), nothing


@dataclass(frozen=True, kw_only=True)
class TextDistillation:
    """The text tower learns what a language model makes of texts.

    It reads a stream of kind `captions` or `texts` that has the teacher's embeddings as a side
    table. The map W_e is a linear head, and of no use afterwards.

    Attributes:
        kind: its name in a config.
        weight: of the objective in the total; the paper: 1.
        stream: of texts.
        table: the stream's table of the teacher's embeddings.
        heads: the map; none of "relational".
        form: "squared" as in the paper, "cosine", or "relational": see the functions above.
        mean: the squared distance is divided by the teacher's width, so that a weight means the
            same for all teachers; the paper sums.
        chunk_size: texts compared at a time by "relational"; None: by rows and devices.
    """

    kind: Literal["text_distillation"] = "text_distillation"
    weight: Weight = 1.0
    stream: str = "captions"
    table: str = "teacher"
    heads: tuple[str, ...] = ("teacher_map",)
    form: Form = "squared"
    mean: bool = False
    chunk_size: PositiveInt | None = None

    def check(self, model: spec.DualEncoder, objectives: Mapping[str, Objective]) -> None:
        """Refuse more or fewer heads than the form has."""
        wanted = 0 if self.form == "relational" else 1
        check(len(self.heads) == wanted, f"heads: form {self.form!r} takes {wanted}")

    def embed(
        self, heads: Mapping[str, Any], rows: Any, taught: Mapping[str, Any], context: Context
    ) -> dict[str, Array]:
        """Return the distance of each text, or both embeddings where texts are compared.

        Raises:
            ConfigError: there is no such table, or the head maps to another width.
        """
        teacher = side_table(rows, self.table, self.stream)
        student = rows.text.pooled
        if self.form == "relational":
            return {"student": student, "teacher": teacher}
        ((name, head),) = heads.items()
        mapped = head(student)
        if mapped.shape != teacher.shape:
            raise ConfigError(
                f"config.heads.{name}.width must be {teacher.shape[1]}: that of the table "
                f"{self.table!r} of config.streams.{self.stream}"
            )
        if self.form == "cosine":
            return {"distance": cosine_distance(mapped, teacher)}
        divisor = teacher.shape[1] if self.mean else 1
        return {"distance": squared_distance(mapped, teacher) / divisor}

    def loss(self, heads: Mapping[str, Any], vectors: Any, context: Context) -> Losses:
        """The mean over the texts of the whole step, or over their pairs."""
        if self.form == "relational":
            return Losses(relational_distance(**vectors, chunk_size=self.chunk_size), {})
        return Losses(jnp.mean(vectors["distance"]), {})
