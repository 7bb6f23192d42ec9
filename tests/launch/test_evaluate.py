"""Runs of `launch/evaluate.py`: the newest checkpoint, an older one, and mistakes."""

import json
import os
import shutil

import numpy as np
import pytest
from PIL import Image

from kgclip_jax.locks import sole_use


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


def test_settings_of_a_run_may_change_where_that_is_safe(commands, finished, copy):
    few = "--config.evaluation.none.kind=classification"
    process = commands.evaluate(copy, few, "--config.evaluation.none.folder=gone")
    assert process.returncode == 2
    assert "gone" in process.stderr
    process = commands.evaluate(copy, "--config.seed=5")
    assert process.returncode == 2
    assert "holds a run with another config:\n  seed: 0 -> 5\n" in process.stderr
    process = commands.evaluate(copy, "--config.data.path=s3://bucket")
    assert process.returncode == 2
    assert "config.data.path: s3://bucket: s3:// cannot be read or written yet" in process.stderr


def test_a_run_that_is_being_trained_is_not_written_to(commands, copy):
    before = (copy / "evaluation.json").read_bytes()
    with sole_use(copy):
        process = commands.evaluate(copy, "--step=40")
    assert process.returncode == 2
    assert f"{copy} is in use by process {os.getpid()} on " in process.stderr
    assert (copy / "evaluation.json").read_bytes() == before


def test_a_workdir_that_is_not_there_is_not_made(commands, tmp_path):
    process = commands.evaluate(tmp_path / "gone")
    assert process.returncode == 2
    assert not (tmp_path / "gone").exists()


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


def test_the_best_step_is_asked_for_by_a_row_that_is_there(commands, finished):
    process = commands.evaluate(finished[0], "--best=R@1")
    assert process.returncode == 2
    assert "evaluations.jsonl has no 'R@1'" in process.stderr
    process = commands.evaluate(finished[0], "--best=R@1", "--step=40")
    assert (process.returncode, process.stderr) == (2, "error: give --step or --best\n")


KNOWLEDGE = """
from ml_collections import ConfigDict

from configs import quickstart


def get_config():
    config = ConfigDict(quickstart.get_config("structure").to_dict())
    blocks = dict(width=16, depth=1, heads=2, mlp_width=32)
    config.init_from = None
    config.model.text.transformer.update(blocks)  # whose table the knowledge encoder reads
    config.model.knowledge = dict(transformer=blocks)
    config.streams.captions.sources.emoji.world.update(concepts=12, unseen_concepts=4, scenes=100)
    config.streams.captions.sources.emoji.evaluation_items = 8
    return config
"""


@pytest.fixture(scope="module")
def reads_graphs(commands, tmp_path_factory):
    """(workdir, completed process) of a model with a knowledge encoder, trained on emoji scenes."""
    folder = tmp_path_factory.mktemp("knowledge")
    (folder / "knowledge.py").write_text(KNOWLEDGE)
    run = commands.train(folder / "run", config=folder / "knowledge.py", total_steps=3)
    return folder / "run", run


@pytest.fixture(scope="module")
def sugarcrepe(tmp_path_factory):
    """A folder with a small SugarCrepe in it, laid out as `configs/composition.py` says."""
    folder = tmp_path_factory.mktemp("suites")
    for place in ("sugarcrepe/data", "coco/val2017"):
        (folder / place).mkdir(parents=True)
    rng = np.random.default_rng(0)
    cases = {}
    for number in range(6):
        pixels = rng.integers(0, 256, (24, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "coco/val2017" / f"{number}.jpg")
        cases[str(number)] = {
            "filename": f"{number}.jpg",
            "caption": f"A red dog chases {number} white cats",
            "negative_caption": f"A white dog chases {number} red cats",
        }
    for kind in ("swap_att", "replace_att"):
        (folder / "sugarcrepe/data" / f"{kind}.json").write_text(json.dumps(cases))
    return folder


@pytest.fixture(scope="module")
def ask(commands, result, sugarcrepe):
    def ask(workdir, *options):
        config = f"--config=configs/composition.py:{workdir},sugarcrepe"
        data = f"--config.data.path={sugarcrepe}"
        return result(commands.start("launch/evaluate.py", config, data, *options))

    return ask


def test_emoji_scenes_know_their_graphs(commands, reads_graphs):
    workdir, run = reads_graphs
    assert (run.returncode, run.stderr) == (0, "")
    process = commands.evaluate(workdir)
    assert (process.returncode, process.stderr) == (0, "")
    assert table(process.stdout) == table(run.stdout)


def test_a_benchmark_of_composition_with_graphs_and_without(ask, finished, reads_graphs):
    for workdir, _ in (finished, reads_graphs):
        process = ask(workdir)
        assert (process.returncode, process.stderr) == (0, "")
        rows = table(process.stdout)
        assert any("composition: SugarCrepe" in row for row in rows)
        assert any("swap_att, blind" in row for row in rows)
        assert any("mean of the 2" in row for row in rows)


def test_only_a_knowledge_encoder_needs_a_parser(ask, finished, reads_graphs):
    missing = "--config.data.parser=en_nowhere"
    assert ask(finished[0], missing).returncode == 0
    process = ask(reads_graphs[0], missing)
    assert process.returncode == 2
    (line,) = process.stderr.splitlines()
    assert line.startswith("error: no spaCy pipeline 'en_nowhere' is installed; pip install -r req")


def test_the_rows_of_a_benchmark_as_json(ask, reads_graphs, tmp_path):
    no_parser = "--config.data.parser=en_nowhere"
    for graphs, options in {"own": [], "none": [no_parser]}.items():
        file = tmp_path / f"{graphs}.json"
        process = ask(reads_graphs[0], f"--graphs={graphs}", f"--output={file}", *options)
        assert (process.returncode, process.stderr) == (0, "")
        content = json.loads(file.read_text())
        assert (content["init_from"], content["graphs"]) == (str(reads_graphs[0]), graphs)
        metrics = {row["metric"] for row in content["results"]}
        assert metrics == {"swap_att", "replace_att", "mean of the 2", "all decisions"}


def test_other_graphs_give_other_numbers_in_files_of_their_own(commands, finished, reads_graphs):
    workdir, _ = reads_graphs
    own = (workdir / "evaluation.json").read_text()
    assert commands.evaluate(workdir, "--graphs=none").returncode == 0
    assert (workdir / "evaluation.json").read_text() == own
    without = json.loads((workdir / "evaluation_none.json").read_text())
    assert without["results"] != json.loads(own)["results"]
    process = commands.evaluate(finished[0], "--graphs=none")
    assert process.returncode == 2
    assert "reads no scene graphs" in process.stderr
