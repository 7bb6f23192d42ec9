"""Checkpoints on disk; the only place that touches Orbax.

A checkpoint is made of items: trees of arrays by name ("model", "adapters", "heads", "optimizer",
"average"), the run's progress (data position, counters) and a description of the model. Its trees
restore onto any arrangement of devices, or one by one onto the host. Hashes of all that are written
before it gets its name, and compared whenever some of it is read.
"""

import asyncio
import itertools
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from kgclip_jax.errors import CheckpointError
from kgclip_jax.paths import leaves_by_path
from kgclip_jax.store.checksums import damage, write_checksums
from kgclip_jax.store.description import ITEMS

PROGRESS, DESCRIPTION = "progress", "description"
STATE = ("model", "adapters", "heads", "optimizer")
"""Items that a state is restored from: all of them or none. An average may be left alone."""


def saved_steps(directory: Path) -> list[int]:
    """Steps that can be restored, oldest first; none where there is no such directory."""
    return sorted(ocp.utils.checkpoint_steps(directory)) if directory.is_dir() else []


class _Hashed(ocp.path.atomicity.AtomicRenameTemporaryPath):
    """The folder that Orbax saves into, in a thread of its own, until all of it is there."""

    async def finalize(self) -> None:
        """Hash what was saved, then give the folder its name."""
        await asyncio.to_thread(write_checksums, Path(self.get()))
        await super().finalize()


class Checkpoints:
    """The checkpoints of one run, saved in the background.

    Args:
        directory: where they lie; made if it is not there.
        keep: newest ones that stay on disk; what a killed run left half written is removed. None
            keeps all of it, which a reader needs beside a run that is saving.

    Raises:
        CheckpointError: the directory cannot be made.
    """

    def __init__(self, directory: Path, keep: int | None = None) -> None:
        self._directory = directory.absolute()
        options = ocp.CheckpointManagerOptions(
            max_to_keep=keep,
            cleanup_tmp_directories=keep is not None,
            enable_async_checkpointing=True,
            temporary_path_class=_Hashed,
        )
        with _clear_errors(f"cannot keep checkpoints in {directory}"):
            self._directory.mkdir(parents=True, exist_ok=True)
            self._manager = ocp.CheckpointManager(self._directory, options=options)

    def save(
        self,
        step: int,
        items: Mapping[str, Any],
        *,
        progress: Mapping[str, Any],
        description: Mapping[str, Any],
    ) -> None:
        """Save in the background; an error of the save before this one is raised here.

        A step that is saved already is left alone.

        Args:
            step: names the checkpoint.
            items: trees of arrays by name; empty ones are not written.
            progress: JSON.
            description: JSON; under "items" it gets the names of the trees.

        Raises:
            CheckpointError: when writing failed; the checkpoints before it are whole.
        """
        trees = {name: tree for name, tree in items.items() if jax.tree.leaves(tree)}
        described = {**description, ITEMS: sorted(trees)}
        arguments = {name: ocp.args.StandardSave(tree) for name, tree in trees.items()}
        arguments[PROGRESS] = ocp.args.JsonSave(dict(progress))
        arguments[DESCRIPTION] = ocp.args.JsonSave(described)
        with self._saving():
            if step not in self._manager.all_steps():
                self._manager.save(step, args=ocp.args.Composite(**arguments))

    def check(self) -> None:
        """Raise CheckpointError when a save in the background has failed."""
        if not self._manager.is_saving_in_progress():
            with self._saving():
                self._manager.wait_until_finished()  # raises what the finished save ran into

    def close(self) -> None:
        """Wait for the save under way. Raises CheckpointError when it fails."""
        with self._saving():
            try:
                self._manager.wait_until_finished()
            finally:
                self._manager.close()

    def steps(self) -> list[int]:
        """Return the steps that can be restored, oldest first."""
        return saved_steps(self._directory)

    def progress(self, step: int) -> dict[str, Any]:
        """Return the progress saved with a step. Raises CheckpointError where it cannot."""
        return _read_json(self._folder(step, PROGRESS) / PROGRESS)

    def description(self, step: int) -> dict[str, Any]:
        """Return the description saved with a step. Raises CheckpointError where it cannot."""
        return _read_json(self._folder(step, DESCRIPTION) / DESCRIPTION)

    def restore(self, step: int, abstract: Mapping[str, Any]) -> dict[str, Any]:
        """Read trees onto the shardings of others.

        Args:
            step: of the checkpoint.
            abstract: trees by the names of items, of `jax.ShapeDtypeStruct`s with shardings or, for
                the host, of NumPy arrays; empty ones come back as they are.

        Raises:
            CheckpointError: the step is not there or damaged; or it holds other arrays, items of
                `STATE` beyond those asked for included, with a line for each difference.
        """
        held = self.description(step)[ITEMS]
        asked = [name for name, tree in abstract.items() if jax.tree.leaves(tree)]
        compared = [name for name in held if name in {*STATE, *asked}]
        folder = self._folder(step, *compared)
        saved = {name: _saved(folder / name) for name in compared}
        _check_same_arrays(folder, saved, {name: abstract[name] for name in asked})
        read = {name: _read(folder / name, abstract[name]) for name in asked}
        return {**abstract, **read}

    def restore_on_host(
        self, step: int, item: str, abstract: Any, subtree: str | None = None
    ) -> Any:
        """Read a tree, or one branch of it, as NumPy arrays; an empty one is not looked for.

        Args:
            step: of the checkpoint.
            item: name of the tree.
            abstract: anything with the shapes and dtypes of its leaves.
            subtree: key of the branch that `abstract` is of; the others are not read.

        Raises:
            CheckpointError: the step or the item is not there or damaged, or other arrays are.
        """
        if not jax.tree.leaves(abstract):
            return abstract
        held = self.description(step)[ITEMS]
        folder = self._folder(step, item)
        _check_has(folder, item, held)
        saved = _saved(folder / item)
        if subtree is not None:
            _check_has(
                folder / item, subtree, [key for key in saved if jax.tree.leaves(saved[key])]
            )
            saved, abstract = {subtree: saved[subtree]}, {subtree: abstract}
        _check_same_arrays(folder, {item: saved}, {item: abstract})
        target = jax.tree.map(lambda leaf: np.empty(leaf.shape, leaf.dtype), abstract)
        read = _read(folder / item, target)
        return read if subtree is None else read[subtree]

    def _folder(self, step: int, *items: str) -> Path:
        """Wait for the save under way; return the folder of a step whose items are undamaged."""
        with self._saving():
            self._manager.wait_until_finished()
        steps = saved_steps(self._directory)
        if step not in steps:
            known = ", ".join(map(str, steps)) or "none"
            raise CheckpointError(f"{self._directory} has no step {step}; it has: {known}")
        folder = self._directory / str(step)
        # Of several hosts one reads all of it twice; the others would wait for it in any case.
        if jax.process_index() == 0 and (found := damage(folder, items)):
            whole = [s for s in steps if s < step and damage(self._directory / str(s)) is None]
            back = f"go back to step {whole[-1]}" if whole else "begin anew: none before is whole"
            raise CheckpointError(
                f"the checkpoint of step {step} is damaged: {found}; delete {folder} to {back}"
            )
        return folder

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


# Orbax's manager knows the items that itself has saved; here each is read by its folder.


def _read(folder: Path, target: Any) -> Any:
    """Read what `target` has of an item."""
    arguments = ocp.args.PyTreeRestore(
        item=target,
        restore_args=ocp.checkpoint_utils.construct_restore_args(target),
        partial_restore=True,
    )
    with _reading(folder), ocp.Checkpointer(ocp.PyTreeCheckpointHandler()) as checkpointer:
        return checkpointer.restore(folder, args=arguments)


def _saved(folder: Path) -> Any:
    """Return the tree of an item, of what has shapes and dtypes."""
    with _reading(folder), closing(ocp.PyTreeCheckpointHandler()) as handler:
        return handler.metadata(folder).tree


def _read_json(folder: Path) -> dict[str, Any]:
    with _reading(folder), ocp.Checkpointer(ocp.JsonCheckpointHandler()) as checkpointer:
        return checkpointer.restore(folder)


def _check_has(where: Path, name: str, held: Collection[str]) -> None:
    if name not in held:
        raise CheckpointError(f"{where} has no {name}; it has: {', '.join(held)}")


def _check_same_arrays(where: Path, saved: Any, wanted: Any) -> None:
    """Compare two trees of what has a shape and a dtype; branches that one lacks are one line."""
    there, here = (
        {path: f"{leaf.dtype}{list(leaf.shape)}" for path, leaf in leaves_by_path(tree).items()}
        for tree in (saved, wanted)
    )
    lines = [
        *(f"  {line} in the checkpoint alone" for line in _beyond(there, here)),
        *(f"  {line} here alone" for line in _beyond(here, there)),
        *(
            f"  {path}: {array} in the checkpoint, {here[path]} here"
            for path, array in there.items()
            if here.get(path, array) != array
        ),
    ]
    if lines:
        raise CheckpointError(f"{where} holds other arrays:\n" + "\n".join(lines))


def _beyond(paths: Mapping[str, str], others: Mapping[str, str]) -> list[str]:
    """Name the branches of some paths that others have nothing of, and count their leaves."""
    known = {branch for path in others for branch in _branches(path)}
    tops = (
        next(branch for branch in _branches(path) if branch not in known)
        for path in paths
        if path not in known
    )
    return [f"{top} ({count} arrays)" for top, count in Counter(tops).items()]


def _branches(path: str) -> Iterator[str]:
    """Yield "a", "a/b", "a/b/c" for the last of them."""
    yield from itertools.accumulate(path.split("/"), "{}/{}".format)


# What a failing disk or a damaged file makes Orbax raise.
_ERRORS = (OSError, ValueError, KeyError, RuntimeError)


@contextmanager
def _clear_errors(message: str) -> Iterator[None]:
    try:
        yield
    except _ERRORS as error:
        raise CheckpointError(f"{message}: {error}") from error


def _reading(folder: Path) -> Any:
    return _clear_errors(f"cannot read {folder.name} of checkpoint {folder.parent}")
