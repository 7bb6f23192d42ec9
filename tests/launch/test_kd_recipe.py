"""The recipe of a language model as teacher, trained for three steps on made-up embeddings."""

import json

import pytest

from kgclip_jax.errors import ConfigError, DataError
from tests.launch.recipe_runs import (
    assert_trained,
    get_config,
    make_coco,
    make_teacher,
    trainer,
)


@pytest.fixture(scope="module")
def coco(tmp_path_factory):
    folder = tmp_path_factory.mktemp("karpathy") / "coco"
    make_coco(folder)
    return folder


@pytest.fixture(scope="module")
def train(commands, result, coco, made_by_torch, tmp_path_factory):
    return trainer(commands, result, coco, made_by_torch, tmp_path_factory)


@pytest.fixture(scope="module")
def folders(coco):
    return make_teacher(coco)


def test_it_trains_on_all_of_its_losses(train, folders, made_by_torch):
    small_steps = {"optimizer.schedule.warmup_steps": 0, "optimizer.learning_rate": 1e-6}
    source = {"kind": "karpathy", "file": "dataset_coco.json", "split": "test"}
    topics = {"kind": "concepts", "source": source, "folder": folders.split(",")[1]}
    settings = small_steps | {"evaluation.topics": topics}
    workdir, output = train("kd_clip", f",{folders}", **settings)
    assert_trained(workdir, output, made_by_torch, "contrastive")
    first, *_ = workdir.read_metrics()
    assert first["loss"] == pytest.approx(
        first["contrastive/loss"] + first["text_distillation/loss"] + 0.01 * first["concepts/loss"],
        rel=1e-6,
    )
    assert 0.3 < first["text_distillation/loss"] < 3  # of standardised numbers
    assert first["concepts/loss"] >= first["concepts/entropy"] > 0
    results = json.loads(workdir.evaluation.read_text())["results"]
    measured = [row for row in results if row["task"] == "concepts"]
    assert [(row["metric"], row["blind"]) for row in measured] == [
        ("image accuracy", False),
        ("image NMI", False),
        ("image accuracy", True),
        ("image NMI", True),
        ("text accuracy", False),
        ("text NMI", False),
    ]
    assert len({row["n"] for row in measured}) == 1


def test_rows_differ_in_what_they_say(folders, made_by_torch):
    make = get_config("kd_clip")
    plain, taught, whole = (
        make(f"{made_by_torch},{rest}") for rest in ("plain", folders.split(",")[0], folders)
    )
    assert [*plain.objectives] == ["contrastive"]
    assert [*taught.objectives] == ["contrastive", "text_distillation"]
    assert [*whole.objectives] == ["concepts", "contrastive", "text_distillation"] or [
        *whole.objectives
    ] == ["contrastive", "text_distillation", "concepts"]
    assert plain.total_steps == whole.total_steps
    assert plain.optimizer == whole.optimizer


def test_wrong_arguments_are_refused(made_by_torch, tmp_path):
    make = get_config("kd_clip")
    for rest in ("", ",", ",a,b,c"):
        with pytest.raises(ConfigError, match="give SOURCE,plain or SOURCE,EMBEDDINGS"):
            make(f"{made_by_torch}{rest}")
    with pytest.raises(DataError, match=r"embeddings\.json: not found"):
        make(f"{made_by_torch},{tmp_path}")
