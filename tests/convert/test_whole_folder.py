"""Folders appear whole or not at all, and nothing is replaced by mistake."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from kgclip_jax.convert.whole_folder import whole_folder
from kgclip_jax.errors import UserError
from kgclip_jax.files import temporary_path

REPOSITORY = Path(__file__).parents[2]


def names(folder):
    return sorted(entry.name for entry in folder.iterdir())


def anything(path):
    """May be replaced."""


def refuse(path):
    if path.exists():
        raise UserError(f"{path} exists")


def write(path, text="new", fail_by=None, check=anything):
    with whole_folder(path, check) as folder:
        (folder / "file").write_text(text)
        assert not (path / "file").exists() or (path / "file").read_text() != text
        if fail_by is not None:
            raise fail_by
    return path


@pytest.fixture
def old(tmp_path):
    return write(tmp_path / "out", "old")


def test_the_folder_appears_with_its_files_and_parents(tmp_path):
    path = write(tmp_path / "a" / "b" / "out")
    assert names(path) == ["file"]
    assert names(path.parent) == ["out"]
    assert path.stat().st_mode == tmp_path.joinpath("a").stat().st_mode  # others may read it


def test_an_error_leaves_nothing_not_even_parents(tmp_path):
    with pytest.raises(ZeroDivisionError):
        write(tmp_path / "a" / "b" / "out", fail_by=ZeroDivisionError)
    assert names(tmp_path) == []


def test_an_error_leaves_what_should_have_been_replaced(old):
    with pytest.raises(KeyboardInterrupt):
        write(old, fail_by=KeyboardInterrupt)
    assert (old / "file").read_text() == "old"
    assert names(old.parent) == ["out"]


def test_what_is_there_is_replaced_as_a_whole(old):
    (old / "other").write_text("old")
    assert names(write(old)) == ["file"]
    assert (old / "file").read_text() == "new"
    assert names(old.parent) == ["out"]


def test_an_empty_folder_may_be_filled(tmp_path):
    (tmp_path / "out").mkdir()
    assert names(write(tmp_path / "out")) == ["file"]


def test_a_refusal_comes_before_the_work(old):
    with pytest.raises(UserError, match="out exists"):
        write(old, fail_by=ZeroDivisionError, check=refuse)
    assert (old / "file").read_text() == "old"
    assert names(old.parent) == ["out"]


@pytest.mark.parametrize("failing", [1, 2])
@pytest.mark.parametrize("error", [OSError(5, "I/O error"), KeyboardInterrupt()])
def test_a_failure_between_the_renames_puts_the_old_folder_back(old, monkeypatch, failing, error):
    real, calls = Path.rename, []

    def rename(self, target):
        calls.append(target)
        if len(calls) == failing:
            raise error
        return real(self, target)

    monkeypatch.setattr(Path, "rename", rename)
    expected = UserError if isinstance(error, OSError) else KeyboardInterrupt
    with pytest.raises(expected):
        write(old)
    assert len(calls) >= failing
    assert (old / "file").read_text() == "old"
    assert names(old.parent) == ["out"]


def test_an_interruption_of_the_clearing_up_does_not_end_it(old, monkeypatch):
    real, calls = shutil.rmtree, []

    def rmtree(*arguments, **options):
        calls.append(arguments)
        if len(calls) == 1:
            raise KeyboardInterrupt
        real(*arguments, **options)

    monkeypatch.setattr(shutil, "rmtree", rmtree)
    with pytest.raises(KeyboardInterrupt):
        write(old, fail_by=ZeroDivisionError)
    assert (old / "file").read_text() == "old"
    assert names(old.parent) == ["out"]


def test_a_link_stays_and_its_folder_is_replaced(old):
    link = old.with_name("link")
    link.symlink_to(old)
    write(link)
    assert link.is_symlink()
    assert (old / "file").read_text() == "new"


def test_what_appears_meanwhile_is_not_replaced(tmp_path):
    writing = whole_folder(tmp_path / "out", refuse)
    writing.__enter__()
    (tmp_path / "out").write_text("of another process")
    with pytest.raises(UserError, match="out exists"):
        writing.__exit__(None, None, None)
    assert names(tmp_path) == ["out"]
    assert (tmp_path / "out").read_text() == "of another process"


def test_a_disk_that_refuses_is_named():
    with pytest.raises(UserError, match="cannot write /dev/null/out: "):
        write(Path("/dev/null/out"))


KILLED = """
import os, shutil, signal, sys
from pathlib import Path
from kgclip_jax.convert.whole_folder import whole_folder

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

path, point = Path(sys.argv[1]), sys.argv[2]
real = Path.rename
with whole_folder(path, lambda path: None) as folder:
    (folder / "file").write_text("new")
    match point:
        case "block":
            die()
        case "renames":
            Path.rename = lambda old, new: real(old, new) if old == path else die()
        case "removal":
            shutil.rmtree = lambda folder, **_: any(
                (file.unlink(), die()) for file in folder.glob("file")
            )
"""


def kill(path, point):
    """Write to `path` in a process that is killed at a certain point; returns its folders."""
    command = [sys.executable, "-c", KILLED, str(path), point]
    process = subprocess.run(command, cwd=REPOSITORY, timeout=60)
    assert process.returncode == -signal.SIGKILL
    return [name.partition("partial-")[2] for name in names(path.parent) if name != path.name]


@pytest.mark.parametrize(
    ("point", "endings", "left"),
    [
        ("block", [""], "old"),
        ("renames", ["", "replaced"], "old"),
        ("removal", ["doomed"], "new"),
    ],
)
def test_what_a_killed_process_left_is_cleared_up_by_the_next(old, point, endings, left):
    hidden = kill(old, point)
    assert [re.split(r"-\d+-?", name)[-1] for name in hidden] == endings
    with pytest.raises(UserError, match="out exists"):
        write(old, check=refuse)
    assert (old / "file").read_text() == left
    assert names(old.parent) == ["out"]
    write(old, "newer")
    assert (old / "file").read_text() == "newer"


def test_half_of_a_replaced_folder_never_comes_back(old):
    kill(old, "removal")
    shutil.rmtree(old)
    write(old, check=refuse)
    assert (old / "file").read_text() == "new"
    assert names(old.parent) == ["out"]


def test_the_folder_of_a_process_that_still_writes_is_left_alone(tmp_path):
    prefix = f".out.{socket.gethostname()}"
    running = tmp_path / f"{prefix}-{os.getppid()}-0123abcd-0.partial"
    same_number = tmp_path / f"{prefix}-{os.getpid()}-0123abcd-0.partial"
    elsewhere = tmp_path / ".out.another-machine-1-0123abcd-0.partial"
    own = temporary_path(tmp_path / "out")
    for folder in (running, same_number, elsewhere, own):
        folder.mkdir()
    write(tmp_path / "out")
    assert names(tmp_path) == sorted([running.name, elsewhere.name, own.name, "out"])
