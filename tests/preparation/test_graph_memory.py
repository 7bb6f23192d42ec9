"""A graph of more triples than memory holds: made and checked under a limit of the system."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BLOCKS, MEGABYTES = 100, 48  # two million triples


def make(folder, rows):
    program = ROOT / "tests" / "preparation" / "limited_graph.py"
    # Arrow's own pools and glibc's arenas take memory in advance.
    settings = {"ARROW_DEFAULT_MEMORY_POOL": "system", "MALLOC_ARENA_MAX": "1"}
    return subprocess.run(
        [sys.executable, program, folder, str(BLOCKS), str(MEGABYTES), str(rows)],
        env=os.environ | settings | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems do not limit it")
def test_memory_does_not_grow_with_the_triples(tmp_path):
    made = make(tmp_path, 2**15)
    assert made.returncode == 0, made.stderr
    assert "triples: 1,9" in made.stdout  # hardly any comes twice
    for left in ("parts", "train/ranges"):
        assert not (tmp_path / "graph" / left).exists()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems do not limit it")
def test_the_limit_is_one(tmp_path):
    made = make(tmp_path, 2**22)
    assert made.returncode != 0
    assert "MemoryError" in made.stderr
