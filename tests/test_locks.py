"""One folder, one writer: who is refused, and what the dead leave."""

import errno
import fcntl
import os
import signal
import socket
import subprocess
import sys

import pytest

from kgclip_jax.errors import UserError
from kgclip_jax.locks import sole_use

HOLD = """
import sys, time
from pathlib import Path
from kgclip_jax.locks import sole_use
with sole_use(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_process_is_refused_until_the_first_dies(tmp_path):
    folder = tmp_path / "run"
    holder = subprocess.Popen([sys.executable, "-c", HOLD, folder], stdout=subprocess.PIPE)
    assert holder.stdout.readline() == b"held\n"
    message = f"{folder} is in use by process {holder.pid} on {socket.gethostname()}: stop that"
    with pytest.raises(UserError, match=message), sole_use(folder):
        pass
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    assert [path.name for path in folder.iterdir()] == [".lock"]
    with sole_use(folder):
        assert (folder / ".lock").read_text() == f"process {os.getpid()} on {socket.gethostname()}"
    assert list(folder.iterdir()) == []


def test_an_error_gives_the_folder_back(tmp_path):
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), sole_use(tmp_path):
            raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_a_file_system_without_locks_is_told_of(tmp_path, monkeypatch, caplog):
    def refuse(descriptor, operation):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with sole_use(tmp_path):
        pass
    assert "Function not implemented on this file system; see that no other" in caplog.text


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    refusal = pytest.raises(UserError, match=r"cannot write .*file/run/\.lock: ")
    with refusal, sole_use(tmp_path / "file" / "run"):
        pass
