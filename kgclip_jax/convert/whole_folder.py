"""Folders of several files that appear whole or not at all."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from kgclip_jax.files import abandoned_paths, sync, temporary_path, writing


@contextmanager
def whole_folder(path: Path, check: Callable[[Path], None]) -> Iterator[Path]:
    """Yield an empty folder beside `path` that takes its place when the block ends.

    When the block raises, also by a signal that became an exception, nothing stays and what was at
    `path` is untouched. A killed process may leave hidden folders. The next one that writes to
    `path` removes them, or puts back what the killed one had moved out of the way.

    Args:
        path: the folder to make; its parents are made as needed.
        check: raises when what is at a path may not be replaced; called before and after the block.

    Raises:
        UserError: when the disk refuses.
    """
    path = path.resolve()  # a link keeps pointing to the folder that is replaced
    missing = [parent for parent in path.parents if not parent.exists()]
    partial = temporary_path(path)
    try:
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            for left in abandoned_paths(path.parent, path.name):
                _clear(_unfinished(left), path)
            check(path)
            with _cleared(partial, path):
                partial.mkdir()
                yield partial
                check(path)  # it may have come into being meanwhile
                if path.exists():
                    path.rename(_replaced(partial))  # a full folder cannot be renamed over
                partial.rename(path)
                sync(path.parent)
    finally:
        for parent in missing:
            with suppress(OSError):  # it is not empty
                parent.rmdir()


@contextmanager
def _cleared(partial: Path, path: Path) -> Iterator[None]:
    """Clear up at the end, which one interruption does not keep from happening."""
    try:
        yield
    finally:
        try:
            _clear(partial, path)
        finally:
            _clear(partial, path)


def _clear(partial: Path, path: Path) -> None:
    """Remove an unfinished folder; what it was to replace goes back if its place is empty.

    A replaced folder gets another name before it is removed: half of it must never go back.
    """
    replaced, doomed = _replaced(partial), partial.with_name(f"{partial.name}-doomed")
    shutil.rmtree(doomed, ignore_errors=True)
    if replaced.exists():
        replaced.rename(doomed if path.exists() else path)
    for folder in (partial, doomed):
        shutil.rmtree(folder, ignore_errors=True)


def _replaced(partial: Path) -> Path:
    """Where a folder lies while another one takes its place."""
    return partial.with_name(f"{partial.name}-replaced")


def _unfinished(left: Path) -> Path:
    """Return the path of the unfinished folder to which one that was left behind belongs."""
    return left.with_name(left.name.removesuffix("-replaced").removesuffix("-doomed"))
