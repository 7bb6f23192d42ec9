"""A plan of a step, compiled for eight devices."""

import json
from dataclasses import replace

import jax
import pytest

from kgclip_jax import config
from kgclip_jax.config_file import load_config
from kgclip_jax.data.stored_pictures import Data
from kgclip_jax.data.streams.stream import StreamOpening
from kgclip_jax.errors import ConfigError
from kgclip_jax.model_inputs import preprocessing_for
from kgclip_jax.planning.compiled_step import CompiledStep, TooLargeError
from kgclip_jax.planning.planned_streams import planned_streams
from kgclip_jax.planning.planner import Planner
from kgclip_jax.planning.targets import CHIPS, find_target


def experiment(rows=64, **more):
    """A model of one block a tower on archives that are not here."""
    values = load_config("configs/pretrain.py:tiny").values
    values["model"]["vision"]["transformer"]["depth"] = 1
    values["model"]["text"]["transformer"]["depth"] = 1
    values["streams"]["captions"]["rows"] = rows
    values["objectives"]["contrastive"]["chunk_size"] = 16
    return config.experiment(values | more)


@pytest.fixture(scope="module")
def plan():
    return Planner(experiment(), find_target("cpu:8")).plan(largest=False)


def test_a_plan_has_what_users_read(plan):
    told = json.loads(json.dumps(plan.to_json()))
    assert told["devices"] == 8
    assert told["mesh"] == {"data": 8, "fsdp": 1, "tensor": 1}
    assert told["temporary_bytes"] > 0
    assert told["flops"] > told["model_flops"] > 0
    assert told["argument_bytes"] > 12 * told["parameters"], "parameters and two moments"
    assert told["bytes_accessed"] > told["argument_bytes"]
    assert told["collectives"]["all-reduce"]["bytes"] >= 4 * told["parameters"], "gradients"
    assert told["rows"] == {"captions": 64}
    assert any("not here" in line for line in told["assumptions"])
    assert {row["parameter"] for row in told["sharding"]} >= {"model/logit_scale"}


def test_nothing_is_promised_of_cpus(plan):
    assert plan.roofline is None
    assert "hours" not in plan.to_json()


def test_the_least_time_is_that_of_what_takes_longest(plan):
    target = replace(plan.target, chip=CHIPS["v5e"])
    there = replace(plan, target=target)
    told = there.to_json()
    moved = sum(each["bytes"] for each in told["collectives"].values())
    assert told["seconds"]["network"] == pytest.approx(moved / 200e9)
    assert told["seconds"]["step"] == max(
        told["seconds"][name] for name in ("compute", "memory", "network")
    )
    assert told["rows_per_second"]["captions"] == pytest.approx(64 / told["seconds"]["step"])
    assert told["chip_hours"] == pytest.approx(8 * told["hours"])
    assert any("chip-hours" in line for line in there.lines())


def test_what_the_compiler_refuses_does_not_fit_however_near(monkeypatch):
    """A chip's last bytes are not for programs: a step just below its memory is refused, too."""

    def compile_step(self, settings, streams):
        rows = settings.streams["captions"].rows
        if rows > 512:
            raise TooLargeError(CHIPS["v5e"].memory - 1)
        return CompiledStep(rows * 2**24, 0, 0.0, 0.0, {})

    monkeypatch.setattr(Planner, "_compile", compile_step)
    planner = Planner(experiment(), replace(find_target("cpu:8"), chip=CHIPS["v5e"]))
    assert planner._largest_rows() <= 512


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("v7:2x2", "no topology 'v7:2x2'"),
        ("v5e", "no topology 'v5e'"),
        ("v5e:16", "no topology"),
        ("cpu:9", "there are 8; set JAX_NUM_CPU_DEVICES=9"),
    ],
)
def test_topologies_that_are_none_are_refused(name, message):
    with pytest.raises(ConfigError, match=message):
        find_target(name)


def opening(settings):
    reading = preprocessing_for(settings.model, settings.tokenizers)
    return StreamOpening(settings.data, reading)


def test_pictures_elsewhere_have_the_shapes_of_those_here():
    """A stream of scenes, which lie nowhere, and one of archives that are not here."""
    values = load_config("configs/quickstart.py").values
    values["streams"]["captions"]["text_slots"] = "one"
    here = config.experiment(values)
    captions, nowhere = experiment(rows=128).streams, Data(path="nowhere")
    elsewhere = replace(here, streams=captions, data=nowhere)
    made, planned = (
        planned_streams(each.streams, opening(each))["captions"].abstract()
        for each in (here, elsewhere)
    )
    assert jax.tree.structure(made) == jax.tree.structure(planned)
    shapes = [
        [(leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(each)] for each in (made, planned)
    ]
    assert shapes[0] == shapes[1]


def test_tables_of_pictures_elsewhere_are_refused():
    captions = load_config("configs/pretrain.py:tiny").values["streams"]["captions"]
    captions["tables"] = {"llm": {"kind": "embeddings", "folder": "nowhere"}}
    settings = experiment(streams={"captions": captions})
    with pytest.raises(ConfigError, match=r"captions\.tables"):
        planned_streams(settings.streams, opening(settings))
