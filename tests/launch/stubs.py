"""Stubs of the programs that shell scripts call; each records its arguments."""

import subprocess
from pathlib import Path

RECORD = """#!/usr/bin/env bash
{ printf '%s\\0' "$@"; echo; } >>"$CALLS/${0##*/}"
"""


class Machine:
    """A machine on which scripts run: stubs before everything else on PATH, a home of its own."""

    def __init__(self, folder: Path):
        self.programs, self.home, self._calls = (folder / n for n in ("bin", "home", "calls"))
        for place in (self.programs, self.home, self._calls):
            place.mkdir()
        self._environment = {
            "PATH": f"{self.programs}:/usr/local/bin:/usr/bin:/bin",
            "HOME": str(self.home),
            "CALLS": str(self._calls),
        }

    def stub(self, name: str, script: str = "") -> None:
        """Put a program on PATH that records how it is called, and then does what is given."""
        path = self.programs / name
        path.write_text(RECORD + script)
        path.chmod(0o755)

    def start(
        self, *command: str | Path, folder: Path | None = None, **variables: str
    ) -> subprocess.Popen[str]:
        """Start a script in a folder, with more variables in its environment."""
        return subprocess.Popen(
            ["bash", *map(str, command)],
            cwd=folder,
            env=self._environment | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(
        self, *command: str | Path, folder: Path | None = None, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a script to its end."""
        process = self.start(*command, folder=folder, **variables)
        out, err = process.communicate(timeout=300)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def calls(self, name: str) -> list[list[str]]:
        """The arguments of each call of a program, in order."""
        path = self._calls / name
        lines = path.read_text().splitlines() if path.exists() else []
        return [line.split("\0")[:-1] for line in lines]
