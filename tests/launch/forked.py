"""Launches in forks of a process that has loaded the libraries: each starts seconds earlier."""

import atexit
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Mapping
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from unittest.mock import patch

_SERVER = multiprocessing.get_context("forkserver")
_LOADED = ["kgclip_jax.run", "kgclip_jax.convert.export", "kgclip_jax.reporting.comparison"]


def start_server(environment: dict[str, str]) -> None:
    """Load the libraries, in the environment that all launches shall have."""
    from multiprocessing import forkserver

    _SERVER.set_forkserver_preload(_LOADED)
    with patch.dict(os.environ, environment, clear=True):
        forkserver.ensure_running()


class ForkedLaunch:
    """As much of `subprocess.Popen` as tests use."""

    def __init__(
        self, command: list[str], folder: Path, output: Path, environment: Mapping[str, str]
    ) -> None:
        self.args = command
        self._files = [output.with_suffix(suffix) for suffix in (".out", ".err")]
        arguments = command, folder, self._files, dict(environment)
        self._process: ForkServerProcess = _SERVER.Process(target=_launch, args=arguments)
        self._process.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired(self.args, timeout)
        out, err = (file.read_text() for file in self._files)
        return out, err

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def _launch(
    command: list[str], folder: Path, files: list[Path], environment: dict[str, str]
) -> None:
    os.environ |= environment
    for number, file in enumerate(files, 1):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT), number)
    os.chdir(folder)
    sys.argv = list(command)
    sys.path[0] = str(folder / Path(command[0]).parent)
    try:
        runpy.run_path(command[0], run_name="__main__")
    finally:
        atexit._run_exitfuncs()  # what a fork leaves out
