"""Runs of `launch/prepare.py`: kills, stops, damage, and mistakes on the command line."""

import os
import re
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

PICTURES, SHARDS = 100, 50
STOPPED = 143


@pytest.fixture(scope="module")
def album(tmp_path_factory):
    """Pictures large enough that there is time to interrupt."""
    folder = tmp_path_factory.mktemp("album")
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (75, 100, 3), dtype=np.uint8).repeat(10, 0).repeat(10, 1)
    Image.fromarray(noise).save(folder / "0.jpg")
    for number in range(1, PICTURES):
        (folder / f"{number}.jpg").hardlink_to(folder / "0.jpg")
    lines = ["image,caption", *(f"{number}.jpg,picture {number}" for number in range(PICTURES))]
    (folder / "captions.txt").write_text("\n".join(lines))
    return folder


@pytest.fixture(scope="module")
def start(commands, album):
    def start(output, *options, source=album):
        arguments = [f"--source=photographs:{source}", "--set=split=None", f"--output={output}"]
        return commands.start_fresh(
            "launch/prepare.py", "shards", *arguments, "--workers=1", *options
        )

    return start


@pytest.fixture(scope="module")
def finished(start, result, tmp_path_factory):
    """(output, process) of a preparation that nothing disturbed."""
    output = tmp_path_factory.mktemp("finished") / "shards"
    return output, result(start(output, f"--shards={SHARDS}"))


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def reports(output):
    return sorted(output.glob("reports/shard-*.json"))


def children(parent):
    """The worker processes of a process, without the one that tracks its semaphores."""
    stats = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
            command = (path.parent / "cmdline").read_text()
        except OSError:  # it has ended
            continue
        if int(fields[1]) == parent and "spawn_main" in command:
            stats.append(int(path.parent.name))
    return stats


def test_shards_are_prepared_and_verified(commands, result, finished):
    output, process = finished
    assert (process.returncode, process.stderr) == (0, "")
    assert f"{output}: {PICTURES} pictures in {SHARDS} shards, " in process.stdout
    verified = result(commands.start_fresh("launch/prepare.py", "verify", f"--output={output}"))
    assert (verified.returncode, verified.stderr) == (0, "")
    assert verified.stdout == f"{process.stdout.splitlines()[-1]}; all as the manifest says\n"


def test_after_a_kill_only_missing_shards_are_written(start, until, result, finished, tmp_path):
    output = tmp_path / "shards"
    process = start(output, f"--shards={SHARDS}")
    until(process, lambda: len(reports(output)) >= 5)
    (worker,) = children(process.pid)
    process.kill()
    deadline = time.monotonic() + 30
    while Path(f"/proc/{worker}").exists():
        assert time.monotonic() < deadline, "the worker has not ended with its parent"
    assert result(process).returncode == -signal.SIGKILL
    kept = {path: path.stat().st_mtime_ns for path in reports(output)}
    assert 5 <= len(kept) < SHARDS
    assert not (output / "manifest.json").exists()

    again = result(start(output, f"--shards={SHARDS}"))
    assert (again.returncode, again.stderr) == (0, "")
    assert re.search(rf"continuing after \d+ of {PICTURES} pictures", again.stdout)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert contents(output) == contents(finished[0])


def test_a_signal_stops_at_once_and_leaves_no_half_of_a_shard(start, until, result, tmp_path):
    process = start(tmp_path / "shards", "--shards=1")
    until(process, lambda: list(tmp_path.glob("shards/*.partial")))
    process.terminate()
    stopped = result(process)
    assert (stopped.returncode, stopped.stderr) == (STOPPED, "")
    assert stopped.stdout.endswith("stopped; the same command continues\n")
    assert list(contents(tmp_path)) == ["plan.json"]


def test_a_killed_worker_is_an_error(start, until, result, tmp_path):
    process = start(tmp_path / "shards", "--shards=1")
    until(process, lambda: list(tmp_path.glob("shards/*.partial")))
    os.kill(*children(process.pid), signal.SIGKILL)
    killed = result(process)
    assert killed.returncode == 2
    assert re.fullmatch(r"error: a worker was killed, perhaps because memory .*\n", killed.stderr)


def test_too_many_bad_pictures_end_in_one_line(start, result, album, tmp_path):
    (tmp_path / "captions.txt").write_text("image,caption\nwhole.jpg,a\ntorn.jpg,b\n")
    (tmp_path / "whole.jpg").write_bytes((album / "0.jpg").read_bytes())
    (tmp_path / "torn.jpg").write_bytes((album / "0.jpg").read_bytes()[:5000])
    process = result(start(tmp_path / "shards", source=tmp_path))
    assert process.returncode == 2
    assert process.stderr.splitlines()[-1].startswith(
        f"error: {tmp_path}/shards: unreadable image: 1 of 2, above the share of 0.05 that may be "
        "left out: torn.jpg ("
    )
    process = result(start(tmp_path / "shards", "--bad_share=0.5", source=tmp_path))
    assert process.returncode == 0
    assert "1 pictures in 1 shards" in process.stdout
    assert process.stdout.endswith("left out: 1 x unreadable image\n")


def test_help_needs_no_jax(commands, result, tmp_path):
    (tmp_path / "jax.py").write_text("raise ImportError")
    path = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); sys.argv[0] = 'launch/prepare.py'; "
    run = path + "import runpy; runpy.run_path(sys.argv[0], run_name='__main__')"
    process = result(commands.start_fresh("-c", run, "shards", "--help"))
    assert process.stderr == ""
    assert "--short_side" in process.stdout


MISTAKES = [
    ([], "say what to prepare: shards or verify or parse or graphs"),
    (["shard"], "say what to prepare: shards or verify or parse or graphs"),
    (["shards", "--output=x"], "flag --source=None: Flag --source must have a value"),
    (["verify", "--output=x", "--short_side=3"], "Unknown command line flag 'short_side'"),
    (["verify", "--output=nowhere"], "nowhere/manifest.json: not found"),
    (["shards", "--source=photograph:x", "--output=x"], "did you mean photographs?"),
    (["shards", "--source=photographs:nowhere", "--output=x"], "/nowhere: no such folder"),
    (["shards", "--source=tfds", "--output=x", "--quality=0"], "quality"),
    (["shards", "--source=tfds", "--output=x", "more"], "'more' is for --engine=beam"),
    (
        ["shards", "--source=tfds", "--output=x", "--engine=beam", "--workers=2"],
        "--workers is for the local engine",
    ),
]


def test_mistakes_end_in_one_line(commands, result):
    with ThreadPoolExecutor(2) as threads:
        run = lambda mistake: result(commands.start_fresh("launch/prepare.py", *mistake[0]))  # noqa: E731
        processes = list(threads.map(run, MISTAKES))
    for process, (_, message) in zip(processes, MISTAKES, strict=True):
        (line,) = process.stderr.splitlines()
        assert process.returncode == 2
        assert line.startswith("error: ")
        assert message in line
