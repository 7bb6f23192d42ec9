"""Records come in the order of their keys' ranges, with as much of them in memory as is allowed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgclip_jax.errors import UserError
from kgclip_jax.knowledge.graph import key_ranges
from kgclip_jax.knowledge.graph.key_ranges import in_key_ranges

RECORD = np.dtype([("key", np.int64), ("place", np.int16)])


def parts_of(keys, size):
    records = np.empty(len(keys), RECORD)
    records["key"], records["place"] = keys, np.arange(len(keys))
    return lambda: (records[start : start + size] for start in range(0, len(keys), size))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("ranges")


@settings(deadline=None)
@given(
    st.lists(st.one_of(st.integers(0, 9), st.integers(0, 2**63 - 1)), max_size=60),
    st.integers(1, 20),
    st.integers(1, 20),
)
def test_sorted_range_by_range_they_are_sorted(folder, keys, most, size):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(key_ranges, "RANGE", most)
        found = list(in_key_ranges(parts_of(keys, size), len(keys), folder))
    in_order = [np.sort(records, order=["key", "place"]) for records in found]
    rows = [tuple(row) for records in in_order for row in records.tolist()]
    assert rows == sorted((key, place) for place, key in enumerate(keys))
    for records in found:  # those of one key are as they came
        for key in np.unique(records["key"]):
            assert np.all(np.diff(records["place"][records["key"] == key]) > 0)
    assert not list(folder.iterdir())


def test_ranges_are_about_even(folder, monkeypatch):
    monkeypatch.setattr(key_ranges, "RANGE", 1_000)
    monkeypatch.setattr(key_ranges, "_SAMPLED", 2_000)
    keys = (np.random.default_rng(0).random(30_000) ** 4 * 2**62).astype(np.int64)
    sizes = [len(records) for records in in_key_ranges(parts_of(keys, 7_000), 30_000, folder)]
    assert len(sizes) == 30
    assert max(sizes) < 1_500


def test_what_a_kill_has_left_goes(folder, monkeypatch):
    monkeypatch.setattr(key_ranges, "RANGE", 2)
    (folder / "ranges").mkdir()
    (folder / "ranges" / "0").write_bytes(b"left")
    found = list(in_key_ranges(parts_of([3, 1, 2], 9), 3, folder))
    assert sum(map(len, found)) == 3
    assert not (folder / "ranges").exists()


def test_a_disk_that_refuses_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(key_ranges, "RANGE", 1)
    with pytest.raises(UserError, match=r"cannot write .*nowhere/ranges: No such file"):
        list(in_key_ranges(parts_of([1, 2], 9), 2, tmp_path / "nowhere"))
