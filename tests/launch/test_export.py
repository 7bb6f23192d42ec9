"""Runs of `launch/export.py`: from a trained run to a folder that torch evaluates alike."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import kgclip_jax
from kgclip_jax import config
from kgclip_jax.convert.pretrained import open_pretrained
from kgclip_jax.data.evaluation_sets import RetrievalSet
from kgclip_jax.held_out import held_out_sets
from kgclip_jax.knowledge.caption import words_of
from kgclip_jax.loading import open_trained
from kgclip_jax.store.workdir import Workdir
from tests.array_pictures import all_images

READER = Path(__file__).parents[1] / "convert" / "torch_reader.py"
FORMATS = ("huggingface", "open_clip", "openai")
FEW = {
    "total_steps": 4,
    "streams.captions.rows": 16,
    "optimizer.schedule.warmup_steps": 1,
    "streams.captions.text_slots": "one",
    "data.workers": 0,
    "model.vision.transformer.depth": 1,
    "model.text.transformer.depth": 1,
    "streams.captions.sources.emoji.evaluation_items": 32,
    "streams.captions.sources.emoji.world.scenes": 100,
}
PAUSED = """
import runpy, sys, time
from kgclip_jax.reporting import model_card
model_card.model_card = lambda *_: time.sleep(300)  # the last file of all
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture(scope="module")
def export(commands, result, finished):
    """Export a run; torch is hidden unless it is asked for."""

    def run(output, *options, workdir=finished[0], torch=False):
        launch = ["launch/export.py", f"--workdir={workdir}", f"--output={output}", *options]
        if torch:
            return result(commands.start_fresh("-E", *launch))  # it is hidden by PYTHONPATH
        return result(commands.start(*launch))

    return run


@pytest.fixture(scope="module")
def quickstart(commands, result, tmp_path_factory):
    """Workdir of a short run of the model that `configs/quickstart.py` has."""
    workdir = tmp_path_factory.mktemp("quickstart") / "run"
    options = [f"--config.{key}={value}" for key, value in FEW.items()]
    config = "--config=configs/quickstart.py"
    process = result(commands.start("launch/train.py", config, f"--workdir={workdir}", *options))
    assert process.returncode == 0, process.stderr
    return workdir


@pytest.fixture(scope="module")
def exported(export, quickstart, tmp_path_factory):
    """(folder, completed process) of the quickstart's model in each format."""
    root = tmp_path_factory.mktemp("exports")
    return {
        format: (
            root / format / "mine",
            export(
                root / format / "mine",
                f"--format={format}",
                workdir=quickstart,
                torch=format == "openai",
            ),
        )
        for format in FORMATS
    }


def retrieval(workdir):
    """The first retrieval set that a run was evaluated on."""
    experiment = config.experiment(Workdir(workdir).read_config())
    sets = held_out_sets(experiment)
    return next(data for data in sets if isinstance(data, RetrievalSet))


def in_torch(data, folders, scratch):
    """Features of a retrieval set, from a process without JAX and without network."""
    (scratch / "pictures").mkdir()
    for number, picture in enumerate(all_images(data.pictures)):
        Image.fromarray(picture).save(scratch / "pictures" / f"{number:06}.png")
    (scratch / "texts.json").write_text(json.dumps([*map(words_of, data.captions)]))
    command = [READER, scratch / "pictures", scratch / "texts.json", *folders]
    process = subprocess.run(
        [sys.executable, *map(str, command)],
        env=os.environ | {"HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert process.returncode == 0, process.stderr
    return [np.load(f"{folder}.npz") for folder in folders]


@pytest.fixture(scope="module")
def features(exported, quickstart, tmp_path_factory):
    """What torch makes of the folder in each format, and the set that it saw."""
    data = retrieval(quickstart)
    folders = [exported[format][0] for format in FORMATS]
    found = in_torch(data, folders, tmp_path_factory.mktemp("read"))
    return dict(zip(FORMATS, found, strict=True)), data


def unit(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def recall(queries, candidates, right, k):
    """The share of queries with a right candidate among the k nearest; right[q, c] says which."""
    nearest = np.argsort(-(unit(queries) @ unit(candidates).T), axis=1)[:, :k]
    return np.take_along_axis(right, nearest, axis=1).any(axis=1).mean()


@pytest.mark.parametrize("format", FORMATS)
def test_recall_by_torch_alone_is_that_of_evaluation_json(exported, quickstart, features, format):
    folder, process = exported[format]
    assert (process.returncode, process.stderr) == (0, "")
    assert f"wrote {folder}: " in process.stdout
    found, data = features
    image, text = found[format]["image"], found[format]["text"]
    right = data.owners[:, None] == np.arange(len(image))
    evaluation = json.loads((quickstart / "evaluation.json").read_text())
    rows = [
        row
        for row in evaluation["results"]
        if (row["task"], row["set_name"]) == ("retrieval", data.name) and not row["blind"]
    ]
    assert any(0 < row["value"] < 1 for row in rows)
    for row in rows:
        direction, k = row["metric"].split(" R@")
        forward = direction == "text-to-image"
        arguments = (text, image, right) if forward else (image, text, right.T)
        assert recall(*arguments, int(k)) == pytest.approx(row["value"]), row["metric"]


@pytest.mark.parametrize("format", FORMATS)
def test_features_by_torch_are_those_of_the_run(quickstart, features, format):
    found, data = features
    model = kgclip_jax.load(quickstart)
    images = all_images(data.pictures)
    mine = model.encode_image(images), model.encode_text(list(data.captions))
    for ours, kind in zip(mine, ("image", "text"), strict=True):
        assert np.std(ours, axis=0).max() > 1e-3  # inputs make a difference
        np.testing.assert_allclose(unit(found[format][kind]), ours, atol=2e-6)
        if format == "openai":  # its loader rounds to half precision what the file has in single
            error = np.abs(unit(found[format][f"rounded_{kind}"]) - ours).max()
            print(f"OpenAI's loader: error {error:.1e}")
            assert 2e-6 < error < 2e-4


def test_the_average_of_a_tower_with_adapters_is_exported(commands, export, tmp_path):
    workdir, output = tmp_path / "run", tmp_path / "exported"
    lora = {"tuning__text__kind": "lora", "tuning__text__rank": 2}
    process = commands.train(workdir, total_steps=20, optimizer__ema_decay=0.9, **lora)
    assert process.returncode == 0, process.stderr
    process = export(output, "--format=huggingface", "--ema", workdir=workdir)
    assert (process.returncode, process.stderr) == (0, "")
    assert "moving average" in (output / "README.md").read_text()
    data = retrieval(workdir)
    (found,) = in_torch(data, [output], tmp_path)
    average, last = (kgclip_jax.load(workdir, averaged=averaged) for averaged in (True, False))
    images = all_images(data.pictures)
    for kind, ours, other in [
        ("image", *(model.encode_image(images) for model in (average, last))),
        ("text", *(model.encode_text(list(data.captions)) for model in (average, last))),
    ]:
        assert np.abs(ours - other).max() > 1e-3
        np.testing.assert_allclose(unit(found[kind]), ours, atol=2e-6)


WITH_KNOWLEDGE = """
from ml_collections import ConfigDict
from configs import quickstart

def get_config():
    values = quickstart.get_config().to_dict()
    transformer = dict(width=16, depth=1, heads=2, mlp_width=32)
    values["model"]["knowledge"] = dict(transformer=transformer)
    values["model"]["text"]["transformer"] |= transformer
    return ConfigDict(values)
"""


def test_a_knowledge_encoder_is_exported_and_comes_back(commands, export, tmp_path):
    config, workdir, output = tmp_path / "config.py", tmp_path / "run", tmp_path / "exported"
    config.write_text(WITH_KNOWLEDGE)
    settings = {key.replace(".", "__"): value for key, value in FEW.items()}
    process = commands.train(workdir, config=str(config), **settings)
    assert process.returncode == 0, process.stderr
    process = export(output, "--format=huggingface", workdir=workdir)
    assert (process.returncode, process.stderr) == (0, "")
    module = output / "knowledge_encoder.py"
    assert f"Hugging Face CLIP does not know the knowledge encoder, which is in {module}" in (
        process.stdout
    )
    assert "these parameters" not in process.stdout
    captions = [caption for caption in retrieval(workdir).captions if caption.graph.objects]
    run, back = (kgclip_jax.load(source).encode_text(captions) for source in (workdir, output))
    np.testing.assert_allclose(back, run, atol=2e-6)
    plain = kgclip_jax.load(output).encode_text([caption.text for caption in captions])
    assert np.linalg.norm(run - plain, axis=1).max() > 0.1


def test_the_card_has_the_run_s_numbers_and_recipe(exported, quickstart):
    card = (exported["huggingface"][0] / "README.md").read_text()
    row = json.loads((quickstart / "evaluation.json").read_text())["results"][0]
    assert f"| **{row['task']}: {row['set_name']}** |" in card
    assert f"| {row['metric']} | {100 * row['value']:.1f} (" in card
    assert '"total_steps": 4' in card
    assert "Twemoji" in card
    assert str(quickstart.parent) not in card


@pytest.fixture(scope="module")
def start_paused(commands, until, finished, tmp_path_factory):
    """Starts an export that replaces another one; waits until all but its card is written."""
    launch = tmp_path_factory.mktemp("paused") / "export.py"
    launch.write_text(PAUSED)

    def start(output):
        options = [f"--workdir={finished[0]}", f"--output={output}", "--format=open_clip"]
        process = commands.start(f"{launch}", "launch/export.py", *options, "--force")
        until(process, lambda: [*output.parent.glob(".*/*.safetensors")])
        return process

    return start


@pytest.fixture
def earlier(exported, tmp_path):
    """An earlier export."""
    return shutil.copytree(exported["huggingface"][0], tmp_path / "out")


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_leaves_all_as_it_was(start_paused, result, earlier, number):
    before = content(earlier)
    process = start_paused(earlier)
    process.send_signal(number)
    process = result(process)
    assert (process.returncode, process.stderr) == (143, "")
    assert process.stdout == "stopped; nothing half-written is left\n"
    assert [*earlier.parent.iterdir()] == [earlier]
    assert content(earlier) == before


def test_the_export_after_a_kill_clears_up(start_paused, result, export, earlier):
    before = content(earlier)
    process = start_paused(earlier)
    process.kill()
    assert result(process).returncode == -signal.SIGKILL
    assert content(earlier) == before
    assert len([*earlier.parent.iterdir()]) == 2
    assert export(earlier, "--format=open_clip", "--force").returncode == 0
    assert [*earlier.parent.iterdir()] == [earlier]
    assert (earlier / "open_clip_config.json").exists()
    assert not (earlier / "config.json").exists()


def test_step_and_licence_are_chosen_by_flags(export, finished, tmp_path):
    options = ["--format=open_clip", "--step=40", "--license=cc-by-4.0"]
    process = export(tmp_path / "out", *options)
    assert (process.returncode, process.stderr) == (0, "")
    params = open_pretrained(tmp_path / "out").read()
    expected = open_trained(finished[0], step=40).read()
    np.testing.assert_array_equal(params["text"]["embedding"], expected["text"]["embedding"])
    card = (tmp_path / "out" / "README.md").read_text()
    assert "\nlicense: cc-by-4.0\n" in card.split("---\n")[1]
    assert "These weights were not evaluated." in card


def test_two_models_are_mixed(export, finished, tmp_path):
    newest = f"--wise_ft={finished[0]}"
    process = export(tmp_path / "out", "--format=huggingface", "--step=40", newest, "--alpha=0.25")
    assert (process.returncode, process.stderr) == (0, "")
    mixed = open_pretrained(tmp_path / "out").read()["text"]["positions"]
    early, late = (open_trained(finished[0], step=k).read()["text"]["positions"] for k in (40, 120))
    np.testing.assert_allclose(mixed, 0.75 * late + 0.25 * early, atol=1e-7)
    assert np.abs(late - early).max() > 1e-3
    card = (tmp_path / "out" / "README.md").read_text()
    assert "WiSE-FT: 0.25 times the trained weights plus 0.75 times those of `run`" in card
    assert "These weights were not evaluated." in card


def test_another_architecture_is_not_mixed_in(export, exported, tmp_path):
    other = f"--wise_ft={exported['open_clip'][0]}"  # has a table of positions
    process = export(tmp_path / "out", "--format=huggingface", other, "--alpha=0.5")
    assert process.returncode == 2
    assert "vision.positions: 'learned' -> 'sincos2d'" in process.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--format=huggingface", "--step=41"], "no step 41; it has: 40, 80, 120"),
        (["--format=huggingface", "--ema"], "average"),
        (["--format=huggingface", "--alpha=0.5"], "--wise_ft and --alpha go together"),
        (["--format=openai"], "a width of 16 is too small"),
        (["--format=huggingface", "--license=CC BY"], "'CC BY' is no licence"),
    ],
    ids=["step", "average", "alpha", "openai", "licence"],
)
def test_a_mistake_ends_in_a_clear_message_and_leaves_nothing(export, tmp_path, options, message):
    process = export(tmp_path / "out", *options)
    assert process.returncode == 2
    assert process.stderr.startswith("error: ")
    assert message in process.stderr
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten_and_no_run_is_ever_replaced(export, finished, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("precious")
    process = export(tmp_path / "out", "--format=huggingface")
    assert process.returncode == 2
    assert "out exists already" in process.stderr
    assert (tmp_path / "out" / "mine").read_text() == "precious"
    process = export(tmp_path / "out", "--format=huggingface", "--force")
    assert process.returncode == 2
    assert "out holds what no export has (mine)" in process.stderr
    assert (tmp_path / "out" / "mine").read_text() == "precious"
    process = export(finished[0], "--format=huggingface", "--force")
    assert process.returncode == 2
    assert "holds what no export has (cache, checkpoints" in process.stderr
    assert (finished[0] / "checkpoints").is_dir()
