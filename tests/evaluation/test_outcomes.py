import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgclip_jax.errors import DataError, UserError
from kgclip_jax.evaluation.outcomes import read_outcomes, save_outcomes
from kgclip_jax.evaluation.result import Outcomes, Result, measured

CORRECT, CLUSTERS = np.array([True, False, True, True]), np.array([7, 7, 2, 3])


def row(metric="text", control="", groups=None):
    return measured(
        "composition", "a/b", metric, CORRECT, CLUSTERS, chance=0.5, groups=groups, control=control
    )


def test_a_row_keeps_what_it_averages(tmp_path):
    save_outcomes(tmp_path / "x.npz", [row()])
    (outcomes,) = read_outcomes(tmp_path / "x.npz").values()
    assert outcomes.values.dtype == np.float32
    assert outcomes.values.tolist() == [1, 0, 1, 1]
    assert outcomes.clusters.dtype == np.int64
    assert outcomes.clusters.tolist() == [7, 7, 2, 3]
    assert outcomes.groups is None
    assert [path.name for path in tmp_path.iterdir()] == ["x.npz"]


def test_rows_are_told_apart(tmp_path):
    groups = np.array([0, 0, 0, 1])
    read_before = Result("t", "s", "m", 0.5, 0.4, 0.6, 4, 0.5)  # has no outcomes
    rows = [row(), row(control="a mirror"), read_before, row("mean", groups=groups)]
    save_outcomes(tmp_path / "x.npz", rows)
    found = read_outcomes(tmp_path / "x.npz")
    assert [*found] == [
        ("composition", "a/b", "text", False),
        ("composition", "a/b", "text", True),
        ("composition", "a/b", "mean", False),
    ]
    assert found["composition", "a/b", "mean", False].groups.tolist() == [0, 0, 0, 1]


@given(names=st.tuples(st.text(), st.text(), st.text()))
def test_names_may_be_anything(tmp_path_factory, names):
    path = tmp_path_factory.getbasetemp() / "names.npz"
    save_outcomes(path, [measured(*names, CORRECT, CLUSTERS, chance=0.5)])
    assert [*read_outcomes(path)] == [(*names, False)]


def test_no_rows_and_no_file(tmp_path):
    save_outcomes(tmp_path / "x.npz", [])
    assert read_outcomes(tmp_path / "x.npz") == {}
    assert read_outcomes(tmp_path / "absent.npz") == {}
    with pytest.raises(UserError, match=r"cannot write .*absent"):
        save_outcomes(tmp_path / "absent" / "x.npz", [])


def test_damaged_files_are_named(tmp_path):
    path = tmp_path / "x.npz"
    save_outcomes(path, [row()])
    whole = path.read_bytes()
    for content in (b"", b"rubbish", whole[: len(whole) // 2], whole.replace(b"rows", b"cows")):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"x\.npz is damaged"):
            read_outcomes(path)
    path.unlink()
    np.savez(path, rows=np.array(["pickled"], dtype=object))
    with pytest.raises(DataError, match=r"x\.npz is damaged"):
        read_outcomes(path)


def test_outcomes_are_no_part_of_a_row_in_other_respects():
    other = Result(**{name: getattr(row(), name) for name in Result.__dataclass_fields__})
    assert row() == other
    assert "outcomes" not in repr(row())
    assert isinstance(row().outcomes, Outcomes)
