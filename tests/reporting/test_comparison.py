"""Comparisons of runs: rows and differences, and what tables, pages and JSON say of them."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from kgclip_jax.evaluation.result import Outcomes
from kgclip_jax.reporting.comparison import compare, notes, to_json
from kgclip_jax.reporting.comparison_page import tables, write_comparison
from kgclip_jax.reporting.runs import measure_of
from kgclip_jax.reporting.tables import to_terminal
from tests.reporting.small_runs import RECALL, SEEING, make_run


def test_differences_of_seeds_are_those_of_a_paired_t_test():
    first, second = [0.60, 0.64, 0.59], [0.66, 0.69, 0.67]
    runs = [make_run(f"clip-{s}", seed=s, value=v) for s, v in enumerate(first)]
    runs += [
        make_run(f"structure-{s}", seed=s, value=v, form="sigmoid") for s, v in enumerate(second)
    ]
    found = compare(runs[::-1])  # whatever the order of the arguments
    assert [column.label for column in found.columns] == ["structure (3 seeds)", "clip (3 seeds)"]
    row = found.rows[0]
    expected = stats.ttest_rel(first, second).confidence_interval(0.95)
    assert row.differences[0] == (
        *(pytest.approx(x, abs=1e-6) for x in (-0.0633333, expected.low, expected.high)),
        "seeds",
    )
    assert row.values[1].value == pytest.approx(0.61)
    assert row.differences[0].excludes_zero
    assert "3 seeds (0, 1, 2)" in notes(found)[0]


def test_rows_are_those_of_all_runs_with_blind_ones_beneath():
    found = compare([make_run("a"), make_run("b", value=0.7, form="sigmoid")])
    names = [(row.measure.set_name, row.measure.blind) for row in found.rows]
    assert names == [("swaps", False), ("swaps", True), ("scenes", False)]
    assert found.rows[0].values[1] == pytest.approx((0.7, 0.66, 0.75))
    assert found.rows[0].differences[0].value == pytest.approx(0.1)
    assert found.rows[1].differences[0] == (0.0, 0.0, 0.0, "unpaired")
    assert "half-widths add as squares" in " ".join(notes(found))


def kept(rate, row, *, clusters=None):
    """Outcomes of a row at a rate, the first questions being the right ones."""
    values = (np.arange(row.n) < rate * row.n).astype(np.float32)
    return {measure_of(row): Outcomes(values, np.arange(row.n) if clusters is None else clusters)}


def test_runs_that_kept_their_decisions_are_compared_question_by_question():
    runs = [
        make_run("a", outcomes=kept(0.6, SEEING)),
        make_run("b", value=0.7, form="sigmoid", outcomes=kept(0.7, SEEING)),
    ]
    found = compare(runs)
    change = found.rows[0].differences[0]
    assert (change.kind, change.value) == ("paired", pytest.approx(0.1))
    half = 1.96 * np.sqrt(0.1 * 0.9 / SEEING.n)  # 1 in 10 questions became right, none wrong
    assert change[1:3] == pytest.approx((0.1 - half, 0.1 + half), abs=0.004)
    assert found.rows[2].differences[0].kind == "unpaired"
    said = " ".join(notes(found))
    assert "question by question" in said
    assert "add as squares" in said
    cells = [line.cells[3].text for line in tables(found)[0].lines if len(line.cells) > 1]
    assert cells[0].endswith(" paired *")
    assert cells[2].endswith(") unpaired")


def test_what_one_run_alone_was_asked_is_left_out_and_told():
    """As of a run that goes on from another one, and was asked about more."""
    names = replace(RECALL, set_name="names")
    asked = {"evaluation": {"names": {}}, "init_from": "runs/a"}
    after = make_run("runs/b", rows=[SEEING, names, RECALL], settings=asked)
    before = make_run("runs/a", rows=[SEEING, RECALL])
    for runs in ([before, after], [after, before]):
        found = compare(runs)
        assert [row.measure for row in found.rows] == [SEEING, RECALL]
        assert all(len(row.values) == 2 for row in found.rows)
        (said,) = [note for note in notes(found) if "not all runs" in note]
        assert said.endswith(": retrieval: names (runs/b).")
    assert not [
        note for note in notes(compare([before, replace(before, root="c")])) if "not all" in note
    ]


@pytest.mark.parametrize(
    "outcomes",
    [
        {},
        kept(0.7, RECALL),
        kept(0.65, SEEING),  # not those that the row is the mean of
        kept(0.7, SEEING, clusters=np.arange(SEEING.n) // 2),
        kept(0.7, replace(SEEING, n=390)),
    ],
    ids=["none", "other row", "other mean", "other clusters", "other number"],
)
def test_decisions_that_do_not_belong_together_are_not_paired(outcomes):
    first = make_run("a", outcomes=kept(0.6, SEEING))
    second = make_run("b", value=0.7, form="sigmoid", outcomes=outcomes)
    assert compare([first, second]).rows[0].differences[0].kind == "unpaired"


def test_raw_and_averaged_weights_of_a_run_are_compared():
    averaged = [replace(row, value=0.5, weights="average") for row in make_run("a").results]
    found = compare([make_run("a"), make_run("a", rows=averaged, weights="average")])
    assert [column.label for column in found.columns] == ["a", "a (average)"]
    assert found.rows[0].differences[0].value == pytest.approx(-0.1)
    budgets = tables(found)[1]
    assert [line.cells[2].text for line in budgets.lines] == ["100", "100 (average)"]


def test_tables_and_json_say_the_same():
    lines = [{"step": 100, "pairs_per_second": 11.0}]
    found = compare([make_run("a", metrics=lines), make_run("b", value=0.7, form="sigmoid")])
    values, budgets = map(to_terminal, tables(found))
    assert [str(column.header) for column in values.columns] == [
        *("metric", "a", "b", "b - a", "chance", "n")
    ]
    cells = [[str(cell) for cell in column.cells] for column in values.columns]
    assert cells[0] == ["composition: swaps", "text", "text, blind", "retrieval: scenes", "R@1"]
    assert cells[2][1:3] == ["70.0 (66.0 - 75.0)", "50.0 (50.0 - 50.0)"]
    assert cells[3][1:3] == [
        "+10.0 (+3.6 to +16.4) unpaired *",
        "+0.0 (+0.0 to +0.0) unpaired",
    ]
    taken = [[str(cell) for cell in column.cells] for column in budgets.columns]
    assert taken[3:] == [["1,000", "1,000"], ["1 min 30 s for 99 steps", "not logged"]]
    written = json.loads(json.dumps(to_json(found)))
    assert written["rows"][0]["values"][1]["value"] == pytest.approx(0.7)
    change = written["rows"][0]["differences"][0]
    assert (change["low"], change["kind"]) == (pytest.approx(0.036, abs=1e-3), "unpaired")
    assert [budget["training_seconds"] for budget in written["budgets"]] == [90.0, None]


def test_the_page_has_rows_budgets_notes_and_curves(tmp_path):
    lines = [{"step": 100, "pairs_per_second": 11.0, "loss": 1.0}]
    runs = [make_run("a", metrics=lines), make_run("b", step=90, metrics=lines)]
    write_comparison(tmp_path / "compare.html", compare(runs))
    page = (tmp_path / "compare.html").read_text()
    for text in ("a / b", "b - a", "60.0 (56.0 - 65.0)", "Training loss"):
        assert text in page
    assert page.count('class="s1"') == 1 + 3 + 2  # legend, rows, curves
    runs[1] = make_run("b", form="sigmoid", metrics=lines)
    write_comparison(tmp_path / "compare.html", compare(runs))
    assert "Training loss" not in (tmp_path / "compare.html").read_text()  # not comparable
