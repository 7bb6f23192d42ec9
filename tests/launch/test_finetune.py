"""A model made by torch, trained further by `configs/finetune.py`, and given back."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

import kgclip_jax
from tests.torchvision_operators import make_torchvision_importable

make_torchvision_importable()

from transformers import CLIPModel  # noqa: E402

COLOURS = {"red": (200, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 200), "grey": (90,) * 3}
SETTINGS = {
    "total_steps": 3,
    "streams.captions.rows": 4,
    "evaluate_every": 100,
    "optimizer.learning_rate": 1e-3,
    "optimizer.schedule.warmup_steps": 0,
    "data.workers": 0,
    "streams.captions.text_slots": "one",
}


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photographs")
    (folder / "images").mkdir()
    for name, colour in COLOURS.items():
        Image.new("RGB", (24, 20), colour).save(folder / "images" / f"{name}.png")
    lines = [f"{name}.png,something {name}" for name in COLOURS]
    (folder / "captions.txt").write_text("\n".join(["image,caption", *lines]))
    names = [f"{name}.png" for name in COLOURS]
    (folder / "splits.json").write_text(json.dumps({"train": names, "dev": names}))
    return folder


@pytest.fixture(scope="module")
def trained_further(commands, result, made_by_torch, photographs, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("trained-further") / "run"
    settings = SETTINGS | {"data.path": photographs}
    options = [f"--config.{key}={value}" for key, value in settings.items()]
    config = f"--config=configs/finetune.py:{made_by_torch}"
    process = result(commands.start("launch/train.py", config, f"--workdir={workdir}", *options))
    assert process.returncode == 0, process.stderr
    return workdir, process.stdout


def embeddings(folder):
    model = kgclip_jax.load(folder)
    pictures = [Image.new("RGB", (16, 16), colour) for colour in COLOURS.values()]
    return model.encode_image(pictures), model.encode_text(list(COLOURS))


def test_training_starts_from_the_given_weights_and_changes_them(made_by_torch, trained_further):
    workdir, output = trained_further
    assert f"starting from {made_by_torch}" in output
    for before, after in zip(embeddings(made_by_torch), embeddings(workdir), strict=True):
        change = np.abs(before - after).max()
        assert 1e-4 < change < 0.5


def test_the_source_can_be_evaluated_before_training(commands, result, made_by_torch, photographs):
    config = f"--config=configs/finetune.py:{made_by_torch}"
    data = f"--config.data.path={photographs}"
    process = result(commands.start("launch/evaluate.py", config, data))
    assert process.returncode == 0, process.stderr
    assert "text-to-image R@1" in process.stdout


def test_zero_shot_from_a_folder_of_folders(commands, result, made_by_torch, tmp_path):
    for name, colour in COLOURS.items():
        (tmp_path / name).mkdir()
        Image.new("RGB", (24, 20), colour).save(tmp_path / name / "1.png")
    config = f"--config=configs/zero_shot.py:{made_by_torch}"
    process = result(commands.start("launch/evaluate.py", config, f"--config.data.path={tmp_path}"))
    assert process.returncode == 0, process.stderr
    assert "zero-shot: pictures" in process.stdout


def test_a_table_of_several_zero_shot_sets(commands, result, made_by_torch, tmp_path):
    for name in ("first", "second"):
        for label, colour in COLOURS.items():
            (tmp_path / name / "test" / label).mkdir(parents=True)
            Image.new("RGB", (24, 20), colour).save(tmp_path / name / "test" / label / "1.png")
        (tmp_path / name / "classes.json").write_text(json.dumps(list(COLOURS)))
        (tmp_path / name / "templates.json").write_text('["a photo of a {}", "{}"]')
    config = f"--config=configs/zero_shot.py:{made_by_torch},first,second"
    process = result(commands.start("launch/evaluate.py", config, f"--config.data.path={tmp_path}"))
    assert process.returncode == 0, process.stderr
    lines = [line.strip(" │┃") for line in process.stdout.splitlines()]
    tables = [line.partition("│")[0].strip() for line in lines if line.startswith("zero-shot")]
    assert tables == [f"zero-shot: {name}" for name in ("first", "second", "all sets")]
    assert any(line.startswith("top-1, mean of 2 sets") for line in lines)


def test_the_result_goes_back_to_torch(commands, result, trained_further, tmp_path):
    workdir, _ = trained_further
    output = tmp_path / "exported"
    launch = ["launch/export.py", f"--workdir={workdir}", "--format=huggingface"]
    process = result(commands.start(*launch, f"--output={output}"))
    assert process.returncode == 0, process.stderr
    model = CLIPModel.from_pretrained(output)
    tokens = kgclip_jax.load(workdir)._reading.tokenizer(list(COLOURS))
    with torch.no_grad():
        text = model.get_text_features(torch.tensor(tokens).long()).pooler_output
    text = torch.nn.functional.normalize(text).numpy()
    np.testing.assert_allclose(embeddings(workdir)[1], text, atol=1e-5)


def test_another_architecture_is_refused_with_a_diff(commands, result, made_by_torch, tmp_path):
    launch = ["launch/train.py", "--config=configs/quickstart.py", f"--workdir={tmp_path}"]
    process = result(commands.start(*launch, f"--config.init_from={made_by_torch}"))
    assert process.returncode == 2
    assert "  vision.transformer.width: 16 -> 128" in process.stderr.splitlines()
