"""Settings of the optimizer, and of what is trained in a pretrained model."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from kgclip_jax.models.adapters import TARGETS, Lora, Target
from kgclip_jax.ranges import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, Range
from kgclip_jax.schema import check

Decay = Annotated[float, Range(0, 1, open_high=True)]


@dataclass(frozen=True)
class Schedule:
    """Learning rate over time: a linear warm-up, then a curve, as factors on the peak rate.

    Attributes:
        kind: "cosine" falls to zero at the last step, "rsqrt" falls with the inverse square root of
            the step and linearly to zero over `cooldown_steps`, "constant" stays.
        warmup_steps: length of the rise from zero.
        timescale: rsqrt only: steps after the warm-up until the rate has fallen to 1/sqrt(2).
        cooldown_steps: rsqrt only.
    """

    kind: Literal["cosine", "rsqrt", "constant"] = "cosine"
    warmup_steps: NonNegativeInt = 0
    timescale: PositiveInt = 10_000
    cooldown_steps: NonNegativeInt = 0

    def __post_init__(self) -> None:
        only_rsqrt = (self.timescale, self.cooldown_steps) == (10_000, 0)
        check(
            self.kind == "rsqrt" or only_rsqrt,
            f"timescale and cooldown_steps mean nothing for {self.kind}",
        )


@dataclass(frozen=True)
class Group:
    """Parameters whose path matches a regular expression, and how they are trained.

    Attributes:
        pattern: searched in paths like "vision/blocks/mlp/up/kernel"; the first match decides.
        learning_rate: factor on the rate, beside that of the tower's tuning; to freeze, set
            `frozen`.
        weight_decay: instead of the optimizer's, or None to keep it.
        frozen: True for neither trained nor given optimizer state, False for trained at
            `learning_rate` whatever the tower's tuning says, None to keep to the tuning.
    """

    pattern: str
    learning_rate: PositiveFloat = 1.0
    weight_decay: NonNegativeFloat | None = None
    frozen: bool | None = None


@dataclass(frozen=True)
class Optimizer:
    """The optimizer, with clipping, groups and an optional moving average.

    Attributes:
        learning_rate: at the peak of the schedule.
        schedule: its course.
        b1: decay of the first moment.
        b2: decay of the second moment; the highest for adafactor, 1 - t^-0.8 in step t.
        eps: adamw only: added to the root of the second moment.
        weight_decay: of dense kernels, LoRA factors and the token embedding; biases, norms,
            positions, tokens and temperatures have none unless a group says so.
        clip_norm: largest global norm of the gradient, or None.
        moment_dtype: of the first moment.
        groups: exceptions by path.
        ema_decay: of a moving average of the parameters, or None.
        kind: "adamw" (Loshchilov and Hutter 2019), or "adafactor" as Zhai et al. 2022 ("Scaling
            vision transformers") and SigLIP have it: the second moment of a kernel by its rows and
            columns (Shazeer and Stern 2018) with a momentum and decoupled weight decay, and without
            relative steps. A kernel of a block is factored for itself, where both its sides have
            128; the fused one of queries, keys and values as a whole.
    """

    learning_rate: PositiveFloat
    schedule: Schedule = field(default_factory=Schedule)
    b1: Decay = 0.9
    b2: Decay = 0.98
    eps: PositiveFloat = 1e-6
    weight_decay: NonNegativeFloat = 0.1
    clip_norm: PositiveFloat | None = 1.0
    moment_dtype: Literal["float32", "bfloat16"] = "float32"
    groups: tuple[Group, ...] = ()
    ema_decay: Annotated[float, Range(0, 1, open_low=True, open_high=True)] | None = None
    kind: Literal["adamw", "adafactor"] = "adamw"

    def __post_init__(self) -> None:
        check(self.kind == "adamw" or self.eps == 1e-6, "eps means nothing for adafactor")


@dataclass(frozen=True)
class TowerTuning:
    """What is trained in one tower, and how fast its layers learn.

    Attributes:
        kind: "full" trains everything, "frozen" nothing, "last" the last blocks and what stands
            above them, "lora" small factors beside the frozen kernels (Hu et al. 2022).
        blocks: last only: how many; 0 leaves what stands above the blocks.
        layer_decay: factor on the learning rate from each layer to the one below it. What stands
            above the blocks has 1, the last of n blocks layer_decay, the first one layer_decay^n,
            embeddings and positions layer_decay^(n + 1) (Bao et al. 2022, BEiT; open_clip has the
            norm behind the blocks with the last one). LoRA's factors have their block's. What is
            frozen stays frozen.
        rank: lora only, like the next two: see `kgclip_jax.models.adapters.Lora`.
        alpha: factor on the product of the factors, times `rank`.
        targets: layers of every block that have factors.
    """

    kind: Literal["full", "frozen", "last", "lora"] = "full"
    blocks: NonNegativeInt | None = None
    layer_decay: Annotated[float, Range(0, 1, open_low=True)] = 1.0
    rank: PositiveInt | None = None
    alpha: PositiveFloat | None = None
    targets: tuple[Target, ...] = TARGETS

    def __post_init__(self) -> None:
        last, lora = self.kind == "last", self.kind == "lora"
        check(last == (self.blocks is not None), "blocks is for kind last, which needs it")
        check(lora == (self.rank is not None), "rank is for kind lora, which needs it")
        check(
            lora or (self.alpha, self.targets) == (None, TARGETS), "alpha, targets: for kind lora"
        )
        check(self.kind != "frozen" or self.layer_decay == 1, "layer_decay: not for kind frozen")
        if self.rank is not None:
            Lora(self.rank, self.alpha, self.targets)  # refuses values that make no sense

    @property
    def lora(self) -> Lora | None:
        """The adapters of the tower, if it has any."""
        return None if self.rank is None else Lora(self.rank, self.alpha, self.targets)


@dataclass(frozen=True)
class Tuning:
    """What is trained; what belongs to neither tower always is.

    Attributes:
        vision: of the image tower.
        text: of the text tower.
    """

    vision: TowerTuning = field(default_factory=TowerTuning)
    text: TowerTuning = field(default_factory=TowerTuning)

    @property
    def towers(self) -> dict[str, TowerTuning]:
        """The settings of each tower by its name in parameter paths."""
        return {"vision": self.vision, "text": self.text}

    @property
    def adapters(self) -> dict[str, Lora]:
        """The adapters of those towers that have some."""
        towers = self.towers.items()
        return {name: tower.lora for name, tower in towers if tower.lora is not None}
