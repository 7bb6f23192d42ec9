"""Low-rank adaptation (Hu et al. 2022): small factors that are trained beside frozen kernels.

The factors of a model's "vision/blocks/mlp/up/kernel", stacked like it, are the adapters'
"vision/blocks/mlp/up/a" and ".../b". `merge_adapters` gives training, evaluation and export the
same plain parameters, so that a merged model is the trained one.
"""

import functools
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from kgclip_jax.models.dual_encoder import Model, Params
from kgclip_jax.ranges import PositiveFloat, PositiveInt
from kgclip_jax.schema import check

Target = Literal["attention/qkv", "attention/out", "mlp/up", "mlp/down"]
TARGETS: tuple[Target, ...] = ("attention/qkv", "attention/out", "mlp/up", "mlp/down")


@dataclass(frozen=True)
class Lora:
    """The adapters of one tower.

    Attributes:
        rank: columns of the first factor, rows of the second.
        alpha: a kernel changes by alpha / rank times the factors' product; None is `rank`, for once
            the product.
        targets: layers of every block that have factors.
    """

    rank: PositiveInt
    alpha: PositiveFloat | None = None
    targets: tuple[Target, ...] = TARGETS

    def __post_init__(self) -> None:
        check(0 < len(self.targets) == len({*self.targets}), "targets: at least one, each once")

    @property
    def scale(self) -> float:
        """Factor on the product of the factors."""
        return 1.0 if self.alpha is None else self.alpha / self.rank


def init_adapters(params: Params, adapters: Mapping[str, Lora], seed: int) -> Params:
    """Return fresh factors for the towers that have adapters; {} where none has.

    The first factor is random, the second zero, so that the model computes what it did before.

    They follow from the seed and the names of tower and target alone.
    """
    factors: Params = {}
    for tower, settings in adapters.items():
        blocks: Params = {}
        for target in settings.targets:
            layer, name = target.split("/")
            kernel = params[tower]["blocks"][layer][name]["kernel"]
            key = jax.random.fold_in(jax.random.key(seed), zlib.crc32(f"{tower}/{target}".encode()))
            blocks.setdefault(layer, {})[name] = _factors(key, kernel.shape, settings.rank)
        factors[tower] = {"blocks": blocks}
    return factors


def abstract_adapters(model: Model, adapters: Mapping[str, Lora]) -> Params:
    """Return the shapes and dtypes of the factors, as `jax.ShapeDtypeStruct`."""
    return jax.eval_shape(lambda params: init_adapters(params, adapters, 0), model.abstract())


def _factors(key: Array, shape: tuple[int, ...], rank: int) -> Params:
    depth, inputs, outputs = shape
    # The spread of the uniform distribution in Microsoft's loralib and in PEFT.
    std = (3 * inputs) ** -0.5
    return {
        "a": std * jax.random.normal(key, (depth, inputs, rank)),
        "b": jnp.zeros((depth, rank, outputs)),
    }


def merge_adapters(params: Params, factors: Params, adapters: Mapping[str, Lora]) -> Params:
    """Return the model's parameters with kernel + alpha / rank * a b where there are factors."""
    merged = {
        tower: _merge(params[tower], factors[tower], adapters[tower].scale) for tower in factors
    }
    return params | merged


def _merge(part: Params, factors: Params, scale: float) -> Params:
    if "a" in factors:
        return part | {"kernel": _adapted(part["kernel"], factors["a"], factors["b"], scale)}
    return part | {name: _merge(part[name], factors[name], scale) for name in factors}


@functools.partial(jax.jit, static_argnums=3)
def _adapted(
    kernel: Float[Array, "l i o"], a: Float[Array, "l i r"], b: Float[Array, "l r o"], scale: float
) -> Float[Array, "l i o"]:
    change = jnp.einsum("lir,lro->lio", a, scale * b, precision="highest")
    # The barrier keeps XLA from rounding otherwise where a forward pass follows.
    return jax.lax.optimization_barrier(kernel + change)
