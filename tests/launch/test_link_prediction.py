"""The recipe of entity tables learns a graph whose held-out triples follow from the others."""

import json

import numpy as np
import pytest

from kgclip_jax.errors import ConfigError
from kgclip_jax.store.workdir import Workdir
from tests.knowledge.graph.made_up_graphs import make_graph
from tests.launch.recipe_runs import get_config

PEOPLE = 24


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    """People in a row: each is right of the last one, who is left of him."""
    pairs = [(f"{n:02}", f"{n + 1:02}") for n in range(PEOPLE)]
    right = [(later, "right of", earlier) for earlier, later in pairs]
    left = [(earlier, "left of", later) for earlier, later in pairs]
    splits = {"train": right + left[4:], "test": left[:4]}
    return make_graph(tmp_path_factory.mktemp("row") / "graph", splits).folder


@pytest.mark.parametrize(("scorer", "starts"), [("transe", False), ("complex", True)])
def test_an_entity_table_finds_what_follows(commands, result, graph, scorer, starts, tmp_path):
    """From random numbers, or from those of a file."""
    vectors = tmp_path / "vectors.npy"
    np.save(vectors, np.random.default_rng(0).normal(size=(PEOPLE + 1, 32)))
    changes = {
        "total_steps": 150,
        "streams.edges.rows": 64,
        **({} if starts else {"heads.table.width": 32}),
        "optimizer.learning_rate": 0.02,
        "data.workers": 0,
    }
    options = [f"--config.{key}={value}" for key, value in changes.items()]
    arguments = f"{graph},{scorer},{vectors}" if starts else f"{graph},{scorer}"
    file, workdir = f"--config=configs/link_prediction.py:{arguments}", tmp_path / "run"
    process = result(commands.start("launch/train.py", file, f"--workdir={workdir}", *options))
    assert process.returncode == 0, process.stderr
    results = json.loads(Workdir(workdir).evaluation.read_text())["results"]
    (found,) = (row for row in results if row["metric"] == "Hits@3")
    assert found["value"] == 1  # where chance is 3 of 25


@pytest.mark.parametrize("arguments", ["GRAPH", "GRAPH,", ",transe", "GRAPH,trans"])
def test_an_entity_table_needs_a_graph_and_a_scorer(arguments):
    with pytest.raises(ConfigError, match="give GRAPH,SCORER"):
        get_config("link_prediction")(arguments)
