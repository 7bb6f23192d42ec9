"""Frozen teachers: trained models that objectives learn from, read once and kept with the run.

The run keeps a copy in its workdir, so that it goes on after its source, or the workdir itself, has
moved; checkpoints hold nothing of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from kgclip_jax import schema
from kgclip_jax.data.preprocessing import Preprocessing
from kgclip_jax.data.tokenization.triple_tokenizer import triple_tokenizer
from kgclip_jax.errors import ConfigError
from kgclip_jax.loading import Trained, open_trained
from kgclip_jax.models import spec
from kgclip_jax.models.dual_encoder import Model
from kgclip_jax.models.teachers import Teacher, TeacherConfig
from kgclip_jax.models.transformer import Execution
from kgclip_jax.store.checkpoints import Checkpoints, saved_steps
from kgclip_jax.store.description import fingerprints

_STEP = 0  # of the one checkpoint that the copy of a teacher is


@dataclass(frozen=True)
class DualEncoderTeacher:
    """A trained dual encoder.

    Attributes:
        kind: tells this teacher apart from others.
        init_from: as of an experiment, see `kgclip_jax.load`.
    """

    kind: Literal["dual_encoder"]
    init_from: str

    def open(self) -> Trained:
        """Find the trained model."""
        return open_trained(self.init_from)


def open_teachers(
    settings: Mapping[str, TeacherConfig],
    folder: Path,
    reading: Preprocessing,
    execution: Execution,
) -> dict[str, Teacher]:
    """Read the teachers of a run, the first time from where they are and then from its folder.

    Args:
        settings: of each teacher, by name.
        folder: where the run keeps its copies.
        reading: how the student reads pictures and texts: a teacher gets the same inputs.
        execution: how a teacher is computed.

    Raises:
        ConfigError: a teacher reads pictures of another size, or other tokens.
        CheckpointError: a copy is damaged.
    """
    teachers = {}
    for name, entry in settings.items():
        if not saved_steps(folder / name):
            _keep(name, entry.open(), folder / name, reading)
        teachers[name] = _read(folder / name, execution)
    return teachers


def _keep(name: str, trained: Trained, folder: Path, reading: Preprocessing) -> None:
    _check_reading(f"config.teachers.{name} ({trained.origin})", trained, reading)
    checkpoints = Checkpoints(folder)
    checkpoints.save(
        _STEP,
        {"model": trained.read()},
        progress={"origin": trained.origin},
        description={"model": schema.to_dict(trained.shape)},
    )
    checkpoints.close()


def _read(folder: Path, execution: Execution) -> Teacher:
    checkpoints = Checkpoints(folder)
    description, progress = checkpoints.description(_STEP), checkpoints.progress(_STEP)
    shape = schema.parse(spec.DualEncoder, description["model"], path=str(folder))
    model = Model(shape, execution)
    params = checkpoints.restore_on_host(_STEP, "model", model.abstract())
    checkpoints.close()
    return Teacher(model, params, progress["origin"])


def _check_reading(where: str, trained: Trained, reading: Preprocessing) -> None:
    size, context = trained.shape.vision.image_size, trained.shape.text.context_length
    if size != reading.image_size:
        raise ConfigError(f"{where} reads pictures of {size} pixels, not of {reading.image_size}")
    wanted = reading.tokenizer
    if trained.tokenizers is None:
        raise ConfigError(f"{where} has no tokenizer: nobody knows which tokens it reads")
    if fingerprints(trained.shape, trained.tokenizers)["text"] != wanted.fingerprint:
        raise ConfigError(f"{where} reads the tokens of another tokenizer than config.tokenizer")
    if context < wanted.context_length:
        raise ConfigError(
            f"{where} reads at most {context} tokens, and config.model.text.context_length is "
            f"{wanted.context_length}"
        )
    own = triple_tokenizer(trained.shape.knowledge, trained.tokenizers)
    if own is None:
        return
    if reading.triples is None:
        raise ConfigError(f"{where} reads scene graphs, and config.model.knowledge is None")
    if own.rules != reading.triples.rules:
        raise ConfigError(f"{where} reads other triples than config.model.knowledge")
