"""What an experiment is: frozen dataclasses, built once from a config file and validated.

Config files (`configs/*.py`) return an `ml_collections.ConfigDict` with these keys. Functions are
given the parts that they use, never the whole experiment.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

from kgclip_jax import schema
from kgclip_jax.data.evaluation_config import EVALUATIONS, EvaluationConfig
from kgclip_jax.data.sources import SourceConfig
from kgclip_jax.data.stored_pictures import Data
from kgclip_jax.data.streams.stream import STREAMS, StreamConfig
from kgclip_jax.data.tokenization.tokenizer_config import ClipBpe, TokenizerJson, Tokenizers
from kgclip_jax.errors import ConfigError
from kgclip_jax.models import spec
from kgclip_jax.models.heads import HEADS, Head
from kgclip_jax.models.teachers import TEACHERS, TeacherConfig
from kgclip_jax.models.transformer import Execution
from kgclip_jax.objectives.objective import OBJECTIVES, Objective, check_objectives
from kgclip_jax.optimizer_config import Optimizer, Tuning
from kgclip_jax.ranges import INT32_MAX, PositiveFloat, PositiveInt, Range, Seed
from kgclip_jax.schema import LocalPath, check, suggestion
from kgclip_jax.writers.writer import WRITERS, WriterConfig


@dataclass(frozen=True)
class Mesh:
    """How devices are arranged; -1 stands for all that remain.

    Attributes:
        data: copies of the model, each with its part of the batch.
        fsdp: devices that share the parameters of one copy, each with its part of the batch.
        tensor: devices that share each matrix product.
    """

    data: Annotated[int, Range(-1, INT32_MAX)] = -1
    fsdp: Annotated[int, Range(-1, INT32_MAX)] = 1
    tensor: Annotated[int, Range(-1, INT32_MAX)] = 1

    def __post_init__(self) -> None:
        sizes = (self.data, self.fsdp, self.tensor)
        check(0 not in sizes and sizes.count(-1) <= 1, "sizes are positive, at most one is -1")


@dataclass(frozen=True)
class Checkpoints:
    """When to save, and how many to keep.

    Attributes:
        every: steps between checkpoints; the last step is always saved.
        keep: newest checkpoints that stay on disk.
    """

    every: PositiveInt = 1000
    keep: PositiveInt = 3


@dataclass(frozen=True)
class Profile:
    """The steps that JAX's profiler traces.

    Attributes:
        first: step.
        last: step; a few are enough, and many fill the disk.
    """

    first: PositiveInt
    last: PositiveInt

    def __post_init__(self) -> None:
        check(self.first <= self.last, f"first {self.first} comes after last {self.last}")


@dataclass(frozen=True)
class Experiment:
    """One training run.

    Attributes:
        model: the architecture, by every dimension (see `models/presets.py`).
        optimizer: how the objectives are minimised.
        total_steps: length of training, and of the learning-rate schedule.
        streams: what a batch is made of, by name.
        objectives: what is minimised, by name: the sum of their weighted losses.
        heads: modules that objectives train beside the model, by name.
        teachers: frozen models that objectives learn from, by name.
        data: where files lie, and how batches are prepared.
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
        writers: where numbers go beside the workdir, by name.
        profile: steps to be traced into the workdir, or None.
        stall_seconds: after how long without the end of a step the stacks of all threads are
            written into the workdir; None for never.
    """

    model: spec.DualEncoder
    optimizer: Optimizer
    total_steps: PositiveInt
    streams: dict[str, Annotated[StreamConfig, STREAMS]] = field(default_factory=dict)
    objectives: dict[str, Annotated[Objective, OBJECTIVES]] = field(default_factory=dict)
    heads: dict[str, Annotated[Head, HEADS]] = field(default_factory=dict)
    teachers: dict[str, Annotated[TeacherConfig, TEACHERS]] = field(default_factory=dict)
    data: Data = field(default_factory=Data)
    seed: Seed = 0
    execution: Execution = field(default_factory=Execution)
    mesh: Mesh = field(default_factory=Mesh)
    checkpoints: Checkpoints = field(default_factory=Checkpoints)
    log_every: PositiveInt = 10
    evaluate_every: PositiveInt | None = None
    tokenizer: ClipBpe | TokenizerJson = field(default_factory=ClipBpe)
    element_tokenizer: TokenizerJson | None = None
    init_from: str | None = None
    resize_positions: bool = False
    knowledge_init_from: LocalPath | None = None
    tuning: Tuning = field(default_factory=Tuning)
    evaluation: dict[str, Annotated[EvaluationConfig, EVALUATIONS]] = field(default_factory=dict)
    writers: dict[str, Annotated[WriterConfig, WRITERS]] = field(default_factory=dict)
    profile: Profile | None = None
    stall_seconds: PositiveFloat | None = 300.0

    @property
    def tokenizers(self) -> Tokenizers:
        """Those of the model."""
        return Tokenizers(self.tokenizer, self.element_tokenizer)

    @property
    def sources(self) -> list[SourceConfig]:
        """The settings of the sources of all streams that have some."""
        return [
            source
            for stream in self.streams.values()
            for source in getattr(stream, "sources", {}).values()
        ]

    def __post_init__(self) -> None:
        check(
            self.init_from is not None or not self.resize_positions,
            "resize_positions means nothing without init_from",
        )
        check(
            self.profile is None or self.profile.last <= self.total_steps,
            f"profile.last is beyond total_steps {self.total_steps}",
        )
        self._check_knowledge()
        self._check_names()
        for name, stream in self.streams.items():
            try:
                stream.check(reads_graphs=self.model.knowledge is not None)
            except ValueError as error:
                raise ValueError(f"streams.{name}: {error}") from error
        check_objectives(self.objectives, self.model)

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

    def _check_names(self) -> None:
        """See that objectives name streams and heads that are there, and that all are named."""
        used = set()
        for name, objective in self.objectives.items():
            for section, wanted in (
                ("streams", [objective.stream]),
                ("heads", objective.heads),
            ):
                for part in wanted:
                    known = getattr(self, section)
                    check(
                        part in known,
                        f"objectives.{name}: {section}.{part} is not there"
                        f"{suggestion(part, known) if known else ''}",
                    )
                    used.add((section, part))
        for section in ("streams", "heads"):
            for part in getattr(self, section):
                check(
                    (section, part) in used,
                    f"{section}.{part} is used by none of the objectives",
                )


def experiment(values: Mapping[str, Any]) -> Experiment:
    """Validate a config. Raises ConfigError naming the key, with the nearest known ones."""
    return schema.parse(Experiment, values)


SAFE_TO_CHANGE = (
    "total_steps",
    "log_every",
    "evaluate_every",
    "checkpoints",
    "data.workers",
    "data.path",
    "data.bad_share",
    "evaluation",
    "writers",
    "profile",
    "stall_seconds",
    "mesh",
    "execution",  # what its dtype comes to on a platform is promised: see training/promises.py
)


def check_resumable(
    saved: Mapping[str, Any], new: Experiment, *, also_safe: Sequence[str] = ()
) -> None:
    """Refuse to continue a run under settings that would make it another run.

    Args:
        saved: the run's `config.json`; a setting that is younger than it had its default.
        new: the settings of this launch.
        also_safe: keys that may change beside `SAFE_TO_CHANGE`.

    Raises:
        ConfigError: with one line for each changed key that is not safe to change.
    """
    try:
        before = schema.to_dict(experiment(saved))
    except ConfigError as error:
        raise ConfigError(
            f"this workdir holds a run of another version: {error}. Use another --workdir"
        ) from error
    safe = (*SAFE_TO_CHANGE, *also_safe)
    changed = [
        f"  {key}: {old!r} -> {now!r}"
        for key, old, now in schema.differences(before, schema.to_dict(new))
        if not any(key == known or key.startswith(f"{known}.") for known in safe)
    ]
    if changed:
        raise ConfigError(
            "this workdir holds a run with another config:\n"
            + "\n".join(changed)
            + "\nUse another --workdir, or undo these changes. "
            + f"Safe to change: {', '.join(safe)}."
        )
