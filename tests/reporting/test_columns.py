"""Which runs make one column, what columns are called, and which runs cannot be compared."""

import json
from dataclasses import replace

import pytest

from kgclip_jax.errors import ConfigError, DataError
from kgclip_jax.reporting.columns import (
    check_same_sets,
    columns_of,
    shared_measures,
    unshared_sets,
)
from tests.reporting.small_runs import BLIND, RECALL, SEEING, SOURCE, make_run, with_source


@pytest.mark.parametrize(
    ("roots", "name"),
    [
        (["runs/clip-0", "runs/clip-1"], "clip"),
        (["runs/clip,0", "runs/clip,1"], "clip"),
        (["runs/clip-v1", "runs/clip-v2"], "clip-v1"),
        (["runs/clip-10", "runs/clip-11"], "clip-10"),
        (["ViT-B-32-0", "ViT-B-32-1"], "ViT-B-32"),
        (["0", "1"], "0"),
    ],
)
def test_seeds_are_those_of_configs_and_leave_the_names_that_end_with_them(roots, name):
    (column,) = columns_of([make_run(root, seed=s) for s, root in enumerate(roots)])
    assert (column.name, column.seeds) == (name, (0, 1))


def test_a_number_in_a_name_is_no_seed():
    columns = columns_of([make_run("clip-v1"), make_run("clip-v2", form="sigmoid")])
    assert [(column.label, column.seeds) for column in columns] == [
        ("clip-v1", (0,)),
        ("clip-v2", (0,)),
    ]


def test_equal_folder_names_are_told_apart_by_their_paths():
    columns = columns_of([make_run("a/run"), make_run("b/run", form="sigmoid")])
    assert [column.name for column in columns] == ["a/run", "b/run"]


def test_the_same_config_and_seed_again_is_another_column():
    assert len(columns_of([make_run("a"), make_run("b")])) == 2


def test_runs_that_start_from_seeds_of_one_method_are_one_method(tmp_path):
    for name, seed, objective in [("x", 0, "a"), ("y", 1, "a"), ("z", 1, "b")]:
        (tmp_path / name).mkdir()
        config = {"seed": seed, "objectives": {objective: {}}}
        (tmp_path / name / "config.json").write_text(json.dumps(config))
    first, second, other, unknown = (
        make_run(name, seed=seed, settings={"init_from": str(tmp_path / start)})
        for name, seed, start in [("a", 0, "x"), ("b", 1, "y"), ("c", 1, "z"), ("d", 1, "gone-1")]
    )
    assert [column.seeds for column in columns_of([first, second])] == [(0, 1)]
    assert len(columns_of([first, other])) == 2
    assert len(columns_of([first, unknown])) == 2
    taught = [
        make_run(name, seed=seed, settings={"teachers": {"big": {"init_from": str(tmp_path / t)}}})
        for name, seed, t in [("e", 0, "x"), ("f", 1, "y"), ("g", 1, "z")]
    ]
    assert [column.seeds for column in columns_of(taught[:2])] == [(0, 1)]
    assert len(columns_of(taught[::2])) == 2


def test_seeds_are_never_read_from_the_names_of_models():
    runs = [make_run(f"r{s}", seed=s, settings={"init_from": "models/clip-v1"}) for s in (1, 2)]
    (column,) = columns_of(runs)
    assert (column.name, column.seeds) == ("r", (1, 2))


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
            make_run("b", rows=[replace(SEEING, chance=0.25), RECALL, BLIND]),
            r"\n  composition: swaps, text: chance 0\.5 -> 0\.25$",
        ),
        (
            make_run("b", rows=[SEEING, RECALL, BLIND, replace(BLIND, metric="image")]),
            r"\n  composition: swaps, image, blind: only in the second$",
        ),
        (
            make_run("b", rows=[SEEING, RECALL, replace(BLIND, control="its mirror")]),
            r"\n  composition: swaps, text, blind: blind by what it does not say -> its mirror",
        ),
        (
            with_source(world={"concepts": 64, "scenes": 100}),
            r"\n  config\.streams\.captions\.sources\.emoji\.world\.concepts: 32 -> 64$",
        ),
        (with_source(folder="other"), r"\n  config\.streams\.captions\.sources\.emoji\.folder: "),
        (
            make_run("b", settings={"streams": {}, "evaluation": {"swaps": {"kind": "swaps"}}}),
            r"\n  config\.evaluation\.swaps: '\(absent\)' -> ",
        ),
        (
            make_run("b", settings={"evaluation": {"swaps": {"kind": "swaps"}}}),
            r"\n  composition: swaps, text: only one config\.json has its settings\n",
        ),
    ],
)
def test_other_questions_are_named(other, message):
    with pytest.raises(DataError, match=message):
        check_same_sets([make_run("a"), other])


@pytest.mark.parametrize(
    "change",
    [
        {"weight": 2.0},
        {"world": {"concepts": 32, "scenes": 9}},
        {"graphs": "parsed", "scene_graphs": "vg", "crop_scale": [0.5, 1.0]},
        {"split": "train+restval", "shards": "{00..09}.tar"},
    ],
)
def test_other_training_data_ask_the_same(change):
    check_same_sets([make_run("a"), with_source(**change)])


def test_another_place_and_more_sources_to_train_on_ask_the_same():
    plain = {"kind": "photographs", "evaluation_split": None}
    streams = {"captions": {"rows": 10, "sources": {"emoji": SOURCE, "more": plain}}}
    settings = {"streams": streams, "data": {"path": "/elsewhere"}}
    check_same_sets([make_run("a"), make_run("b", settings=settings)])


def test_training_settings_of_a_held_out_set_ask_the_same_and_its_split_does_not():
    order = {"kind": "order", "source": {"weight": 1.0, "graphs": None, "split": "test"}}
    order["world"] = {"scenes": 100}
    same = order | {"bad_share": 0.1, "source": order["source"] | {"weight": 2.0, "graphs": "g"}}
    same["world"] = {"scenes": 9}
    other = order | {"source": order["source"] | {"split": "dev"}}
    runs = [make_run("a", settings={"evaluation": {"x": x}}) for x in (order, same, other)]
    check_same_sets(runs[:2])
    with pytest.raises(DataError, match=r"config\.evaluation\.x\.source\.split: 'test' -> 'dev'"):
        check_same_sets(runs[::2])


NAMES = replace(RECALL, task="zero-shot", set_name="names", metric="top-1")
ASKED = {"evaluation": {"names": {"kind": "emoji_names"}}}


@pytest.mark.parametrize("turn", [1, -1])
def test_a_run_may_have_been_asked_about_more_than_another(turn):
    more = make_run("b", rows=[NAMES, BLIND, RECALL, SEEING], settings=ASKED)
    runs = [make_run("a"), more][::turn]
    check_same_sets(runs)
    measures = [(row.set_name, row.blind) for row in shared_measures(runs)]
    assert measures == [("swaps", False), ("swaps", True), ("scenes", False)]
    assert unshared_sets(runs) == {"zero-shot: names": ["b"]}


def test_a_run_that_was_asked_about_less_may_not_lack_other_rows():
    less = make_run("b", rows=[NAMES, SEEING, BLIND], settings=ASKED)
    with pytest.raises(DataError, match=r"\n  retrieval: scenes, R@1: only in the first$"):
        check_same_sets([make_run("a"), less])


def test_runs_that_share_no_row_cannot_be_compared():
    runs = [make_run("a", rows=[SEEING]), make_run("b", rows=[NAMES])]
    with pytest.raises(DataError, match="a, b share no held-out set"):
        shared_measures(runs)


def test_digits_in_the_name_of_a_starting_model_are_not_a_seed():
    both = [
        make_run(f"{seed}", seed=seed, settings={"init_from": "models/clip-v1"}) for seed in (1, 2)
    ]
    (column,) = columns_of(both)
    assert column.seeds == (1, 2)
