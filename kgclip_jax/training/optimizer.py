"""AdamW with groups of parameters chosen by path, on plain parameter dicts."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from kgclip_jax import config
from kgclip_jax.errors import ConfigError
from kgclip_jax.models.dual_encoder import Params
from kgclip_jax.training.paths import leaves_by_path, map_paths, path_of

# Weight decay goes by name: stacked biases and norms have two dimensions, like kernels.
DECAYED = re.compile(r"(kernel|embedding)$")


class Treatment(NamedTuple):
    """How one parameter is trained: factors on learning rate and weight decay, frozen or not."""

    learning_rate: float
    weight_decay: float
    frozen: bool


def learning_rate_schedule(
    schedule: config.Schedule, peak: float, total_steps: int
) -> optax.Schedule:
    """Return step -> learning rate.

    Raises:
        ConfigError: when warm-up and cool-down do not fit into `total_steps`.
    """
    if schedule.warmup_steps + schedule.cooldown_steps > total_steps:
        raise ConfigError(
            f"config.optimizer.schedule: {schedule.warmup_steps} warm-up and "
            f"{schedule.cooldown_steps} cool-down steps do not fit into {total_steps} steps"
        )
    after = total_steps - schedule.warmup_steps

    def course(step: jax.Array) -> Any:
        match schedule.kind:
            case "cosine":
                return 0.5 * (1 + jnp.cos(jnp.pi * jnp.minimum(step / max(after, 1), 1)))
            case "rsqrt":
                left = (after - step) / max(schedule.cooldown_steps, 1)
                falling = jax.lax.rsqrt(1 + step / schedule.timescale)
                return falling * (jnp.clip(left, 0, 1) if schedule.cooldown_steps else 1)
            case "constant":
                return jnp.ones(())

    def rate(step: jax.Array | int) -> jax.Array:
        rise = jnp.minimum((step + 1) / (schedule.warmup_steps + 1), 1)
        return peak * rise * course(jnp.maximum(step - schedule.warmup_steps, 0))

    return rate


def treatments(settings: config.Optimizer, params: Params) -> dict[str, Treatment]:
    """Return a `Treatment` for each parameter, by path.

    Raises:
        ConfigError: when a group's pattern is no regular expression or matches no parameter.
    """
    paths = leaves_by_path(params)
    for group in settings.groups:
        try:
            matches = any(re.search(group.pattern, path) for path in paths)
        except re.error as error:
            raise ConfigError(f"config.optimizer.groups: {group.pattern!r}: {error}") from error
        if not matches:
            raise ConfigError(f"config.optimizer.groups: {group.pattern!r} matches no parameter")
    return {path: _treatment(settings, path) for path in paths}


def _treatment(settings: config.Optimizer, path: str) -> Treatment:
    decay = settings.weight_decay if DECAYED.search(path) else 0.0
    for group in settings.groups:
        if re.search(group.pattern, path):
            decay = decay if group.weight_decay is None else group.weight_decay
            return Treatment(group.learning_rate, decay, group.frozen)
    return Treatment(1.0, decay, False)


def stop_frozen(plan: Mapping[str, Treatment], params: Params) -> Params:
    """Cut the gradient of frozen parameters, so that their backward pass is not even computed."""
    return map_paths(
        lambda path, leaf: jax.lax.stop_gradient(leaf) if plan[path].frozen else leaf, params
    )


def _decay_and_scale(plan: Mapping[str, Treatment]) -> optax.GradientTransformation:
    """Add each parameter's weight decay, then apply its factor on the learning rate."""

    def update(updates: Any, state: optax.EmptyState, params: Any = None) -> tuple[Any, Any]:
        def one(keys: tuple[Any, ...], update: jax.Array, param: jax.Array) -> jax.Array:
            treatment = plan[path_of(keys)]
            return treatment.learning_rate * (update + treatment.weight_decay * param)

        return jax.tree_util.tree_map_with_path(one, updates, params), state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)


def make_optimizer(
    settings: config.Optimizer, plan: Mapping[str, Treatment], rate: optax.Schedule
) -> optax.GradientTransformation:
    """Build the optimizer.

    Frozen parameters get zero updates and no moments; the clipped norm is that of the others.
    """
    clip = (
        optax.identity()
        if settings.clip_norm is None
        else optax.clip_by_global_norm(settings.clip_norm)
    )
    moment_dtype = jnp.dtype(settings.moment_dtype)
    adamw = optax.chain(
        clip,
        optax.scale_by_adam(settings.b1, settings.b2, settings.eps, mu_dtype=moment_dtype),
        _decay_and_scale(plan),
        optax.scale_by_learning_rate(rate),
    )
    return optax.partition(
        {"trained": adamw, "frozen": optax.set_to_zero()},
        lambda params: map_paths(
            lambda path, _: "frozen" if plan[path].frozen else "trained", params
        ),
    )
