"""The text tower learns to say without a scene graph what the knowledge encoder adds with one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import jax.numpy as jnp
from jaxtyping import Array

from kgclip_jax.models import spec
from kgclip_jax.objectives.objective import Context, Losses, Objective
from kgclip_jax.objectives.pairs import existing
from kgclip_jax.objectives.text_distillation import cosine_distance
from kgclip_jax.objectives.weight_schedule import Weight
from kgclip_jax.schema import check


@dataclass(frozen=True, kw_only=True)
class SceneGraphDistillation:
    """A model is its own teacher: texts with their graphs teach the same texts without.

        L = mean( 1 - cos(plain, whole) )      over captions, and over negatives where there are any

    `whole` has what the knowledge encoder adds, and gets no gradient. At test time graphs may then
    be left out, as where there is no parser. No published method; its results are in
    `docs/results.md`.

    Attributes:
        kind: its name in a config.
        weight: of the objective in the total.
        stream: of captioned pictures.
    """

    heads: ClassVar[tuple[str, ...]] = ()

    kind: Literal["scene_graph_distillation"] = "scene_graph_distillation"
    weight: Weight = 1.0
    stream: str = "captions"

    def check(self, model: spec.DualEncoder, objectives: Mapping[str, Objective]) -> None:
        """Refuse a model that reads no graphs."""
        check(model.knowledge is not None, "texts have no graphs without config.model.knowledge")

    def embed(
        self, heads: Mapping[str, Any], rows: Any, taught: Mapping[str, Any], context: Context
    ) -> dict[str, Array]:
        """Return the distance of each caption, and of each negative and whether it exists."""
        found = {"caption": cosine_distance(rows.text.plain, rows.text.pooled)}
        if rows.negatives is not None:
            exists = rows.negative_mask
            plain, whole = rows.negatives.plain, rows.negatives.pooled
            found["negative"] = cosine_distance(existing(plain, exists), existing(whole, exists))
            found["exists"] = exists
        return found

    def loss(self, heads: Mapping[str, Any], vectors: Any, context: Context) -> Losses:
        """The mean over all texts of the step, and that over captions."""
        captions = vectors["caption"]
        total, count = jnp.sum(captions), jnp.asarray(len(captions))
        if "negative" in vectors:
            total += jnp.sum(vectors["negative"], where=vectors["exists"])
            count += jnp.sum(vectors["exists"])
        return Losses(total / count, {"caption_distance": jnp.mean(captions)})
