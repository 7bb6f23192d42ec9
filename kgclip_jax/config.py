"""What an experiment is: frozen dataclasses, built once from a config file and validated.

Config files (`configs/*.py`) return an `ml_collections.ConfigDict` with these keys. Functions are
given the parts that they use, never the whole experiment.
"""

import dataclasses
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ml_collections import ConfigDict, config_dict

from kgclip_jax import schema
from kgclip_jax.data.emoji.world import EmojiWorld
from kgclip_jax.data.tokenizer import END_OF_TEXT, VOCABULARY_SIZE
from kgclip_jax.errors import ConfigError
from kgclip_jax.models import spec
from kgclip_jax.models.transformer import Execution
from kgclip_jax.objectives.contrastive import Contrastive


def _check(holds: bool, message: str) -> None:
    """Raise ValueError, to which `schema.parse` adds the place, unless a setting makes sense."""
    if not holds:
        raise ValueError(message)


@dataclass(frozen=True)
class EmojiSource:
    """Scenes of emoji drawings, rendered on the fly.

    Attributes:
        kind: tells this source apart from the others.
        world: what the scenes are made of.
        weight: share of the training pairs, relative to the other sources.
        evaluation_items: size of each held-out set; 0 for none.
    """

    kind: Literal["emoji"]
    world: EmojiWorld
    weight: float = 1.0
    evaluation_items: int = 500

    def __post_init__(self) -> None:
        _check(self.weight > 0, "weight must be positive")
        _check(self.evaluation_items != 1, "evaluation_items must be 0, or 2 and more")


@dataclass(frozen=True)
class PhotographSource:
    """A folder of photographs with a captions file (Flickr CSV or COCO json).

    Attributes:
        kind: tells this source apart from the others.
        folder: where it lies, absolute or relative to `data.path`.
        split: the part to train on, as the folder's split file or captions files name it.
        evaluation_split: the part to evaluate retrieval on, or None.
        crop_scale: least and largest share of the picture that a random crop covers.
        weight: share of the training pairs, relative to the other sources.
    """

    kind: Literal["photographs"]
    folder: str = "."
    split: str = "train"
    evaluation_split: str | None = None
    crop_scale: tuple[float, float] = (0.9, 1.0)
    weight: float = 1.0

    def __post_init__(self) -> None:
        low, high = self.crop_scale
        _check(0 < low <= high <= 1, "crop_scale must be two shares between 0 and 1")
        _check(self.weight > 0, "weight must be positive")


@dataclass(frozen=True)
class Data:
    """Where training pairs come from.

    Attributes:
        sources: by name; mixed by their weights.
        path: folder that the sources' relative folders start from.
        bad_share: give up when a larger share of the records cannot be used.
        workers: processes that prepare batches; 0 prepares them in threads of the main process.
        text_buckets: lengths that text batches are cut to, the smallest that holds the longest text
            of the batch; the context length is always one of them.
    """

    sources: dict[str, EmojiSource | PhotographSource]
    path: str = "."
    bad_share: float = 0.05
    workers: int = 1
    text_buckets: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        _check(bool(self.sources), "sources must name at least one source")
        _check(self.workers >= 0, "workers must not be negative")
        _check(0 <= self.bad_share <= 1, "bad_share must be a share between 0 and 1")


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
    warmup_steps: int = 0
    timescale: int = 10_000
    cooldown_steps: int = 0

    def __post_init__(self) -> None:
        only_rsqrt = (self.timescale, self.cooldown_steps) == (10_000, 0)
        _check(
            self.kind == "rsqrt" or only_rsqrt,
            f"timescale and cooldown_steps mean nothing for {self.kind}",
        )
        _check(
            min(self.warmup_steps, self.cooldown_steps) >= 0 and self.timescale > 0,
            "steps must not be negative",
        )


@dataclass(frozen=True)
class Group:
    """Parameters whose path matches a regular expression, and how they are trained.

    Attributes:
        pattern: searched in paths like "vision/blocks/mlp/up/kernel"; the first match decides.
        learning_rate: factor on the rate.
        weight_decay: instead of the optimizer's, or None to keep it.
        frozen: neither trained nor given optimizer state.
    """

    pattern: str
    learning_rate: float = 1.0
    weight_decay: float | None = None
    frozen: bool = False


@dataclass(frozen=True)
class Optimizer:
    """AdamW (Loshchilov and Hutter 2019) with clipping, groups and an optional moving average.

    Attributes:
        learning_rate: at the peak of the schedule.
        schedule: its course.
        b1: decay of the first moment.
        b2: decay of the second moment.
        eps: added to the root of the second moment.
        weight_decay: of dense kernels and the token embedding; biases, norms, positions, tokens and
            temperatures have none unless a group says so.
        clip_norm: largest global norm of the gradient, or None.
        moment_dtype: of the first moment.
        groups: exceptions by path.
        ema_decay: of a moving average of the parameters, or None.
    """

    learning_rate: float
    schedule: Schedule = field(default_factory=Schedule)
    b1: float = 0.9
    b2: float = 0.98
    eps: float = 1e-6
    weight_decay: float = 0.1
    clip_norm: float | None = 1.0
    moment_dtype: Literal["float32", "bfloat16"] = "float32"
    groups: tuple[Group, ...] = ()
    ema_decay: float | None = None

    def __post_init__(self) -> None:
        _check(self.learning_rate > 0, "learning_rate must be positive")
        _check(self.ema_decay is None or 0 < self.ema_decay < 1, "ema_decay must be in (0, 1)")
        _check(self.clip_norm is None or self.clip_norm > 0, "clip_norm must be positive")


@dataclass(frozen=True)
class Mesh:
    """How devices are arranged; -1 stands for all that remain.

    Attributes:
        data: copies of the model, each with its part of the batch.
        fsdp: devices that share the parameters of one copy, each with its part of the batch.
        tensor: devices that share each matrix product.
    """

    data: int = -1
    fsdp: int = 1
    tensor: int = 1


@dataclass(frozen=True)
class Checkpoints:
    """When to save, and how many to keep.

    Attributes:
        every: steps between checkpoints; the last step is always saved.
        keep: newest checkpoints that stay on disk.
    """

    every: int = 1000
    keep: int = 3

    def __post_init__(self) -> None:
        _check(min(self.every, self.keep) >= 1, "every and keep must be at least 1")


@dataclass(frozen=True)
class Experiment:
    """One training run.

    Attributes:
        model: the architecture, by every dimension (see `models/presets.py`).
        data: the training pairs and held-out sets.
        objectives: what is minimised: a weighted sum.
        optimizer: how.
        total_steps: length of training, and of the learning-rate schedule.
        batch_size: pairs in a step, over all devices.
        seed: of parameters, order of records, captions and crops.
        execution: precision, recomputation and loop unrolling.
        mesh: the arrangement of devices.
        checkpoints: when to save.
        log_every: steps between lines of metrics.
        evaluate_every: steps between evaluations, or None for one at the end.
    """

    model: spec.DualEncoder
    data: Data
    objectives: dict[str, Contrastive]
    optimizer: Optimizer
    total_steps: int
    batch_size: int
    seed: int = 0
    execution: Execution = field(default_factory=Execution)
    mesh: Mesh = field(default_factory=Mesh)
    checkpoints: Checkpoints = field(default_factory=Checkpoints)
    log_every: int = 10
    evaluate_every: int | None = None

    def __post_init__(self) -> None:
        for name in ("total_steps", "batch_size", "log_every"):
            value = getattr(self, name)
            _check(value >= 1, f"{name} must be at least 1, not {value}")
        _check(self.seed >= 0, "seed must not be negative")
        _check(self.evaluate_every is None or self.evaluate_every >= 1, "evaluate_every: 1 or more")
        self._check_text()
        self._check_objectives()

    def _check_text(self) -> None:
        text, buckets = self.model.text, self.data.text_buckets
        _check(text.causal or not buckets, "data.text_buckets needs a causal text tower")
        _check(
            all(0 < length <= text.context_length for length in buckets),
            f"data.text_buckets must lie between 1 and the context length {text.context_length}",
        )
        _check(
            text.vocabulary >= VOCABULARY_SIZE,
            f"model.text.vocabulary {text.vocabulary} is smaller than the tokenizer's "
            f"{VOCABULARY_SIZE}",
        )
        _check(
            text.pooling != "eos" or text.eos_id == END_OF_TEXT,
            f"model.text.eos_id must be the tokenizer's {END_OF_TEXT}",
        )

    def _check_objectives(self) -> None:
        _check(bool(self.objectives), "objectives must name at least one objective")
        for key, objective in self.objectives.items():
            _check(key == objective.name, f"objectives.{key} must be called {objective.name}")
            _check(
                objective.form != "sigmoid" or self.model.logit_bias is not None,
                "the sigmoid form needs model.logit_bias (SigLIP: -10)",
            )


def experiment(values: Mapping[str, Any]) -> Experiment:
    """Validate a config. Raises ConfigError naming the key, with the nearest known ones."""
    return schema.parse(Experiment, values)


def complete(values: ConfigDict) -> ConfigDict:
    """Return a config with every setting in it, so that the command line can change any of them."""
    return ConfigDict(_overridable(experiment(values.to_dict())))


def _overridable(value: Any) -> Any:
    """Turn dataclasses into dicts, and settings that are None into typed placeholders."""
    if isinstance(value, dict):
        return {key: _overridable(item) for key, item in value.items()}
    if isinstance(value, tuple):  # is overridden as a whole, and would hide placeholders
        return tuple(schema.to_dict(x) if dataclasses.is_dataclass(x) else x for x in value)
    if not dataclasses.is_dataclass(value):
        return value
    settings = {}
    annotations = typing.get_type_hints(type(value))
    for entry in dataclasses.fields(value):
        setting = getattr(value, entry.name)
        if setting is None:
            kinds = typing.get_args(annotations[entry.name])
            setting = config_dict.placeholder(next(k for k in kinds if k is not type(None)))
        settings[entry.name] = _overridable(setting)
    return settings


SAFE_TO_CHANGE = (
    "total_steps",
    "log_every",
    "evaluate_every",
    "checkpoints",
    "data.workers",
    "data.path",
    "mesh",
    "execution.remat",
    "execution.unroll",
)


def check_resumable(saved: Mapping[str, Any], new: Experiment) -> None:
    """Refuse to continue a run under settings that would make it another run.

    Args:
        saved: the run's `config.json`.
        new: the settings of this launch.

    Raises:
        ConfigError: with one line for each changed key outside `SAFE_TO_CHANGE`.
    """
    changed = [
        f"  {key}: {old!r} -> {now!r}"
        for key, old, now in schema.differences(saved, schema.to_dict(new))
        if not any(key == safe or key.startswith(f"{safe}.") for safe in SAFE_TO_CHANGE)
    ]
    if changed:
        raise ConfigError(
            "this workdir holds a run with another config:\n"
            + "\n".join(changed)
            + "\nUse another --workdir, or undo these changes. "
            + f"Safe to change: {', '.join(SAFE_TO_CHANGE)}."
        )
