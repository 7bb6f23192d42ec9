"""AdamW and Adafactor with groups of parameters chosen by path, on plain parameter dicts."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from kgclip_jax.errors import ConfigError
from kgclip_jax.models.dual_encoder import Params
from kgclip_jax.optimizer_config import Group, Optimizer, Schedule, Tuning
from kgclip_jax.paths import leaves_by_path, map_paths, path_of
from kgclip_jax.training.tuning import Factor, learning_rate_factors

# Weight decay goes by name: stacked biases and norms have two dimensions, like kernels.
DECAYED = re.compile(r"^adapters/|(kernel|embedding)$")


class ParamGroup(NamedTuple):
    """How one parameter is trained.

    Attributes:
        learning_rate: factor on the rate, or one for each block of a stack; 0 is frozen.
        weight_decay: before that factor.
    """

    learning_rate: Factor
    weight_decay: float

    @property
    def frozen(self) -> bool:
        """Whether nothing of the parameter is trained."""
        return not np.any(self.learning_rate)


def learning_rate_schedule(schedule: Schedule, peak: float, total_steps: int) -> optax.Schedule:
    """Return step -> learning rate.

    Raises:
        ConfigError: when warm-up and cool-down do not fit into `total_steps`.
    """
    if schedule.warmup_steps + schedule.cooldown_steps > total_steps:
        raise ConfigError(
            f"config.optimizer.schedule: warmup_steps {schedule.warmup_steps} and cooldown_steps "
            f"{schedule.cooldown_steps} do not fit into config.total_steps {total_steps}"
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
        rise = jnp.minimum((step + 1) / max(schedule.warmup_steps, 1), 1)
        return peak * rise * course(jnp.maximum(step - schedule.warmup_steps, 0))

    return rate


def changed_rate(settings: Optimizer, step: int, before: int, now: int) -> str | None:
    """Say what another length of a run, in steps, makes of its learning rate after `step`."""
    old, new = (
        float(learning_rate_schedule(settings.schedule, settings.learning_rate, total)(step))
        for total in (before, now)
    )
    if old == new:
        return None
    return (
        f"config.total_steps {before} -> {now}: the learning rate of step {step + 1} is {new:.3g} "
        f"now; it was to be {old:.3g}"
    )


def param_groups(settings: Optimizer, tuning: Tuning, params: Params) -> dict[str, ParamGroup]:
    """Return a `ParamGroup` for each parameter, by path.

    Raises:
        ConfigError: when a group's pattern is no regular expression or matches no parameter, or
            when the tuning does not fit the towers.
    """
    paths = leaves_by_path(params)
    for group in settings.groups:
        try:
            matches = any(re.search(group.pattern, path) for path in paths)
        except re.error as error:
            raise ConfigError(f"config.optimizer.groups: {group.pattern!r}: {error}") from error
        if not matches:
            raise ConfigError(f"config.optimizer.groups: {group.pattern!r} matches no parameter")
    factors = learning_rate_factors(tuning, params)
    return {path: _param_group(settings, path, factors[path]) for path in paths}


def _param_group(settings: Optimizer, path: str, tuned: Factor) -> ParamGroup:
    decay = settings.weight_decay if DECAYED.search(path) else 0.0
    for group in settings.groups:
        if re.search(group.pattern, path):
            decay = decay if group.weight_decay is None else group.weight_decay
            return ParamGroup(_factor(group, tuned), decay)
    return ParamGroup(tuned, decay)


def _factor(group: Group, tuned: Factor) -> Factor:
    if group.frozen is not None:
        return 0.0 if group.frozen else group.learning_rate
    if isinstance(tuned, tuple):
        return tuple(factor * group.learning_rate for factor in tuned)
    return tuned * group.learning_rate


def _along_blocks(factor: Factor, leaf: Any) -> Any:
    """Shape factors of stacked blocks so that they multiply the leading axis of `leaf`."""
    if isinstance(factor, tuple):
        return np.reshape(np.array(factor, np.float32), (-1,) + (1,) * (leaf.ndim - 1))
    return factor


def where_trained(groups: Mapping[str, ParamGroup], trained: Params, frozen: Params) -> Params:
    """Take what is trained from one dict and what is frozen from another of the same paths.

    Of stacked blocks that are trained in part, each block is taken from where it belongs.
    """

    def choose(keys: tuple[Any, ...], new: jax.Array, old: jax.Array) -> jax.Array:
        factor = np.atleast_1d(groups[path_of(keys)].learning_rate)
        below = len(factor) - np.count_nonzero(factor)
        if 0 < below < len(factor):
            # Unlike jnp.where, this lets XLA leave out the backward pass of unrolled frozen blocks.
            return jnp.concatenate([old[:below], new[below:]])
        return old if below else new

    return jax.tree_util.tree_map_with_path(choose, trained, frozen)


def stop_frozen(groups: Mapping[str, ParamGroup], params: Params) -> Params:
    """Cut the gradient of frozen parameters and of frozen blocks of stacked ones.

    The backward pass of a frozen parameter is not even computed. That of a frozen block is not when
    the blocks are unrolled; a loop over blocks or microbatches computes it and drops it.
    """
    return where_trained(groups, params, jax.lax.stop_gradient(params))


def _decay_and_scale(groups: Mapping[str, ParamGroup]) -> optax.GradientTransformation:
    """Add each parameter's weight decay, then apply its factor on the learning rate."""

    def update(updates: Any, state: optax.EmptyState, params: Any = None) -> tuple[Any, Any]:
        def one(keys: tuple[Any, ...], update: jax.Array, param: jax.Array) -> jax.Array:
            group = groups[path_of(keys)]
            factor = _along_blocks(group.learning_rate, param)
            return factor * (update + group.weight_decay * param)

        return jax.tree_util.tree_map_with_path(one, updates, params), state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)


def _scale_by_moments(settings: Optimizer) -> optax.GradientTransformation:
    dtype = jnp.dtype(settings.moment_dtype)
    match settings.kind:
        case "adamw":
            return optax.scale_by_adam(settings.b1, settings.b2, settings.eps, mu_dtype=dtype)
        case "adafactor":
            scale_by_rms = optax.scale_by_factored_rms(
                decay_rate_fn=lambda t, power: jnp.minimum(settings.b2, 1 - (t + 1.0) ** -power)
            )
            momentum = optax.ema(settings.b1, debias=False, accumulator_dtype=dtype)
            return optax.chain(scale_by_rms, momentum)


def make_optimizer(
    settings: Optimizer, groups: Mapping[str, ParamGroup], rate: optax.Schedule
) -> optax.GradientTransformation:
    """Build the optimizer.

    Frozen parameters get zero updates and no moments; the clipped norm is that of the others.
    Frozen blocks of a stack have no gradient (`stop_frozen`), and so no part in that norm.
    """
    clip = (
        optax.identity()
        if settings.clip_norm is None
        else optax.clip_by_global_norm(settings.clip_norm)
    )
    trained = optax.chain(
        clip,
        _scale_by_moments(settings),
        _decay_and_scale(groups),
        optax.scale_by_learning_rate(rate),
    )
    return optax.partition(
        {"trained": trained, "frozen": optax.set_to_zero()},
        lambda params: map_paths(
            lambda path, _: "frozen" if groups[path].frozen else "trained", params
        ),
    )
