"""Runs of `launch/compare.py`: tables, files, and mistakes on the command line."""

import json
import shutil

import pytest


@pytest.fixture(scope="module")
def pair(finished, tmp_path_factory):
    """Two copies of a run; the second has other results, as from another objective."""
    folder = tmp_path_factory.mktemp("compared")
    first, second = (shutil.copytree(finished[0], folder / name) for name in ("clip", "structure"))
    settings = json.loads((second / "config.json").read_text())
    settings["objectives"]["contrastive"]["weight"] = 2.0
    (second / "config.json").write_text(json.dumps(settings))
    record = json.loads((second / "evaluation.json").read_text())
    for row in record["results"]:
        row["value"], row["low"], row["high"] = 1.0, 1.0, 1.0
    (second / "evaluation.json").write_text(json.dumps(record))
    return first, second


@pytest.fixture(scope="module")
def compare(commands, result):
    return lambda *arguments: result(commands.start("launch/compare.py", *map(str, arguments)))


def test_two_runs_side_by_side(compare, pair, tmp_path):
    process = compare(*pair, f"--output={tmp_path / 'new'}")
    assert (process.returncode, process.stderr) == (0, "")
    (heads,) = [
        line for line in process.stdout.splitlines() if "chance" in line and "metric" in line
    ]
    assert [cell.strip() for cell in heads.strip("┃").split("┃")] == [
        *("metric", "clip", "structure", "structure - clip", "chance", "n")
    ]
    assert "half-widths" in process.stdout
    written = json.loads((tmp_path / "new" / "compare.json").read_text())
    ours = json.loads((pair[0] / "evaluation.json").read_text())["results"]
    assert {(row["metric"], row["values"][0]["value"]) for row in written["rows"]} == {
        (row["metric"], row["value"]) for row in ours
    }
    assert {row["values"][1]["value"] for row in written["rows"]} == {1.0}
    assert [(b["step"], b["pairs"]) for b in written["budgets"]] == [(120, 960)] * 2
    assert all(b["training_seconds"] > 0 and b["timed_steps"] == 119 for b in written["budgets"])
    page = (tmp_path / "new" / "compare.html").read_text()
    rows = [page.count(f'<tr class="{kind}"') for kind in ("seeing", "blind")]
    assert sum(rows) == len(ours) + 2  # and two budgets
    assert "Training loss" not in page  # of two objectives: not comparable


def test_files_go_into_the_last_run_by_default(compare, pair):
    assert compare(*pair).returncode == 0
    assert (pair[1] / "compare.html").exists()
    assert not (pair[0] / "compare.html").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{clip}"], "name two workdirs at least"),
        (["{clip}", "{gone}"], "holds no run: {gone}/config.json is missing"),
        (["{clip}", "{clip}"], "{clip} is given twice"),
        (["{clip}", "{bare}"], "{bare}/evaluation.json is missing; python launch/evaluate.py"),
        (["{clip}", "{broken}"], "{broken}/evaluation.json is damaged"),
        (["{clip}", "{fewer}"], "zero-shot: unseen concepts, top-1: only in the first"),
    ],
)
def test_mistakes_end_in_a_message(compare, pair, tmp_path, arguments, message):
    places = {"clip": pair[0], "gone": tmp_path / "gone"}
    for name in ("bare", "broken", "fewer"):
        places[name] = tmp_path / name
        places[name].mkdir()
        shutil.copy(pair[1] / "config.json", places[name])
    (tmp_path / "broken" / "evaluation.json").write_text('{"step": 1')
    record = json.loads((pair[0] / "evaluation.json").read_text())
    record["results"] = [r for r in record["results"] if r["set_name"] != "unseen concepts"]
    (tmp_path / "fewer" / "evaluation.json").write_text(json.dumps(record))
    process = compare(*[argument.format(**places) for argument in arguments])
    assert process.returncode == 2
    assert process.stderr.startswith("error: ")
    assert message.format(**places) in process.stderr
    assert not (pair[0] / "compare.json").exists()
