"""Runs of `launch/train.py`: what they leave, how they stop and go on, and what they refuse."""

import json
import re
import shutil
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import jax
import numpy as np
import pytest
from PIL import Image

from kgclip_jax import config
from kgclip_jax.data.streams.stream import StreamOpening
from kgclip_jax.model_inputs import preprocessing_for
from kgclip_jax.paths import leaves_by_path
from kgclip_jax.store.checkpoints import Checkpoints
from kgclip_jax.store.workdir import Workdir
from kgclip_jax.training.setup import set_up
from kgclip_jax.training.step import checkpoint_items

STOPPED = 143


def state_of(root, step):
    """The whole training state and the progress of a checkpoint, as NumPy arrays by path."""
    workdir = Workdir(root)
    experiment = config.experiment(workdir.read_config())
    reading = preprocessing_for(experiment.model, experiment.tokenizers)
    opening = StreamOpening(experiment.data, reading, experiment.seed)
    streams = {name: each.open(name, opening) for name, each in experiment.streams.items()}
    abstract = set_up(experiment, streams, jax.devices()[:1]).abstract
    with closing(Checkpoints(workdir.checkpoints)) as checkpoints:
        items = checkpoints.restore(step, checkpoint_items(abstract))
        return leaves_by_path(jax.device_get(items)), checkpoints.progress(step)


def assert_same_state(left, right, step):
    (mine, progress), (other, other_progress) = state_of(left, step), state_of(right, step)
    assert progress == other_progress
    assert mine.keys() == other.keys()
    for path, leaf in mine.items():
        np.testing.assert_array_equal(leaf, other[path], err_msg=path)


def losses(root):
    return [(line["step"], line["loss"]) for line in Workdir(root).read_metrics()]


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture(scope="module")
def interrupted(commands, until, result, tmp_path_factory):
    """(workdir, killed, terminated, ended): one run in three sessions of the same command."""
    root = tmp_path_factory.mktemp("interrupted") / "run"
    taken = lambda: (losses(root) or [(0, None)])[-1][0]  # noqa: E731

    killed = commands.start_training(root)
    until(killed, lambda: taken() >= 50 and (root / "checkpoints/40").exists())
    killed.kill()
    killed = result(killed)
    (root / "checkpoints/80.orbax-checkpoint-tmp").mkdir()  # as if killed while saving
    with (root / "metrics.jsonl").open("a") as file:
        file.write('{"step": 9')

    terminated = commands.start_training(root)
    until(terminated, lambda: 40 < taken() < 50)
    until(terminated, lambda: taken() >= 60)
    terminated.terminate()
    terminated = result(terminated)
    return root, killed, terminated, commands.train(root)


def test_a_run_leaves_everything_it_promises_and_no_noise(finished):
    root, process = finished
    assert process.stderr == ""
    assert process.returncode == 0
    assert names(root / "checkpoints") == ["120", "40", "80"]
    assert json.loads((root / "config.json").read_text())["total_steps"] == 120
    lines = [json.loads(line) for line in (root / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(1, 121))
    assert all(isinstance(value, (int, float)) for line in lines for value in line.values())
    assert lines[1].keys() >= {"loss", "learning_rate", "gradient_norm", "pairs_per_second"}
    assert lines[1].keys() >= {"input_wait", "text_tokens_per_second", "model_tflops"}
    (events,) = root.glob("events.out.tfevents.*")
    assert b"pairs_per_second" in events.read_bytes()
    evaluation = json.loads((root / "evaluation.json").read_text())
    assert evaluation["step"] == 120
    assert len(evaluation["results"]) > 10
    report = (root / "report.html").read_text()
    assert "<svg" in report
    assert "data:image/png;base64" in report
    assert re.search(r"step \d+/120  loss \d", process.stdout)
    assert "text, blind" in process.stdout
    assert f"launch/evaluate.py --workdir={root}" in process.stdout


def test_the_first_session_was_killed_and_the_second_asked_to_stop(interrupted):
    root, killed, terminated, ended = interrupted
    assert killed.returncode == -signal.SIGKILL
    assert terminated.returncode == STOPPED
    assert "continuing from step 40" in terminated.stdout
    assert "stopped and saved; the same command continues" in terminated.stdout
    stopped_at = re.search(r"continuing from step (\d+)", ended.stdout)
    assert 60 <= int(stopped_at[1]) < 120
    assert (terminated.stderr, ended.stderr) == ("", "")
    assert ended.returncode == 0
    assert names(root / "checkpoints") == sorted(["80", "120", stopped_at[1]])


def test_after_kill_and_stop_the_state_is_bit_equal_to_that_of_an_undisturbed_run(
    interrupted, finished
):
    assert_same_state(interrupted[0], finished[0], 120)


def test_after_kill_and_stop_each_step_was_taken_once_on_the_same_samples(interrupted, finished):
    assert losses(interrupted[0]) == losses(finished[0])


def test_a_folder_is_one_run_s_and_a_flurry_of_signals_saves_it_once(
    commands, until, result, tmp_path
):
    root = tmp_path / "run"
    first = commands.start_training(root, total_steps=100_000, checkpoints__every=100_000)
    until(first, lambda: bool(losses(root)))
    second = commands.train(root)
    assert second.returncode == 2
    (line,) = second.stderr.splitlines()
    assert line.startswith(f"error: {root} is in use by process {first.pid} on ")
    for number in (signal.SIGUSR1, signal.SIGTERM, signal.SIGHUP, signal.SIGTERM):
        first.send_signal(number)
        time.sleep(0.05)
    ended = result(first)
    assert (ended.returncode, ended.stderr) == (STOPPED, "")
    (step,) = names(root / "checkpoints")
    assert int(step) == losses(root)[-1][0]
    assert not (root / ".lock").exists()


def test_safe_changes_are_accepted_and_training_goes_on(commands, finished, tmp_path):
    root = shutil.copytree(finished[0], tmp_path / "run")
    process = commands.train(root, total_steps=130, log_every=5, data__workers=0)
    assert (process.returncode, process.stderr) == (0, "")
    assert [step for step, _ in losses(root)[-3:]] == [120, 125, 130]
    assert names(root / "checkpoints") == ["120", "130", "80"]
    assert json.loads((root / "config.json").read_text())["total_steps"] == 130


def test_a_full_disk_ends_in_one_line_and_loses_nothing(commands, finished, tmp_path):
    root = shutil.copytree(finished[0], tmp_path / "run")
    process = commands.train(root, total_steps=130, fresh={"largest_file_kib": 1000})
    assert process.returncode == 2
    (line,) = process.stderr.splitlines()
    assert line.startswith(f"error: cannot write a checkpoint to {root}/checkpoints")
    assert "(the checkpoint of step 120 is whole)" in line
    assert "File too large" in line
    assert_same_state(root, finished[0], 120)
    assert_same_state(root, finished[0], 80)


def test_bad_photographs_are_replaced_and_reported(commands, tmp_path):
    folder, names = tmp_path / "album", [f"{number}.jpg" for number in range(50)]
    (folder / "images").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name in names:
        pixels = rng.integers(0, 256, (24, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "images" / name)
    (folder / "images" / "7.jpg").write_bytes(b"\xff\xd8 torn")
    (folder / "images" / "8.jpg").unlink()
    rows = "".join(f"{name},a picture called {name}\n" for name in names)
    (folder / "captions.txt").write_text(f"image,caption\n{rows}")
    (folder / "splits.json").write_text(json.dumps({"train": names[:40], "dev": names[40:]}))

    process = commands.train(
        tmp_path / "run",
        config="configs/flickr8k.py",
        data__path=folder,
        data__workers=1,
        total_steps=6,  # 48 pairs of the 39 records
    )
    assert process.returncode == 0
    assert re.search(
        r"replaced [12] bad records: .*album/train: unreadable image \(7\.jpg: ", process.stdout
    )
    (line,) = process.stderr.splitlines()
    assert line.endswith("album/train: left out {'missing image': 1}")
    assert "retrieval: album/dev" in process.stdout


@pytest.fixture(scope="module")
def refused(commands, result, finished, tmp_path_factory):
    """Launches with a mistake in them, by name; run beside each other."""
    fresh = tmp_path_factory.mktemp("refused") / "run"
    launches = {
        "changed": (finished[0], {"streams__captions__rows": 16, "optimizer__learning_rate": 0.5}),
        "unknown key": (fresh, {"optimizer__learning_rat": 1.0}),
        "wrong type": (fresh, {"streams__captions__rows": "many"}),
        "wrong value": (fresh, {"optimizer__schedule__kind": "cosin"}),
        "no config": (fresh, {"config": "configs/quikstart.py"}),
        "no folder": ("/dev/null/run", {}),
    }
    with ThreadPoolExecutor(2) as pool:
        runs = {
            name: pool.submit(commands.train, root, **changes)
            for name, (root, changes) in launches.items()
        }
    assert not fresh.exists()
    return {name: run.result() for name, run in runs.items()}


@pytest.mark.parametrize(
    ("name", "messages"),
    [
        (
            "changed",
            ["streams.captions.rows: 8 -> 16", "optimizer.learning_rate: ", " -> 0.5", "--workdir"],
        ),
        (
            "unknown key",
            ["config.optimizer.learning_rat is no setting; did you mean learning_rate?"],
        ),
        ("wrong type", ["streams.captions.rows", "many"]),
        ("wrong value", ["config.optimizer.schedule.kind must be one of cosine, rsqrt, constant"]),
        ("no config", ["configs/quikstart.py"]),
        ("no folder", ["cannot write to the workdir /dev/null/run", "--workdir"]),
    ],
)
def test_a_mistake_ends_in_a_clear_message(refused, name, messages):
    process = refused[name]
    assert process.returncode == 2
    assert process.stderr.startswith("error: ")
    assert len(process.stderr.splitlines()) == (4 if name == "changed" else 1)
    for message in messages:
        assert message in process.stderr
