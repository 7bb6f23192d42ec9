import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgclip_jax.errors import DataError
from kgclip_jax.evaluation.result import (
    Result,
    from_json,
    grouped,
    percent,
    set_label,
    to_json,
)

TEXT = Result("composition", "swaps", "text", 0.8125, 0.75, 0.875, 1600, 0.5)
BLIND = replace(TEXT, value=0.5, low=0.5, high=0.5, blind=True)
GROUP = replace(TEXT, metric="group", value=0.4, chance=1 / 6, n=800)
RECALL = Result("retrieval", "scenes", "text-to-image R@1", 0.25, 0.2, 0.3, 25_000, 0.0002)

rates = st.floats(0, 1)
results = st.builds(
    Result, st.text(), st.text(), st.text(), rates, rates, rates, st.integers(1), rates
)


@given(st.lists(results, max_size=3))
def test_json_round_trip(rows):
    assert from_json(json.loads(json.dumps(to_json(rows)))) == rows


@pytest.mark.parametrize(
    ("change", "field"), [(lambda r: r.pop("chance"), "chance"), (lambda r: r.update(p=1), "p")]
)
def test_json_of_another_shape_is_refused(change, field):
    records = to_json([TEXT, GROUP])
    change(records[1])
    with pytest.raises(DataError, match=f"result 1: .* {field};"):
        from_json(records)


def test_a_blind_row_follows_its_seeing_row():
    groups = grouped([BLIND, GROUP, RECALL, TEXT])
    assert groups == [[TEXT, BLIND, GROUP], [RECALL]]


def test_sets_of_a_task_stay_together():
    other = replace(TEXT, set_name="other")
    assert grouped([TEXT, RECALL, other]) == [[TEXT], [other], [RECALL]]


def test_a_set_is_named_with_the_scene_graphs_that_were_read():
    assert set_label(TEXT) == "composition: swaps"
    assert set_label(replace(TEXT, graphs="own")) == "composition: swaps (own graphs)"


@pytest.mark.parametrize(
    ("rate", "text"), [(0.0, "0.0"), (1.0, "100.0"), (0.1234, "12.3"), (0.00025, "0.025")]
)
def test_percent(rate, text):
    assert percent(rate) == text
