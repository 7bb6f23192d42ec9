"""A run of `launch/prepare.py tune_embeddings`, in a process of its own."""

import subprocess
import sys

import numpy as np

from kgclip_jax.data.embedded_texts import EmbeddedTexts
from kgclip_jax.data.streams.embedding_table import EmbeddingTable
from tests.data.made_up_embeddings import random_embeddings
from tests.launch.conftest import REPOSITORY

LINES = [[f"a {n}", f"the {n}"] for n in range(200)]


def launch(folder, *options):
    return subprocess.run(
        [
            *(sys.executable, "launch/prepare.py", "tune_embeddings"),
            *(f"--embeddings={folder}/texts", f"--source=lines:{folder}/lines.txt"),
            *(f"--output={folder}/tuned", "--steps=3", "--held_out=0.5", "--width=4", *options),
        ],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_embeddings_are_tuned_and_read_as_a_table(tmp_path):
    (tmp_path / "lines.txt").write_text("\n".join(map("\t".join, LINES)))
    random_embeddings(tmp_path / "texts", [text for line in LINES for text in line])
    refused = launch(tmp_path, "--rate=nan")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "tune_embeddings.rate must be finite" in refused.stderr

    process = launch(tmp_path, "--batch=32")
    assert (process.returncode, process.stderr) == (0, "")
    said, _, before, after = process.stdout.splitlines()
    assert said.startswith(f"{tmp_path}/tuned: 400 texts, 4 numbers each, float16; learnt from ")
    assert before.startswith("before: the second is found by the first in ")
    assert after.startswith("after:  the second is found by the first in ")
    found = EmbeddedTexts(tmp_path / "tuned")
    assert found.contents.settings["settings"]["batch"] == 32
    rows = EmbeddingTable(folder="tuned").open(tmp_path, {}).rows([], ["the 7", "a 150"])
    np.testing.assert_allclose(np.linalg.norm(rows.astype(np.float32), axis=1), 1, atol=2e-3)
