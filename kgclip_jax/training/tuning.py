"""Which layers of a pretrained model learn, and how fast: learning-rate factors by path."""

from typing import NamedTuple

import jax

from kgclip_jax.errors import ConfigError
from kgclip_jax.models.dual_encoder import Params
from kgclip_jax.optimizer_config import TowerTuning, Tuning
from kgclip_jax.paths import leaves_by_path

# On the learning rate of a parameter, or of each of its stacked blocks. 0 is frozen; frozen blocks
# stand below those that are trained.
Factor = float | tuple[float, ...]

# What a tower computes before its blocks; what is neither named here nor a block stands above them.
BELOW_BLOCKS = frozenset({"patch", "class_token", "positions", "norm_pre", "embedding"})


def learning_rate_factors(tuning: Tuning, params: Params) -> dict[str, Factor]:
    """Return the factor of each parameter, by path.

    Raises:
        ConfigError: when a tower has fewer blocks than are to be trained.
    """
    factors: dict[str, Factor] = dict.fromkeys(leaves_by_path(params), 1.0)
    for tower, settings in tuning.towers.items():
        depth = jax.tree.leaves(params["model"][tower]["blocks"])[0].shape[0]
        if settings.blocks is not None and settings.blocks > depth:
            raise ConfigError(
                f"config.tuning.{tower}.blocks: {settings.blocks}, but the tower has {depth}"
            )
        layers = _layers(settings, depth)
        for path in factors:
            if path.startswith(f"model/{tower}/"):
                factors[path] = layers.of(path.split("/")[2])
            elif path.startswith(f"adapters/{tower}/"):
                factors[path] = layers.adapters
    return factors


class _Layers(NamedTuple):
    """The factors of a tower: below its blocks, of the blocks, above them, of LoRA's factors."""

    below: float
    blocks: Factor
    above: float
    adapters: Factor

    def of(self, part: str) -> Factor:
        """The factor of a part of the tower, by name."""
        if part == "blocks":
            return self.blocks
        return self.below if part in BELOW_BLOCKS else self.above


def _layers(settings: TowerTuning, depth: int) -> _Layers:
    rates = tuple(settings.layer_decay**height for height in range(depth, 0, -1))
    match settings.kind:
        case "frozen" | "lora":
            return _Layers(0.0, 0.0, 0.0, _shortest(rates))
        case "full":
            below, frozen = settings.layer_decay ** (depth + 1), 0
        case "last":
            below, frozen = 0.0, depth - (settings.blocks or 0)
    blocks = (0.0,) * frozen + rates[frozen:]
    return _Layers(below, _shortest(blocks), 1.0, _shortest(rates))


def _shortest(rates: tuple[float, ...]) -> Factor:
    return rates[0] if len({*rates}) == 1 else rates
