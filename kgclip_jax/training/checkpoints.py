"""Checkpoints on disk; the only place that touches Orbax.

A checkpoint holds the training state, the run's progress (data position, counters) and a
description of the model: its architecture, preprocessing and tokenizers. It restores onto any
arrangement of devices, and only into a model of the same description.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orbax.checkpoint as ocp

from kgclip_jax import schema
from kgclip_jax.errors import CheckpointError, ConfigError
from kgclip_jax.models import spec
from kgclip_jax.models.dual_encoder import Params
from kgclip_jax.training.step import TrainState

Description = dict[str, Any]


def describe(
    model: spec.DualEncoder, tokenizer_fingerprint: str, element_fingerprint: str | None = None
) -> Description:
    """What a checkpoint says of the model inside it.

    Args:
        model: its architecture and preprocessing.
        tokenizer_fingerprint: of its tokenizer.
        element_fingerprint: of the word pieces that its knowledge encoder reads, if it reads them.
    """
    description = {"model": schema.to_dict(model), "tokenizer": tokenizer_fingerprint}
    if element_fingerprint is not None:
        description["element_tokenizer"] = element_fingerprint
    return description


def saved_steps(directory: Path) -> list[int]:
    """Steps that can be restored, oldest first; none where there is no such directory."""
    return sorted(ocp.utils.checkpoint_steps(directory)) if directory.is_dir() else []


class Checkpoints:
    """The checkpoints of one run, saved in the background.

    Args:
        directory: where they lie; made when the first one is saved.
        description: of the model, see `describe`.
        keep: newest ones that stay on disk; what a killed run left half written is removed. None
            keeps all of it, which a reader needs beside a run that is saving.
    """

    def __init__(self, directory: Path, description: Description, keep: int | None = None) -> None:
        self._directory = directory.absolute()
        self._description = description
        options = ocp.CheckpointManagerOptions(
            max_to_keep=keep,
            cleanup_tmp_directories=keep is not None,
            enable_async_checkpointing=True,
        )
        with _clear_errors(f"cannot keep checkpoints in {directory}"):
            self._directory.mkdir(parents=True, exist_ok=True)
            self._manager = ocp.CheckpointManager(self._directory, options=options)

    def save(self, step: int, state: TrainState, progress: Mapping[str, Any]) -> None:
        """Save in the background; an error of the save before this one is raised here.

        Raises:
            CheckpointError: when writing failed; the checkpoints before it are whole.
        """
        items = {
            "params": ocp.args.StandardSave(state.params),
            "optimizer": ocp.args.StandardSave({"step": state.step, "state": state.optimizer}),
            "progress": ocp.args.JsonSave(dict(progress)),
            "description": ocp.args.JsonSave(self._description),
        }
        if state.average is not None:
            items["average"] = ocp.args.StandardSave(state.average)
        with self._saving():
            if step not in self._manager.all_steps():
                self._manager.save(step, args=ocp.args.Composite(**items))

    def check(self) -> None:
        """Raise CheckpointError when a save in the background has failed."""
        if not self._manager.is_saving_in_progress():
            with self._saving():
                self._manager.wait_until_finished()  # raises what the finished save ran into

    def restore(self, step: int, abstract: TrainState) -> tuple[TrainState, dict[str, Any]]:
        """Read a state onto the shardings of `abstract`, and the progress saved with it.

        Raises:
            CheckpointError: when the checkpoint is of another model, incomplete, or absent.
        """
        self._check_description(step)
        optimizer = {"step": abstract.step, "state": abstract.optimizer}
        items = {
            "params": ocp.args.StandardRestore(abstract.params),
            "optimizer": ocp.args.StandardRestore(optimizer),
            "progress": ocp.args.JsonRestore(),
        }
        if abstract.average is not None:
            items["average"] = ocp.args.StandardRestore(abstract.average)
        with _clear_errors(f"cannot read checkpoint {self._directory / str(step)}"):
            restored = self._manager.restore(step, args=ocp.args.Composite(**items))
        average = restored["average"] if abstract.average is not None else None
        state = TrainState(
            restored["optimizer"]["step"],
            restored["params"],
            restored["optimizer"]["state"],
            average,
        )
        return state, restored["progress"]

    def restore_params(self, step: int, abstract: Params, *, averaged: bool = False) -> Params:
        """Read the parameters alone, or their moving average, onto the shardings of `abstract`."""
        self._check_description(step)
        name = "average" if averaged else "params"
        if averaged and not (self._directory / str(step) / name).is_dir():
            raise CheckpointError(
                f"the run of {self._directory} keeps no moving average; it would with "
                "config.optimizer.ema_decay"
            )
        args = ocp.args.Composite(**{name: ocp.args.StandardRestore(abstract)})
        with _clear_errors(f"cannot read {name} of checkpoint {self._directory / str(step)}"):
            return self._manager.restore(step, args=args)[name]

    def close(self) -> None:
        """Wait for the save under way. Raises CheckpointError when it fails."""
        with self._saving():
            try:
                self._manager.wait_until_finished()
            finally:
                self._manager.close()

    @contextmanager
    def _saving(self) -> Iterator[None]:
        """Say in the error of a failed save which checkpoint can be relied on."""
        try:
            yield
        except _ERRORS as error:
            steps = saved_steps(self._directory)
            kept = f"the checkpoint of step {steps[-1]} is whole" if steps else "there is none yet"
            raise CheckpointError(
                f"cannot write a checkpoint to {self._directory} ({kept}): {error}"
            ) from error

    def _check_description(self, step: int) -> None:
        with self._saving():
            self._manager.wait_until_finished()
        steps = saved_steps(self._directory)
        if step not in steps:
            known = ", ".join(map(str, steps)) or "none"
            raise CheckpointError(f"{self._directory} has no step {step}; it has: {known}")
        args = ocp.args.Composite(description=ocp.args.JsonRestore())
        with _clear_errors(f"cannot read checkpoint {self._directory / str(step)}"):
            saved = self._manager.restore(step, args=args)["description"]
        where = self._directory / str(step)
        lines = [
            f"  {key}: {old!r} in the checkpoint, {new!r} here"
            for key, old, new in schema.differences(_up_to_date(saved, where), self._description)
        ]
        if lines:
            raise CheckpointError(f"{where} holds another model:\n" + "\n".join(lines))


def _up_to_date(saved: Description, where: Path) -> Description:
    """Add what is younger than a checkpoint and had its default in it."""
    try:
        model = schema.parse(spec.DualEncoder, saved["model"], path="model")
    except ConfigError as error:
        raise CheckpointError(f"{where} holds a model of another version: {error}") from error
    return saved | {"model": schema.to_dict(model)}


# What a failing disk or a damaged file makes Orbax raise.
_ERRORS = (OSError, ValueError, KeyError, RuntimeError)


@contextmanager
def _clear_errors(message: str) -> Iterator[None]:
    try:
        yield
    except _ERRORS as error:
        raise CheckpointError(f"{message}: {error}") from error
