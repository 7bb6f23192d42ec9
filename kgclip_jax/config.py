"""What an experiment is: frozen dataclasses, built once from a config file and validated.

Config files (`configs/*.py`) return an `ml_collections.ConfigDict` with these keys. Functions are
given the parts that they use, never the whole experiment.
"""

import dataclasses
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ml_collections import ConfigDict, config_dict

from kgclip_jax import schema
from kgclip_jax.data.evaluation_config import HeldOut
from kgclip_jax.data.settings import Data, EmojiSource
from kgclip_jax.data.tokenization.settings import ClipBpe, TokenizerJson
from kgclip_jax.errors import ConfigError
from kgclip_jax.models import spec
from kgclip_jax.models.transformer import Execution
from kgclip_jax.objectives.base import Objective
from kgclip_jax.objectives.ce_clip import CeClip
from kgclip_jax.objectives.contrastive import Contrastive
from kgclip_jax.objectives.structure_clip import StructureClip
from kgclip_jax.schema import check
from kgclip_jax.training.settings import Optimizer, Tuning
from kgclip_jax.types import Tokenizer


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
        check(min(self.every, self.keep) >= 1, "every and keep must be at least 1")


@dataclass(frozen=True)
class Objectives:
    """What is minimised: the weighted sum of those that are given.

    Attributes:
        contrastive: CLIP's or SigLIP's loss, or NegCLIP's.
        structure_clip: captions against their swapped twins.
        ce_clip: further terms for negatives, beside `contrastive`.
    """

    contrastive: Contrastive | None = None
    structure_clip: StructureClip | None = None
    ce_clip: CeClip | None = None

    def __post_init__(self) -> None:
        check(bool(self.chosen()), "objectives must name at least one objective")

    def chosen(self) -> list[Objective]:
        """Those that are given."""
        given = [getattr(self, entry.name) for entry in dataclasses.fields(self)]
        return [objective for objective in given if objective is not None]


@dataclass(frozen=True)
class Experiment:
    """One training run.

    Attributes:
        model: the architecture, by every dimension (see `models/presets.py`).
        data: the training pairs and held-out sets.
        objectives: what is minimised.
        optimizer: how.
        total_steps: length of training, and of the learning-rate schedule.
        batch_size: pairs in a step, over all devices.
        seed: of parameters, order of records, captions and crops.
        execution: precision, recomputation, loop unrolling and microbatches.
        mesh: the arrangement of devices.
        checkpoints: when to save.
        log_every: steps between lines of metrics.
        evaluate_every: steps between evaluations, or None for one at the end.
        tokenizer: which vocabulary, and how texts are cleaned.
        element_tokenizer: of the word pieces that `model.knowledge` reads, if it reads them: BERT's
            `tokenizer.json`.
        init_from: start from this model instead of random parameters: a workdir, a Hugging Face or
            open_clip folder or hub id, or a file of weights (see `kgclip_jax.load`).
        resize_positions: adapt that model's position table to this image size, by bicubic
            interpolation; otherwise another size is refused.
        knowledge_init_from: start `model.knowledge` from the embeddings and first blocks of this
            BERT, a Hugging Face folder; only for word pieces.
        tuning: which parts of each tower are trained, and how.
        evaluation: held-out sets beside those of the sources, by name.
    """

    model: spec.DualEncoder
    data: Data
    objectives: Objectives
    optimizer: Optimizer
    total_steps: int
    batch_size: int
    seed: int = 0
    execution: Execution = field(default_factory=Execution)
    mesh: Mesh = field(default_factory=Mesh)
    checkpoints: Checkpoints = field(default_factory=Checkpoints)
    log_every: int = 10
    evaluate_every: int | None = None
    tokenizer: ClipBpe | TokenizerJson = field(default_factory=ClipBpe)
    element_tokenizer: TokenizerJson | None = None
    init_from: str | None = None
    resize_positions: bool = False
    knowledge_init_from: str | None = None
    tuning: Tuning = field(default_factory=Tuning)
    evaluation: dict[str, HeldOut] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("total_steps", "batch_size", "log_every"):
            value = getattr(self, name)
            check(value >= 1, f"{name} must be at least 1, not {value}")
        check(self.seed >= 0, "seed must not be negative")
        check(self.evaluate_every is None or self.evaluate_every >= 1, "evaluate_every: 1 or more")
        check(
            self.init_from is not None or not self.resize_positions,
            "resize_positions means nothing without init_from",
        )
        self._check_text()
        self._check_knowledge()
        self._check_graphs()
        self._check_objectives()

    def _check_text(self) -> None:
        text, buckets = self.model.text, self.data.text_buckets
        check(text.causal or not buckets, "data.text_buckets needs a causal text tower")
        check(
            all(0 < length <= text.context_length for length in buckets),
            f"data.text_buckets must lie between 1 and the context length {text.context_length}",
        )

    def _check_knowledge(self) -> None:
        knowledge = self.model.knowledge
        pieces = knowledge is not None and knowledge.elements == "wordpiece"
        check(
            pieces == (self.element_tokenizer is not None),
            "element_tokenizer is for model.knowledge.elements 'wordpiece', which need it",
        )
        check(
            pieces or self.knowledge_init_from is None,
            "knowledge_init_from is for model.knowledge.elements 'wordpiece'",
        )

    def _check_graphs(self) -> None:
        """See that scene graphs are known of all texts that they are read of."""
        negatives = self.data.negatives
        shuffled = [] if negatives is None else negatives.without_graphs
        check(
            self.model.knowledge is None or not shuffled,
            f"data.negatives.kinds: {', '.join(shuffled)} cannot go with model.knowledge: nobody "
            "knows the scene graphs of such negatives, so that captions alone would get what the "
            "encoder adds, and could be told by that",
        )
        readers = [] if self.model.knowledge is None else ["model.knowledge"]
        if negatives is not None and negatives.of_graphs:
            readers.append(f"data.negatives.kinds ({', '.join(negatives.of_graphs)})")
        for name, source in self.data.sources.items():
            check(
                not readers or isinstance(source, EmojiSource) or source.graphs is not None,
                f"data.sources.{name}.graphs is needed by {' and '.join(readers)}: the folder that "
                "`python launch/prepare.py parse` writes",
            )

    def _check_objectives(self) -> None:
        contrastive = self.objectives.contrastive
        check(
            contrastive is None
            or contrastive.form != "sigmoid"
            or self.model.logit_bias is not None,
            "the sigmoid form needs model.logit_bias (SigLIP: -10)",
        )
        readers = [o.name for o in self.objectives.chosen() if o.reads_negatives]
        made = self.data.negatives is not None
        check(made or not readers, f"data.negatives is needed by objectives.{', '.join(readers)}")
        check(not made or bool(readers), "data.negatives is read by none of the objectives")


def check_tokenizer(text: spec.Text, tokenizer: Tokenizer) -> None:
    """Raise ConfigError unless a text tower can read what a tokenizer writes."""
    if text.vocabulary < tokenizer.vocabulary_size:
        raise ConfigError(
            f"config.model.text.vocabulary {text.vocabulary} is smaller than the tokenizer's "
            f"{tokenizer.vocabulary_size}"
        )
    if text.pooling == "eos" and text.eos_id != tokenizer.end_id:
        raise ConfigError(
            f"config.model.text.eos_id {text.eos_id} is not the tokenizer's {tokenizer.end_id}"
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
    "evaluation",
    "mesh",
    "execution.remat",
    "execution.unroll",
    "execution.microbatches",
)


def check_resumable(saved: Mapping[str, Any], new: Experiment) -> None:
    """Refuse to continue a run under settings that would make it another run.

    Args:
        saved: the run's `config.json`; a setting that is younger than it had its default.
        new: the settings of this launch.

    Raises:
        ConfigError: with one line for each changed key outside `SAFE_TO_CHANGE`.
    """
    try:
        before = schema.to_dict(experiment(saved))
    except ConfigError as error:
        raise ConfigError(
            f"this workdir holds a run of another version: {error}. Use another --workdir"
        ) from error
    changed = [
        f"  {key}: {old!r} -> {now!r}"
        for key, old, now in schema.differences(before, schema.to_dict(new))
        if not any(key == safe or key.startswith(f"{safe}.") for safe in SAFE_TO_CHANGE)
    ]
    if changed:
        raise ConfigError(
            "this workdir holds a run with another config:\n"
            + "\n".join(changed)
            + "\nUse another --workdir, or undo these changes. "
            + f"Safe to change: {', '.join(SAFE_TO_CHANGE)}."
        )
