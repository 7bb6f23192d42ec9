"""Comparisons of runs: their numbers against scipy and by hand, their columns, their refusals."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from kgclip_jax.errors import ConfigError, DataError
from kgclip_jax.evaluation.bootstrap import Interval
from kgclip_jax.evaluation.comparison import (
    compare,
    excludes_zero,
    independent_difference,
    notes,
    student_mean,
    to_json,
)
from kgclip_jax.evaluation.comparison_table import change_text, render_budgets, render_comparison
from kgclip_jax.evaluation.result import Result
from kgclip_jax.evaluation.runs import Run, columns_of, read_run, training_seconds

SEEING = Result("composition", "swaps", "text", 0.6, 0.56, 0.65, 400, 0.5)
BLIND = replace(SEEING, value=0.5, low=0.5, high=0.5, blind=True)
RECALL = Result("retrieval", "scenes", "R@1", 0.4, 0.35, 0.45, 100, 0.01)


def make_run(root, *, seed=0, value=0.6, rows=None, form="softmax", **changes):
    source = {
        "kind": "emoji",
        "weight": 1.0,
        "evaluation_items": 200,
        "world": {"concepts": 32, "scenes": 100},
    }
    settings = {
        "seed": seed,
        "batch_size": 10,
        "data": {"sources": {"emoji": source}},
        "objectives": {"contrastive": {"form": form}},
        "evaluation": {},
    }
    shift = value - SEEING.value
    seeing = replace(SEEING, value=value, low=SEEING.low + shift, high=SEEING.high + shift)
    results = [seeing, RECALL, BLIND] if rows is None else rows
    given = {"config": settings, "step": 100, "averaged": False, "metrics": []} | changes
    return Run(root, results=results, **given)


def with_source(**changes):
    run = make_run("b", form="sigmoid")
    source = run.config["data"]["sources"]["emoji"] | changes
    return replace(run, config=dict(run.config) | {"data": {"sources": {"emoji": source}}})


def test_the_half_widths_of_independent_runs_add_as_squares():
    first, second = Interval(0.5, 0.47, 0.53), Interval(0.7, 0.66, 0.74)
    change = independent_difference(first, second)
    assert change == pytest.approx((0.2, 0.15, 0.25))
    assert independent_difference(second, first) == pytest.approx((-0.2, -0.25, -0.15))


def test_each_side_of_a_difference_comes_from_the_sides_that_it_depends_on():
    first, second = Interval(0.5, 0.46, 0.53), Interval(0.7, 0.66, 0.71)
    assert independent_difference(first, second) == pytest.approx((0.2, 0.15, 0.2 + 0.0017**0.5))


def test_the_interval_of_independent_runs_has_its_coverage():
    rng = np.random.default_rng(0)
    n, rates = 400, (0.5, 0.62)
    drawn = rng.binomial(n, rates, size=(4000, 2)) / n
    half = 1.96 * np.sqrt(drawn * (1 - drawn) / n)
    held = 0
    for value, width in zip(drawn, half, strict=True):
        first, second = (Interval(v, v - w, v + w) for v, w in zip(value, width, strict=True))
        change = independent_difference(first, second)
        held += change.low <= rates[1] - rates[0] <= change.high
    assert 0.94 < held / 4000 < 0.96


@given(st.lists(st.floats(0, 1), min_size=2, max_size=12))
def test_a_mean_over_seeds_has_the_interval_of_student(values):
    found = student_mean(values)
    assert found.value == pytest.approx(np.mean(values))
    if np.std(values) > 1e-6:
        test = stats.ttest_1samp(values, 0.0)
        expected = test.confidence_interval(0.95)
        assert found[1:] == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_differences_of_seeds_are_those_of_a_paired_t_test():
    first, second = [0.60, 0.64, 0.59], [0.66, 0.69, 0.67]
    runs = [make_run(f"clip-{s}", seed=s, value=v) for s, v in enumerate(first)]
    runs += [
        make_run(f"structure-{s}", seed=s, value=v, form="sigmoid") for s, v in enumerate(second)
    ]
    found = compare(runs[::-1])  # whatever the order of the arguments
    assert [column.label for column in found.columns] == ["structure (3 seeds)", "clip (3 seeds)"]
    (row,) = [
        row for row in found.rows if row.measure.set_name == "swaps" and not row.measure.blind
    ]
    expected = stats.ttest_rel(first, second).confidence_interval(0.95)
    assert row.differences[0] == pytest.approx((-0.0633333, expected.low, expected.high), abs=1e-6)
    assert row.values[1].value == pytest.approx(0.61)
    assert excludes_zero(row.differences[0])
    assert "3 seeds (0, 1, 2)" in notes(found)[0]


def test_rows_are_those_of_all_runs_with_blind_ones_beneath():
    found = compare([make_run("a"), make_run("b", value=0.7, form="sigmoid")])
    names = [(row.measure.set_name, row.measure.blind) for row in found.rows]
    assert names == [("swaps", False), ("swaps", True), ("scenes", False)]
    assert found.rows[0].values[1] == pytest.approx((0.7, 0.66, 0.75))
    assert found.rows[0].differences[0].value == pytest.approx(0.1)
    assert found.rows[1].differences[0] == (0.0, 0.0, 0.0)
    assert "half-widths add as squares" in " ".join(notes(found))


@pytest.mark.parametrize(
    ("roots", "name"),
    [
        (["runs/clip-0", "runs/clip-1"], "clip"),
        (["runs/clip,0", "runs/clip,1"], "clip"),
        (["runs/clip-10", "runs/clip-11"], "clip"),
        (["ViT-B-32-0", "ViT-B-32-1"], "ViT-B-32"),
        (["0", "1"], "0"),
    ],
)
def test_seeds_are_called_by_what_their_folders_share(roots, name):
    (column,) = columns_of([make_run(root, seed=s) for s, root in enumerate(roots)])
    assert column.name == name


def test_equal_folder_names_are_told_apart_by_their_paths():
    columns = columns_of([make_run("a/run"), make_run("b/run", form="sigmoid")])
    assert [column.name for column in columns] == ["a/run", "b/run"]


def test_the_same_config_and_seed_again_is_another_column():
    assert len(columns_of([make_run("a"), make_run("b")])) == 2


@pytest.mark.parametrize(
    ("runs", "message"),
    [
        ([make_run("a"), make_run("./a", form="sigmoid")], r"\./a is given twice"),
        (
            [make_run("a-0"), make_run("a-1", seed=1), make_run("b", form="sigmoid")],
            r"needs the same seeds:\n  a: seeds 0, 1\n  b: seeds 0\n",
        ),
    ],
)
def test_runs_that_make_no_columns_are_refused(runs, message):
    with pytest.raises(ConfigError, match=message):
        columns_of(runs)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (
            make_run("b", rows=[SEEING, BLIND]),
            r"^b was evaluated .* than a .*\n  retrieval: scenes, R@1: only in the first$",
        ),
        (
            make_run("b", rows=[replace(SEEING, n=500), RECALL, BLIND]),
            r"\n  composition: swaps, text: n 400 -> 500$",
        ),
        (
            make_run("b", rows=[SEEING, RECALL, BLIND, replace(BLIND, metric="image")]),
            r"\n  composition: swaps, image, blind: only in the second$",
        ),
        (
            with_source(world={"concepts": 64, "scenes": 100}),
            r"\n  config\.data\.sources\.emoji\.world\.concepts: 32 -> 64$",
        ),
    ],
)
def test_other_questions_are_named(other, message):
    with pytest.raises(DataError, match=message):
        compare([make_run("a"), other])


@pytest.mark.parametrize("change", [{"weight": 2.0}, {"world": {"concepts": 32, "scenes": 9}}])
def test_other_training_data_are_compared(change):
    assert len(compare([make_run("a"), with_source(**change)]).columns) == 2


GOOD = {
    "config.json": {"seed": 0, "batch_size": 8, "data": {"sources": {}}, "objectives": {}},
    "evaluation.json": {"step": 10, "averaged": False, "results": []},
}


@pytest.mark.parametrize(
    ("file", "change", "error", "message"),
    [
        ("config.json", {"data": []}, ConfigError, r"'data' must be an object, not \[\]"),
        ("config.json", {"data": {"sources": [1]}}, ConfigError, "must be an object of objects"),
        ("config.json", {"data": {"sources": {"a": 1}}}, ConfigError, "an object of objects"),
        ("config.json", {"seed": "one"}, ConfigError, "'seed' must be a whole number, not 'one'"),
        ("config.json", None, ConfigError, "expected a JSON object"),
        ("evaluation.json", {"step": "ten"}, DataError, r"damaged \(step 'ten', averaged False"),
        ("evaluation.json", {"step": None}, DataError, r"damaged \(step None"),
        ("evaluation.json", {"averaged": 1}, DataError, r"damaged \(step 10, averaged 1"),
        ("evaluation.json", None, DataError, "damaged"),
        ("metrics.jsonl", {"step": "ten"}, DataError, "damaged"),
        ("metrics.jsonl", None, DataError, "damaged"),
    ],
)
def test_damaged_files_are_named(tmp_path, file, change, error, message):
    for name, content in GOOD.items():
        (tmp_path / name).write_text(json.dumps(content))
    assert read_run(str(tmp_path)).step == 10
    content = [] if change is None else GOOD.get(file, {}) | change
    (tmp_path / file).write_text(json.dumps(content) + "\n")
    with pytest.raises(error, match=f"{file}.*{message}"):
        read_run(str(tmp_path))


def test_training_time_is_pairs_over_speed():
    lines = [
        {"step": 10, "pairs_per_second": 45.0},  # steps 2 to 10: 90 pairs
        {"step": 20, "pairs_per_second": 50.0},
        {"step": 30, "pairs_per_second": 25.0},
        {"step": 40, "loss": 1.0},  # no speed: not counted
    ]
    assert training_seconds(make_run("a", metrics=lines)) == (2.0 + 2.0 + 4.0, 29)
    assert training_seconds(make_run("a", metrics=lines[-1:])) == (0.0, 0)


def test_tables_and_json_say_the_same():
    lines = [{"step": 100, "pairs_per_second": 11.0}]
    found = compare([make_run("a", metrics=lines), make_run("b", value=0.7, form="sigmoid")])
    values = render_comparison(found)
    assert [str(column.header) for column in values.columns] == [
        *("metric", "a", "b", "b - a", "chance", "n")
    ]
    cells = [[str(cell) for cell in column.cells] for column in values.columns]
    assert cells[2][1:3] == ["70.0 (66.0 - 75.0)", "50.0 (50.0 - 50.0)"]
    assert cells[3][1:3] == ["+10.0 (+3.6 to +16.4) *", "+0.0 (+0.0 to +0.0)"]
    budgets = [[str(cell) for cell in column.cells] for column in render_budgets(found).columns]
    assert budgets[3:] == [["1,000", "1,000"], ["1 min 30 s for 99 steps", "not logged"]]
    written = json.loads(json.dumps(to_json(found)))
    assert written["rows"][0]["values"][1]["value"] == pytest.approx(0.7)
    assert written["rows"][0]["differences"][0]["low"] == pytest.approx(0.036, abs=1e-3)
    assert [budget["training_seconds"] for budget in written["budgets"]] == [90.0, None]


def test_a_star_marks_what_excludes_zero():
    assert change_text(Interval(-0.02, -0.03, -0.01)) == "-2.0 (-3.0 to -1.0) *"
    assert change_text(Interval(0.02, 0.0, 0.04)) == "+2.0 (+0.0 to +4.0)"
