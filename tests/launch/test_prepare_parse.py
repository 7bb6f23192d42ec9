"""Runs of `launch/prepare.py parse`: a data set, a kill, and mistakes on the command line."""

import signal

import pytest

from kgclip_jax.knowledge.graph_store import GraphStore

PICTURES, PARTS = 600, 60
CAPTION = "a man in a red shirt rides picture {} over a bridge"


@pytest.fixture(scope="module")
def album(tmp_path_factory):
    folder = tmp_path_factory.mktemp("album")
    (folder / "0.jpg").write_bytes(b"never opened")
    for number in range(1, PICTURES):
        (folder / f"{number}.jpg").hardlink_to(folder / "0.jpg")
    lines = [f"{number}.jpg,{CAPTION.format(number)}" for number in range(PICTURES)]
    (folder / "captions.txt").write_text("\n".join(["image,caption", *lines]))
    return folder


@pytest.fixture(scope="module")
def start(commands, album):
    def start(output, *options):
        source = [f"--source=photographs:{album}", "--set=split=None", f"--output={output}"]
        return commands.start_fresh("launch/prepare.py", "parse", *source, "--workers=1", *options)

    return start


@pytest.fixture(scope="module")
def finished(start, result, tmp_path_factory):
    output = tmp_path_factory.mktemp("finished") / "graphs"
    return output, result(start(output, f"--parts={PARTS}"))


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_data_set_is_parsed(finished):
    output, process = finished
    assert (process.returncode, process.stderr) == (0, "")
    assert f"{output}: 600 captions of 600 records: " in process.stdout
    assert process.stdout.endswith("100.0% with a relation\n")
    graph = GraphStore(output).graphs("33.jpg", [CAPTION.format(33)]).graph(0)
    assert [thing.name for thing in graph.objects][:2] == ["man", "shirt"]


def test_after_a_kill_only_missing_parts_are_parsed(start, until, result, finished, tmp_path):
    output = tmp_path / "graphs"
    process = start(output, f"--parts={PARTS}")
    until(process, lambda: len(list(output.glob("reports/graphs-*.json"))) >= 5)
    process.kill()
    assert result(process).returncode == -signal.SIGKILL
    kept = {path: path.stat().st_mtime_ns for path in output.glob("reports/graphs-*.json")}
    assert not (output / "graphs.json").exists()
    again = result(start(output, f"--parts={PARTS}"))
    assert (again.returncode, again.stderr) == (0, "")
    assert "continuing after" in again.stdout
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert contents(output) == contents(finished[0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--model=en_nowhere"], "no spaCy pipeline 'en_nowhere' is installed"),
        (["--parts=601"], "shards must be within 1 and 600"),
        (["more"], "unexpected argument 'more'"),
        (["--short_side=3"], "Unknown command line flag 'short_side'"),
    ],
)
def test_mistakes_end_in_one_line(start, result, tmp_path, options, message):
    process = result(start(tmp_path / "graphs", *options))
    (line,) = process.stderr.splitlines()
    assert process.returncode == 2
    assert line.startswith("error: ")
    assert message in line
