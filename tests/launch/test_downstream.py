"""`configs/downstream.py` from its commands: a model made by torch, fine-tuned and measured."""

import json

import pytest

from kgclip_jax.config import experiment
from kgclip_jax.config_file import load_config
from kgclip_jax.errors import ConfigError
from kgclip_jax.store.workdir import Workdir
from tests.data.readers.labelled_files import (
    small_snli_ve,
    small_vqa,
    write_glue,
)

QUICK = {
    "total_steps": 2,
    "streams.labelled.rows": 4,
    "log_every": 1,
    "data.workers": 0,
    "optimizer.schedule.warmup_steps": 0,
    "heads.classifier.width": 8,
}
FEWER_ANSWERS = {
    "heads.classifier.classes": 5,
    "streams.labelled.data.answers": 5,
    "evaluation.VQA v2 val.data.answers": 5,
}


def all_of_vqa(root):
    small_vqa(root)
    small_vqa(root, "val2014")


def all_of_snli_ve(root):
    for part in ("train", "dev", "test"):
        small_snli_ve(root, part)


def sts(root):
    for split in ("train", "dev"):
        write_glue(root, "STS-B", split=split)


SEEING = ["accuracy", "accuracy, blind"]
PARTS = [f"accuracy{part}" for part in ("", ", other", ", yes/no")]
CASES = {
    "vqa": (
        all_of_vqa,
        FEWER_ANSWERS,
        {"VQA v2 val": [*PARTS, *(f"{part}, blind" for part in PARTS)]},
    ),
    "snli_ve": (all_of_snli_ve, {}, {"SNLI-VE dev": SEEING, "SNLI-VE test": SEEING}),
    "glue/STS-B": (sts, {}, {"STS-B dev": ["Pearson", "Spearman"]}),
}


def launch(commands, result, task, source, folder, workdir, **changes):
    settings = QUICK | {"data.path": folder} | changes
    options = [f"--config.{key}={value}" for key, value in settings.items()]
    config = f"--config=configs/downstream.py:{task},{source}"
    return result(commands.start("launch/train.py", config, f"--workdir={workdir}", *options))


@pytest.mark.parametrize("task", CASES)
def test_a_task_is_trained_and_measured(commands, result, made_by_torch, tmp_path, task):
    write, changes, expected = CASES[task]
    write(tmp_path)
    run = tmp_path / "run"
    process = launch(commands, result, task, made_by_torch, tmp_path, run, **changes)
    assert process.returncode == 0, process.stderr
    lines = Workdir(run).read_metrics()
    assert [line["step"] for line in lines] == [1, 2]
    assert all("classification/loss" in line for line in lines)
    assert "labelled: " in process.stdout
    rows = json.loads((run / "evaluation.json").read_text())["results"]
    found = {}
    for row in rows:
        found.setdefault(row["set_name"], []).append(row["metric"] + ", blind" * row["blind"])
        assert row["task"] == "fine-tuned"
        assert row["low"] <= row["value"] <= row["high"]
    assert found == expected
    if task == "vqa":
        again = commands.evaluate(run)
        assert again.returncode == 0, again.stderr
        assert json.loads((run / "evaluation.json").read_text())["results"] == rows


def test_classes_that_do_not_fit_are_refused_before_training(
    commands, result, made_by_torch, tmp_path
):
    all_of_vqa(tmp_path)
    changes = {"streams.labelled.data.answers": 4}
    process = launch(
        commands,
        result,
        "vqa",
        made_by_torch,
        tmp_path,
        tmp_path / "run",
        **FEWER_ANSWERS | changes,
    )
    assert process.returncode == 2
    assert "config.heads.classifier.classes must be 4" in process.stderr


def test_held_out_pictures_are_read_before_training(commands, result, made_by_torch, tmp_path):
    all_of_vqa(tmp_path)
    (tmp_path / "val2014" / "COCO_val2014_000000000002.jpg").unlink()
    process = launch(
        commands, result, "vqa", made_by_torch, tmp_path, tmp_path / "run", **FEWER_ANSWERS
    )
    assert process.returncode == 2
    assert "VQA v2 val: unreadable image: 1 of 4" in process.stderr
    assert "COCO_val2014_000000000002.jpg" in process.stderr


def test_every_task_has_settings_that_hold(made_by_torch):
    for task in ("vqa", "snli_ve", "glue/CoLA", "glue/MNLI", "glue/STS-B"):
        values = load_config(f"configs/downstream.py:{task},{made_by_torch}").values
        settings = experiment(values)
        form = settings.objectives["classification"].form
        assert form == {"vqa": "sigmoid", "glue/STS-B": "squared"}.get(task, "softmax")
        assert settings.tuning.vision.kind == ("frozen" if task.startswith("glue") else "full")
    with pytest.raises(ConfigError, match="did you mean glue/QNLI"):
        load_config(f"configs/downstream.py:glue/QNL,{made_by_torch}")
