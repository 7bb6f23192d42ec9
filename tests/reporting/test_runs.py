"""What is read of a workdir, and which of its files is named when it is damaged."""

import json
from dataclasses import replace

import pytest

from kgclip_jax.errors import ConfigError, DataError
from kgclip_jax.evaluation.result import to_json
from kgclip_jax.reporting.runs import read_runs
from tests.reporting.small_runs import RECALL, SEEING, make_run

GOOD = {
    "config.json": {"seed": 0, "streams": {"a": {"rows": {"x": 6, "y": 2}}}, "objectives": {}},
    "evaluation.json": {"step": 10, "results": to_json([SEEING])},
}


@pytest.fixture
def workdir(tmp_path):
    for name, content in GOOD.items():
        (tmp_path / name).write_text(json.dumps(content))
    return tmp_path


@pytest.mark.parametrize(
    ("file", "change", "error", "message"),
    [
        ("config.json", {"streams": []}, ConfigError, r"'streams' must be an object, not \[\]"),
        ("config.json", {"streams": {"a": 1}}, ConfigError, r"streams\.a\.sources must be"),
        ("config.json", {"streams": {"a": {"sources": [1]}}}, ConfigError, "object of objects"),
        ("config.json", {"streams": {"a": {"sources": {"b": 1}}}}, ConfigError, "of objects"),
        ("config.json", {"streams": {"a": {}}}, ConfigError, r"a\.rows must be whole .* None"),
        ("config.json", {"seed": "one"}, ConfigError, "'seed' must be a whole number, not 'one'"),
        ("config.json", None, ConfigError, "expected a JSON object"),
        ("evaluation.json", {"step": "ten"}, DataError, r"damaged \(step 'ten'\)"),
        ("evaluation.json", {"step": None}, DataError, r"damaged \(step None"),
        ("evaluation.json", None, DataError, "damaged"),
    ],
)
def test_damaged_files_are_named(workdir, file, change, error, message):
    content = [] if change is None else GOOD.get(file, {}) | change
    (workdir / file).write_text(json.dumps(content) + "\n")
    with pytest.raises(error, match=f"{file}.*{message}"):
        read_runs(str(workdir))


def test_a_run_without_held_out_sets_is_refused(workdir):
    (workdir / "evaluation.json").write_text(json.dumps({"step": 10, "results": []}))
    with pytest.raises(DataError, match="was evaluated on nothing"):
        read_runs(str(workdir))


def test_each_kind_of_weights_is_read_for_itself(workdir):
    averaged = replace(SEEING, value=0.7, weights="average")
    record = {"step": 10, "results": to_json([SEEING, averaged, RECALL])}
    (workdir / "evaluation.json").write_text(json.dumps(record))
    (workdir / "metrics.jsonl").write_text('{"step": 5}\n{"step": 15}\n')
    raw, average = read_runs(str(workdir))
    assert (raw.weights, [*raw.results]) == ("raw", [SEEING, RECALL])
    assert (average.weights, [*average.results]) == ("average", [averaged])
    assert (raw.step, raw.pairs, raw.seed, raw.metrics) == (10, 80, 0, [{"step": 5}])


def test_training_time_is_pairs_over_speed():
    lines = [
        {"step": 10, "pairs_per_second": 45.0},  # steps 2 to 10: 90 pairs
        {"step": 20, "pairs_per_second": 50.0},
        {"step": 30, "pairs_per_second": 25.0},
        {"step": 40, "loss": 1.0},  # no speed: not counted
    ]
    assert make_run("a", metrics=lines).training_time() == (2.0 + 2.0 + 4.0, 29)
    assert make_run("a", metrics=lines[-1:]).training_time() == (0.0, 0)
