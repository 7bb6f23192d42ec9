"""The cage as a fixture, and a folder to put harm into."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from tests.hostile.verdicts import jpeg

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def ask():
    """Hand a path to a reader in the cage; returns its answer."""
    # ArrayRecord waits for ever for threads that get no memory, and each has an arena of 64 MB.
    settings = {"JAX_PLATFORMS": "cpu", "RUST_BACKTRACE": "0", "MALLOC_ARENA_MAX": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.hostile.cage"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=os.environ | settings,
    )

    def ask(reader, path):
        process.stdin.write(json.dumps({"reader": reader, "path": str(path)}) + "\n")
        process.stdin.flush()
        return json.loads(process.stdout.readline())

    with process:
        yield ask
        process.stdin.close()


@pytest.fixture
def folder(tmp_path):
    """A folder to put harm into, with a secret beside it."""
    folder = tmp_path / "folder"
    folder.mkdir()
    (tmp_path / "secret.jpg").write_bytes(jpeg())
    (tmp_path / "secret.json").write_text('{"model": {}}')
    save_file({"a": np.ones(3)}, tmp_path / "secret.safetensors")
    return folder
