"""Checkpoints on disk; the only place that touches Orbax.

A checkpoint holds the training state, the run's progress (data position, counters) and a
description of the model: its architecture, preprocessing and tokenizer. It restores onto any
arrangement of devices, and only into a model of the same description.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orbax.checkpoint as ocp

from kgclip_jax import schema
from kgclip_jax.errors import CheckpointError
from kgclip_jax.models import spec
from kgclip_jax.models.dual_encoder import Params
from kgclip_jax.training.step import TrainState

Description = dict[str, Any]


def describe(model: spec.DualEncoder, tokenizer_fingerprint: str) -> Description:
    """What a checkpoint says of the model inside it."""
    return {"model": schema.to_dict(model), "tokenizer": tokenizer_fingerprint}


class Checkpoints:
    """The checkpoints of one run, saved in the background.

    Args:
        directory: where they lie; made when the first one is saved.
        description: of the model, see `describe`.
        keep: newest ones that stay on disk.
    """

    def __init__(self, directory: Path, description: Description, keep: int = 3) -> None:
        self._directory = directory.absolute()
        self._description = description
        options = ocp.CheckpointManagerOptions(max_to_keep=keep, enable_async_checkpointing=True)
        with _clear_errors(f"cannot keep checkpoints in {directory}"):
            self._directory.mkdir(parents=True, exist_ok=True)
            self._manager = ocp.CheckpointManager(self._directory, options=options)

    def steps(self) -> list[int]:
        """Steps that can be restored, oldest first."""
        return sorted(self._manager.all_steps())

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
        with _clear_errors(self._advice()):
            if step not in self._manager.all_steps():
                self._manager.save(step, args=ocp.args.Composite(**items))

    def check(self) -> None:
        """Raise CheckpointError when a save in the background has failed."""
        with _clear_errors(self._advice()):
            self._manager.check_for_errors()

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
        args = ocp.args.Composite(**{name: ocp.args.StandardRestore(abstract)})
        with _clear_errors(f"cannot read {name} of checkpoint {self._directory / str(step)}"):
            return self._manager.restore(step, args=args)[name]

    def close(self) -> None:
        """Wait for the save under way. Raises CheckpointError when it fails."""
        with _clear_errors(self._advice()):
            self._manager.wait_until_finished()
            self._manager.close()

    def _advice(self) -> str:
        steps = self.steps()
        kept = f"the checkpoint of step {steps[-1]} is whole" if steps else "there is none yet"
        return f"cannot write a checkpoint to {self._directory} ({kept})"

    def _check_description(self, step: int) -> None:
        if step not in self._manager.all_steps():
            known = ", ".join(map(str, self.steps())) or "none"
            raise CheckpointError(f"{self._directory} has no step {step}; it has: {known}")
        args = ocp.args.Composite(description=ocp.args.JsonRestore())
        with _clear_errors(f"cannot read checkpoint {self._directory / str(step)}"):
            saved = self._manager.restore(step, args=args)["description"]
        lines = [
            f"  {key}: {old!r} in the checkpoint, {new!r} here"
            for key, old, new in schema.differences(saved, self._description)
        ]
        if lines:
            where = self._directory / str(step)
            raise CheckpointError(f"{where} holds another model:\n" + "\n".join(lines))


class _clear_errors:  # noqa: N801
    """Turn what a failing disk or a damaged file raises into a CheckpointError."""

    def __init__(self, message: str) -> None:
        self._message = message

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, (OSError, ValueError, KeyError, RuntimeError)):
            raise CheckpointError(f"{self._message}: {error}") from error
