"""What an objective is, and how several of them add up to the loss of one step.

An objective has two phases. `embed` works row by row, on what the towers made of a stream, and runs
inside a microbatch: fusion, heads and un-pooled tokens end there. `loss` sees the float32 vectors
of all rows of the step on all devices. Objectives that share an intermediate are one objective with
weighted terms: traced twice, its backward pass would be computed twice.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from kgclip_jax.errors import ConfigError
from kgclip_jax.models import spec
from kgclip_jax.objectives.weight_schedule import LinearWeight, Weight
from kgclip_jax.schema import Registry

OBJECTIVES = Registry(
    "objective",
    {
        "contrastive": "kgclip_jax.objectives.contrastive:Contrastive",
        "structure_clip": "kgclip_jax.objectives.structure_clip:StructureClip",
        "structure_clip_code": "kgclip_jax.objectives.structure_clip_code:StructureClipCode",
        "ce_clip": "kgclip_jax.objectives.ce_clip:CeClip",
        "classification": "kgclip_jax.objectives.label_loss:Classification",
        "concepts": "kgclip_jax.objectives.concept_loss:Concepts",
        "distillation": "kgclip_jax.objectives.distillation:Distillation",
        "graph": "kgclip_jax.objectives.graph:Graph",
        "link_prediction": "kgclip_jax.objectives.link_prediction:LinkPrediction",
        "scene_graph_distillation": (
            "kgclip_jax.objectives.scene_graph_distillation:SceneGraphDistillation"
        ),
        "text_distillation": "kgclip_jax.objectives.text_distillation:TextDistillation",
        "triplets": "kgclip_jax.objectives.triplets:Triplets",
    },
)


class Context(NamedTuple):
    """What all objectives of a step share.

    Attributes:
        logit_scale: the factor itself, not its logarithm.
        logit_bias: of the model, or None.
        step: steps taken before this one.
        constants: of the objective's stream: what has no rows.
    """

    logit_scale: Float[Array, ""]
    logit_bias: Float[Array, ""] | None
    step: Int[Array, ""] | int
    constants: Any = None


class Losses(NamedTuple):
    """An objective's scalar loss and what it wants logged (scalars by name)."""

    loss: Float[Array, ""]
    metrics: dict[str, Float[Array, ""]]


@runtime_checkable
class Objective(Protocol):
    """A frozen dataclass that is its own entry in a config."""

    @property
    def kind(self) -> str:
        """Its name in `OBJECTIVES`."""
        ...

    @property
    def weight(self) -> Weight:
        """Factor of the loss in the total."""
        ...

    @property
    def stream(self) -> str:
        """Name of the stream that it reads."""
        ...

    @property
    def heads(self) -> tuple[str, ...]:
        """Names of the heads that it uses."""
        ...

    def check(self, model: spec.DualEncoder, objectives: Mapping[str, "Objective"]) -> None:
        """Raise ValueError when it makes no sense for a model, or beside the run's objectives."""
        ...

    def embed(
        self, heads: Mapping[str, Any], rows: Any, taught: Mapping[str, Any], context: Context
    ) -> Any:
        """Make small vectors of rows, independently of all other rows.

        Args:
            heads: the modules of `heads` by name, bound to their parameters.
            rows: of the stream, with `Features` in the place of the inputs of towers.
            taught: the same by each frozen teacher, by its name.
            context: of the step.

        Returns:
            A tree of float32 or int32 arrays with rows in front.
        """
        ...

    def loss(self, heads: Mapping[str, Any], vectors: Any, context: Context) -> Losses:
        """The unweighted loss of the vectors of the whole step, and what to log beside it."""
        ...


def weighted_sum(
    objectives: Mapping[str, Objective],
    losses: Mapping[str, Losses],
    step: Int[Array, ""] | int,
) -> Losses:
    """Add weight times loss over the objectives.

    Metrics are logged unweighted under the name of their objective: "contrastive/loss",
    "contrastive/image_to_text_accuracy", ..., and "contrastive/weight" where that moves.
    """
    total = jnp.zeros(())
    metrics = {}
    for name, objective in objectives.items():
        loss, details = losses[name]
        weight: Any = objective.weight
        if isinstance(weight, LinearWeight):
            weight = metrics[f"{name}/weight"] = weight.at(step)
        total += weight * loss
        metrics[f"{name}/loss"] = loss
        metrics |= {f"{name}/{key}": value for key, value in details.items()}
    return Losses(total, metrics)


def check_objectives(objectives: Mapping[str, Objective], model: spec.DualEncoder) -> None:
    """Raise ConfigError for an objective that makes no sense in a run, by its key."""
    for name, objective in objectives.items():
        try:
            objective.check(model, objectives)
        except ValueError as error:
            raise ConfigError(f"config.objectives.{name}: {error}") from error
