"""Heads: modules beside the model that objectives train, such as a fusion transformer.

A head is named in a config and by the objectives that use it. Its parameters begin as a function of
the run's seed and of its name alone, so that adding one changes no other.
"""

import zlib
from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

import jax
from flax import nnx
from jaxtyping import Array

from kgclip_jax.errors import ConfigError
from kgclip_jax.models import spec
from kgclip_jax.models.dual_encoder import Params
from kgclip_jax.schema import Registry, parse

HEADS = Registry(
    "head",
    {
        "classifier": "kgclip_jax.models.classifier:ClassifierHead",
        "entity_table": "kgclip_jax.models.entity_table:EntityTableHead",
        "fusion": "kgclip_jax.models.fusion:FusionHead",
        "linear": "kgclip_jax.models.linear_map:LinearHead",
        "rgcn": "kgclip_jax.models.rgcn:RgcnHead",
    },
)


RowFunction = Callable[[Mapping[str, Any], Any, Any], Any]
"""From heads by name, rows with `Features` and constants to a tree of arrays, row by row."""


@runtime_checkable
class Head(Protocol):
    """A frozen dataclass that is its own entry in a config."""

    @property
    def kind(self) -> str:
        """Its name in `HEADS`."""
        ...

    def build(self, model: spec.DualEncoder, *, rngs: nnx.Rngs) -> nnx.Module:
        """Make the module beside a model of this shape. It holds parameters and nothing else."""
        ...


def init_head(head: Head, name: str, model: spec.DualEncoder, seed: int) -> Params:
    """Return the fresh parameters of a head.

    Raises:
        ConfigError: the module holds more than parameters, such as the random state of a dropout
            layer: keys are given at the call, as rows of the batch.
    """
    key = jax.random.fold_in(jax.random.key(seed), zlib.crc32(name.encode()))
    module = _build(head, model, key)
    params, rest = nnx.state(module, nnx.Param, ...)
    if others := jax.tree.leaves(rest):
        raise ConfigError(
            f"config.heads.{name} holds {len(others)} arrays that are no parameters (random state?)"
        )
    return nnx.to_pure_dict(params)


def bind_head(head: Head, model: spec.DualEncoder, params: Params) -> nnx.Module:
    """Return the module over these parameters, for use within a trace."""
    abstract = nnx.eval_shape(lambda: _build(head, model, jax.random.key(0)))
    return nnx.merge(nnx.graphdef(abstract), params)


def heads_from(settings: Mapping[str, Any]) -> dict[str, Head]:
    """Return heads from their plain values, by name.

    Raises:
        ConfigError: one is of a kind, or has a setting, that is not known.
    """
    places = {name: f"heads.{name}" for name in settings}
    return {
        name: parse(HEADS.find(settings[name].get("kind"), place), settings[name], place)
        for name, place in places.items()
    }


def _build(head: Head, model: spec.DualEncoder, key: Array) -> nnx.Module:
    return head.build(model, rngs=nnx.Rngs(key))
