"""Runs of `launch/evaluate.py`: the newest checkpoint, an older one, and mistakes."""

import json
import shutil

import pytest


@pytest.fixture(scope="module")
def copy(finished, tmp_path_factory):
    return shutil.copytree(finished[0], tmp_path_factory.mktemp("evaluated") / "run")


def table(output):
    """The lines of the table, without what was printed before and after it."""
    lines = [line.strip() for line in output.splitlines()]
    start = next(n for n, line in enumerate(lines) if line.startswith("Held-out evaluation"))
    return [line for line in lines[start:] if line[:1] in "┃│"]


def test_the_newest_checkpoint_gives_the_numbers_of_the_run(commands, finished, copy):
    root, run = finished
    (copy / "evaluation.json").unlink()
    process = commands.evaluate(copy)
    assert (process.returncode, process.stderr) == (0, "")
    assert table(process.stdout) == table(run.stdout)
    assert (copy / "evaluation.json").read_text() == (root / "evaluation.json").read_text()


def test_an_older_checkpoint_gives_other_numbers(commands, finished, copy):
    process = commands.evaluate(copy, "--step=40")
    assert (process.returncode, process.stderr) == (0, "")
    older = json.loads((copy / "evaluation.json").read_text())
    newest = json.loads((finished[0] / "evaluation.json").read_text())
    assert older["step"] == 40
    assert older["results"] != newest["results"]


def test_an_unknown_step_is_an_error_that_lists_the_known_ones(commands, finished):
    process = commands.evaluate(finished[0], "--step=41")
    assert process.returncode == 2
    assert process.stderr.startswith("error: ")
    assert process.stderr.endswith("checkpoints has no step 41; it has: 40, 80, 120\n")
