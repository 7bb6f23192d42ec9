"""A stream, a head, an objective and a teacher of a new kind train beside captions."""

from dataclasses import dataclass, replace
from functools import partial

import jax
import numpy as np
import pytest
from flax import nnx

from kgclip_jax import config, schema
from kgclip_jax.data.stored_pictures import Data
from kgclip_jax.data.streams.captions_config import CaptionsConfig
from kgclip_jax.data.streams.stream import StreamOpening
from kgclip_jax.data.tokenization.tokenizer_config import Tokenizers
from kgclip_jax.errors import ConfigError
from kgclip_jax.model_inputs import preprocessing_for
from kgclip_jax.models.encode import encode
from kgclip_jax.models.flops import step_work, text_flops
from kgclip_jax.models.presets import preset
from kgclip_jax.models.transformer import Execution
from kgclip_jax.objectives.contrastive import Contrastive
from kgclip_jax.optimizer_config import Group, Optimizer, Schedule
from kgclip_jax.paths import leaves_by_path
from kgclip_jax.training import loss
from tests import toys
from tests.training.made_up_streams import MadeUpStream, Trainer, made_up_pairs

BLOCK = replace(preset("tiny").text.transformer, depth=1)  # the less there is to compile
TINY = replace(
    preset("tiny"),
    vision=replace(preset("tiny").vision, transformer=BLOCK),
    text=replace(preset("tiny").text, transformer=BLOCK),
)
READING = preprocessing_for(TINY, Tokenizers())
OPENING = StreamOpening(Data(), READING)
CAPTIONS = MadeUpStream(partial(made_up_pairs, k=1, slots=2))
MIXED = config.Experiment(
    model=TINY,
    # A first moment that is half of the first gradient, which nothing scales.
    optimizer=Optimizer(1e-3, Schedule("constant"), b1=0.5, clip_norm=None),
    total_steps=10,
    streams={
        "captions": CaptionsConfig(sources={}, rows=16),
        "toy": toys.ToyStream(rows=32),
    },
    heads={"mixer": toys.ToyHead()},
    objectives={"contrastive": Contrastive(negatives=True), "toy": toys.ToyObjective(weight=0.5)},
)
# The toy alone.
TOY = replace(
    MIXED,
    streams={"toy": toys.ToyStream(rows=32)},
    objectives={"toy": toys.ToyObjective()},
)
ONE = jax.devices()[:1]


def trainer(settings, devices=None, **more):
    streams = [CAPTIONS] if "captions" in settings.streams else []
    streams += [
        stream.open(name, OPENING)
        for name, stream in settings.streams.items()
        if isinstance(stream, toys.ToyStream)
    ]
    return Trainer(settings, streams, devices, **more)


def flops(settings, **more):
    return trainer(settings, ONE, **more).compiled().cost_analysis()["flops"]


def first_gradients(state):
    """The gradients of the first step by path, times one half."""
    moments = leaves_by_path(jax.device_get(state.optimizer))
    gradients = {path: leaf for path, leaf in moments.items() if "/mu/" in path}
    assert any("mu/heads/" in path for path in gradients)
    return gradients


def test_toys_are_read_from_a_config_like_any_other_kind(monkeypatch):
    toys.register(monkeypatch)
    settings = config.experiment(
        {
            "model": schema.to_dict(TINY),
            "optimizer": {"learning_rate": 1e-3},
            "total_steps": 10,
            "streams": {"graph": {"kind": "toy", "rows": 32}},
            "heads": {"mixer": {"kind": "toy"}},
            "objectives": {"toy": {"stream": "graph"}, "twin": {"kind": "toy", "stream": "graph"}},
        }
    )
    assert settings.streams["graph"] == toys.ToyStream(rows=32)
    assert settings.objectives["toy"] == settings.objectives["twin"]
    _, (metrics,) = trainer(settings, ONE).train(1)
    assert metrics["loss"] == pytest.approx(2 * metrics["twin/loss"], rel=1e-6)


def test_the_work_of_a_step_has_that_of_heads():
    batch = {"toy": TOY.streams["toy"].open("toy", OPENING).abstract()}
    towers = step_work(TINY, batch, {"toy/head", "toy/tail"})
    width, embedding = TINY.vision.transformer.width, TINY.embedding
    mixer = 2 * 32 * (width * embedding + embedding * embedding)
    assert trainer(TOY, ONE).setup.work == towers._replace(flops=towers.flops + 3 * mixer)


@pytest.fixture(scope="module")
def one_device():
    alone = trainer(MIXED, ONE)
    state, (metrics,) = alone.train(1)
    return alone, jax.device_get(state), metrics


def test_streams_of_different_rows_train_in_one_step_that_is_compiled_once(one_device):
    alone, _, metrics = one_device
    total = metrics["contrastive/loss"] + 0.5 * metrics["toy/loss"]
    assert metrics["loss"] == pytest.approx(total, rel=1e-6)
    state, history = alone.train(3)
    assert int(state.step) == 3
    assert all(np.isfinite(metrics["loss"]) for metrics in history)
    assert alone.setup.step._cache_size() == 1


@pytest.mark.parametrize(
    ("mesh", "microbatches"),
    [
        (config.Mesh(1, 1, 1), 4),
        (config.Mesh(8, 1, 1), 1),
        (config.Mesh(2, 2, 2), 2),
    ],
    ids=str,
)
def test_microbatches_and_devices_change_nothing_though_rows_are_dropped(
    mesh, microbatches, one_device
):
    execution = Execution(microbatches=microbatches)
    devices = ONE if mesh == config.Mesh(1, 1, 1) else None
    parts = trainer(replace(MIXED, mesh=mesh, execution=execution), devices)
    state, (metrics,) = parts.train(1)
    _, expected, reference = one_device
    assert metrics["loss"] == pytest.approx(reference["loss"], rel=1e-6)
    gradients, expected = first_gradients(state), first_gradients(expected)
    for path, leaf in expected.items():
        worst = np.abs(gradients[path] - leaf).max()
        assert worst <= 1e-5 * np.abs(leaf).max(), path


def test_another_head_changes_no_parameter():
    heads = {"mixer": toys.ToyHead(), "other": toys.ToyHead()}
    objectives = {"toy": toys.ToyObjective(), "twin": toys.ToyObjective(heads=("other",))}
    alone = trainer(TOY, ONE).setup.initialise().params
    beside = (
        trainer(replace(TOY, heads=heads, objectives=objectives), ONE).setup.initialise().params
    )
    other = beside["heads"].pop("other")
    jax.tree.map(partial(np.testing.assert_array_equal, strict=True), alone, beside)
    assert np.any(other["out"]["kernel"] != alone["heads"]["mixer"]["out"]["kernel"])


def test_heads_have_their_own_learning_rate():
    optimizer = replace(
        TOY.optimizer,
        learning_rate=1e-4,
        weight_decay=0.0,
        groups=(Group("^heads/", learning_rate=100.0),),
    )
    one = trainer(replace(TOY, optimizer=optimizer), ONE)
    before = leaves_by_path(jax.device_get(one.setup.initialise().params))
    after = leaves_by_path(jax.device_get(one.train(1)[0].params))
    farthest = {path: np.abs(after[path] - before[path]).max() for path in before}
    # Adam's first step goes as far as the rate in every direction.
    assert farthest["heads/mixer/out/kernel"] == pytest.approx(1e-2, rel=0.01)
    assert farthest["model/text/projection/kernel"] == pytest.approx(1e-4, rel=0.01)


class Dropping(nnx.Module):
    def __init__(self, *, rngs):
        self.drop = nnx.Dropout(0.5, rngs=rngs)


@dataclass(frozen=True)
class DroppingHead(toys.ToyHead):
    def build(self, model, *, rngs):
        return Dropping(rngs=rngs)


def test_a_head_with_random_state_is_refused():
    with pytest.raises(
        ConfigError, match=r"config\.heads\.mixer holds \d+ arrays that are no parameters"
    ):
        trainer(replace(TOY, heads={"mixer": DroppingHead()}), ONE)


def test_what_nobody_reads_goes_through_no_tower(monkeypatch):
    assert trainer(TOY, ONE).setup.unread == ("toy/entities",)
    pruned = flops(TOY)
    monkeypatch.setattr(loss, "encode", lambda towers, batch, read=None: encode(towers, batch))
    work = 3 * 16 * text_flops(TINY, 8)
    assert flops(TOY) - pruned > 0.9 * work


def test_negatives_that_nobody_reads_are_refused_with_their_key():
    message = "config.streams.captions.negatives: no objective reads them"
    stream = MadeUpStream(partial(made_up_pairs, k=1), refusals={"negatives": message})
    settings = replace(
        MIXED,
        streams={"captions": CaptionsConfig(sources={}, rows=16)},
        heads={},
        objectives={"contrastive": Contrastive()},
    )
    with pytest.raises(ConfigError, match=message):
        Trainer(settings, [stream], ONE)
    Trainer(replace(settings, objectives={"contrastive": Contrastive(negatives=True)}), [stream])


@pytest.mark.parametrize(
    ("rows", "microbatches", "message"),
    [
        (24, 2, r"config\.streams\.toy\.head.*: 24 rows .* 8 devices .*2; .* it: 16 or 32"),
        (8, 1, r"config\.streams\.toy\.entities.*: 4 rows .* 1; possible near it: 8$"),
    ],
)
def test_rows_that_do_not_divide_are_refused_with_the_nearest_that_do(rows, microbatches, message):
    settings = replace(
        TOY,
        streams={"toy": toys.ToyStream(rows=rows)},
        execution=Execution(microbatches=microbatches),
    )
    with pytest.raises(ConfigError, match=message):
        trainer(settings)
