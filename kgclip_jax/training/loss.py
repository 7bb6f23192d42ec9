"""The loss of one step: a batch through the towers, then through both phases of each objective."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from kgclip_jax.batch import Batch
from kgclip_jax.errors import ConfigError
from kgclip_jax.models.adapters import Lora, merge_adapters
from kgclip_jax.models.dual_encoder import Model, Params
from kgclip_jax.models.encode import encode, inputs_by_path
from kgclip_jax.models.flops import matrix_flops
from kgclip_jax.models.heads import Head, bind_head
from kgclip_jax.models.rows import map_microbatches
from kgclip_jax.objectives.liveness import used_arguments
from kgclip_jax.objectives.objective import Context, Losses, Objective, weighted_sum
from kgclip_jax.paths import leaves_by_path
from kgclip_jax.schema import suggestion

Metrics = dict[str, Float[Array, ""]]


class Fixed(NamedTuple):
    """What a step reads beside its state and batch: neither differentiated nor donated.

    Attributes:
        teachers: the parameters of each frozen teacher.
        constants: of each stream.
    """

    teachers: Mapping[str, Params]
    constants: Mapping[str, Any]


@dataclass(frozen=True)
class LossFunction:
    """A pure function from (params, batch, fixed, step) to the loss and its metrics.

    Attributes:
        model: the student, whose parameters are `params["model"]`.
        objectives: by name.
        adapters: LoRA of its towers, whose factors are `params["adapters"]`.
        heads: by name, whose parameters are `params["heads"]`.
        teachers: frozen models by name.
        microbatches: parts that the batch goes through the towers in.
        read: the inputs that some objective reads, by path.
        taught: the inputs that some objective reads of each teacher.
        head_flops: of a forward pass of the heads, see `models.flops.matrix_flops`.
    """

    model: Model
    objectives: Mapping[str, Objective]
    adapters: Mapping[str, Lora] = field(default_factory=dict)
    heads: Mapping[str, Head] = field(default_factory=dict)
    teachers: Mapping[str, Model] = field(default_factory=dict)
    microbatches: int = 1
    read: frozenset[str] | None = None
    taught: Mapping[str, frozenset[str]] | None = None
    head_flops: int = 0

    def __call__(
        self, params: Params, batch: Batch, fixed: Fixed, step: Int[Array, ""]
    ) -> tuple[Float[Array, ""], Metrics]:
        """Return the weighted sum of the objectives' losses, and what to log."""
        batch = self._used(batch)
        taught = self._taught(batch, fixed)
        contexts = self._contexts(params, fixed, step)
        embed = partial(self._embed, params, contexts)
        vectors = map_microbatches(embed, (batch, taught), self.microbatches)
        bound = self._bound_heads(params)
        losses: dict[str, Losses] = {}
        for name, objective in self.objectives.items():
            heads = {head: bound[head] for head in objective.heads}
            losses[name] = objective.loss(heads, vectors[name], contexts[objective.stream])
        total = weighted_sum(self.objectives, losses, step)
        scale = next(iter(contexts.values())).logit_scale
        return total.loss, total.metrics | {"logit_scale": scale}

    def _used(self, batch: Batch) -> Batch:
        """The streams that objectives are about."""
        streams = {objective.stream for objective in self.objectives.values()}
        return {name: rows for name, rows in batch.items() if name in streams}

    def _taught(self, batch: Batch, fixed: Fixed) -> dict[str, Any]:
        """What the teachers make of a batch: outside the checkpoint, so only once."""
        return {
            name: jax.lax.stop_gradient(
                encode(
                    teacher.bind(fixed.teachers[name]),
                    batch,
                    None if self.taught is None else self.taught[name],
                )
            )
            for name, teacher in self.teachers.items()
        }

    def _embed(
        self, params: Params, contexts: Mapping[str, Context], part: tuple[Batch, dict[str, Any]]
    ) -> dict[str, Any]:
        """The first phase of all objectives on some rows."""
        batch, taught = part
        return self._embed_features(params, contexts, self._encode(params, batch), taught)

    def _encode(self, params: Params, batch: Batch) -> Any:
        """The student's features in the place of its inputs."""
        merged = merge_adapters(params["model"], params["adapters"], self.adapters)
        return encode(self.model.bind(merged), batch, self.read)

    def _embed_features(
        self, params: Params, contexts: Mapping[str, Context], rows: Any, taught: Any
    ) -> dict[str, Any]:
        bound = self._bound_heads(params)
        vectors = {}
        for name, objective in self.objectives.items():
            stream = objective.stream
            vectors[name] = objective.embed(
                {head: bound[head] for head in objective.heads},
                rows[stream],
                _Taught(name, {teacher: tree[stream] for teacher, tree in taught.items()}),
                contexts[stream],
            )
        return vectors

    def _contexts(self, params: Params, fixed: Fixed, step: Int[Array, ""]) -> dict[str, Context]:
        model = params["model"]
        scale, bias = jnp.exp(model["logit_scale"]), model.get("logit_bias")
        return {
            objective.stream: Context(scale, bias, step, fixed.constants.get(objective.stream))
            for objective in self.objectives.values()
        }

    def _bound_heads(self, params: Params) -> dict[str, Any]:
        return {
            name: bind_head(head, self.model.shape, params["heads"][name])
            for name, head in self.heads.items()
        }


class _Taught(dict[str, Any]):
    """A stream by each teacher; the objective that asks for one that is not there is named."""

    def __init__(self, objective: str, streams: Mapping[str, Any]) -> None:
        super().__init__(streams)
        self._objective = objective

    def __missing__(self, teacher: str) -> Any:
        raise ConfigError(
            f"config.objectives.{self._objective}: teachers.{teacher} is not there"
            f"{suggestion(teacher, self) if self else ''}"
        )


def with_read_inputs(
    loss: LossFunction, params: Params, batch: Batch, fixed: Fixed
) -> LossFunction:
    """Return the same loss, knowing which inputs its objectives read and what its heads cost.

    Nobody has to declare it: the first phase of all objectives is traced.

    Args:
        loss: the loss over all inputs.
        params: shapes and dtypes.
        batch: shapes and dtypes.
        fixed: shapes and dtypes.
    """
    batch = loss._used(batch)
    paths = inputs_by_path(batch)

    def embed(params: Params, rows: Any, taught: Any, fixed: Fixed, step: Array) -> Any:
        contexts = loss._contexts(params, fixed, step)
        return loss._embed_features(params, contexts, rows, taught)

    rows = jax.eval_shape(loss._encode, params, batch)
    taught = jax.eval_shape(loss._taught, batch, fixed)
    step = jax.ShapeDtypeStruct((), jnp.int32)
    arguments = (params, rows, taught, fixed, step)
    jaxpr = jax.make_jaxpr(embed)(*arguments).jaxpr
    _, rows_used, taught_used, _, _ = used_arguments(jaxpr, arguments)

    def read(used: Any) -> frozenset[str]:
        leaves = leaves_by_path(used)
        return frozenset(
            path
            for path in paths
            if any(live and leaf.startswith(f"{path}/") for leaf, live in leaves.items())
        )

    return replace(
        loss,
        read=read(rows_used),
        taught={name: read(used) for name, used in taught_used.items()},
        head_flops=matrix_flops(jaxpr),
    )
