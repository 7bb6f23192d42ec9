"""Runs of several real processes, which stand for hosts: the same run as that of one."""

import json
import shutil
import signal
import socket

import numpy as np
import pytest

import kgclip_jax
from kgclip_jax.cluster import ADDRESS, COUNT, INDEX
from kgclip_jax.paths import leaves_by_path
from kgclip_jax.store.checkpoints import saved_steps
from kgclip_jax.store.workdir import Workdir

# With four processes of one device, both axes span them: neighbours along `tensor` load the same
# rows, and parameters are cut between hosts along both.
MESH = {"mesh__data": 1, "mesh__fsdp": 2, "mesh__tensor": 2}
ENDLESS = {"total_steps": 100_000, "checkpoints__every": 4}
SETTINGS = {"model__text__context_length": 16, "evaluate_every": None}
STOPPED = 143


def members(count):
    """The environment of each of several processes."""
    with socket.create_server(("localhost", 0)) as server:
        address = f"localhost:{server.getsockname()[1]}"
    return [{ADDRESS: address, COUNT: f"{count}", INDEX: f"{index}"} for index in range(count)]


def start(commands, root, count, **changes):
    return [
        commands.start_training(root, environment=member, **SETTINGS, **changes)
        for member in members(count)
    ]


def losses(root):
    return {line["step"]: line["loss"] for line in Workdir(root).read_metrics()}


@pytest.fixture(scope="module")
def four(commands, result, tmp_path_factory):
    """(workdir, completed processes) of a run of four."""
    root = tmp_path_factory.mktemp("four") / "run"
    run = start(commands, root, 4, total_steps=6, checkpoints__every=2, **MESH)
    return root, [result(process) for process in run]


@pytest.fixture(scope="module")
def one(commands, tmp_path_factory):
    """(workdir, completed process) of the same run of one process with one device."""
    root = tmp_path_factory.mktemp("one") / "run"
    return root, commands.train(root, total_steps=6, checkpoints__every=2, **SETTINGS)


@pytest.fixture(scope="module")
def two(commands, until, result, four, tmp_path_factory):
    """The run of four, gone on with by two from step 2: workdir, losses, and how each ended.

    One of them is killed between two checkpoints; the same command again goes on, until one is
    asked to stop.
    """
    root = tmp_path_factory.mktemp("two") / "run"
    shutil.copytree(four[0], root)
    for step in (4, 6):
        shutil.rmtree(root / "checkpoints" / f"{step}")
    run = start(commands, root, 2, **ENDLESS)
    until(run[0], lambda: max(losses(root)) > saved_steps(root / "checkpoints")[-1] > 2)
    run[1].kill()
    killed = [result(process) for process in run]
    taken = losses(root)
    run = start(commands, root, 2, **ENDLESS)
    until(run[0], lambda: max(losses(root)) > max(taken) + 2)
    run[1].terminate()
    return root, taken, killed, [result(process) for process in run]


def test_the_first_process_alone_talks_and_writes(four):
    root, processes = four
    for index, process in enumerate(processes):
        assert (process.returncode, process.stderr) == (0, "")
        lines = [line for line in process.stdout.splitlines() if not line.startswith("[Gloo]")]
        assert lines[0] == f"process {index} of 4, found by {COUNT}: 1 of 4 devices"
        assert ("report: " in process.stdout) == (len(lines) > 1) == (index == 0)
    assert [line["step"] for line in Workdir(root).read_metrics()] == [*range(1, 7)]
    assert [line["step"] for line in Workdir(root).read_evaluations()] == [6]
    assert len([*root.glob("events.*")]) == 1
    assert "data:image/png" in (root / "report.html").read_text()
    assert not [path for path in root.rglob("*") if "partial" in path.name or "shared" in path.name]


def test_several_processes_take_the_steps_of_one(four, one):
    """Along `tensor` rows are loaded twice, and used and counted once."""
    assert one[1].returncode == 0
    np.testing.assert_allclose([*losses(four[0]).values()], [*losses(one[0]).values()], rtol=1e-5)
    records, of_one = (
        json.loads((root / "checkpoints/6/progress/metadata").read_text())["records"]
        for root, _ in (four, one)
    )
    assert records == of_one != []


def test_a_checkpoint_of_four_is_a_model_for_one(four, one):
    mine, others = (leaves_by_path(kgclip_jax.load(root).params) for root, _ in (four, one))
    assert mine.keys() == others.keys()
    for path, leaf in mine.items():
        np.testing.assert_allclose(leaf, others[path], rtol=1e-3, atol=1e-5, err_msg=path)


def test_an_evaluation_is_that_of_one_process(commands, result, four, one, tmp_path):
    """Within a run, whose parameters are spread over processes, and by two beside each other."""
    own, of_one = (Workdir(root).read_evaluations()[-1] for root, _ in (four, one))
    assert own == of_one
    root = shutil.copytree(four[0], tmp_path / "run")
    (root / "evaluation.json").unlink()
    command = "launch/evaluate.py", f"--workdir={root}"
    run = [commands.start(*command, environment=member) for member in members(2)]
    for process in [result(process) for process in run]:
        assert (process.returncode, process.stderr) == (0, "")
    assert json.loads((root / "evaluation.json").read_text()) == own


def test_when_one_is_killed_the_others_end_and_say_so(two):
    survivor, killed = two[2]
    assert killed.returncode == -signal.SIGKILL
    assert survivor.returncode == 1
    (line,) = survivor.stderr.splitlines()
    assert line.startswith("error: process 0 of 2: another process is gone, or cannot be reached (")


def test_the_same_command_goes_on_to_the_bit(four, two):
    root, taken, _, stopped = two
    again = losses(root)
    assert f"continuing from step {max(taken) // 4 * 4}" in stopped[0].stdout
    assert {step: again[step] for step in taken} == taken
    assert [*again] == [*range(1, max(again) + 1)]
    of_four = losses(four[0])
    np.testing.assert_allclose([again[step] for step in of_four], [*of_four.values()], rtol=1e-5)


def test_a_signal_to_one_stops_all_after_one_step(two):
    root, _, _, stopped = two
    assert [process.returncode for process in stopped] == [STOPPED] * 2
    assert "stopped and saved" in stopped[0].stdout
    assert saved_steps(root / "checkpoints")[-1] == max(losses(root))
