"""One device or eight, in any arrangement: the same loss, gradients and parameters."""

import re
from dataclasses import replace
from functools import cache, partial

import jax
import numpy as np
import pytest

from kgclip_jax import config
from kgclip_jax.data.streams.captions_config import CaptionsConfig
from kgclip_jax.errors import ConfigError
from kgclip_jax.models.presets import preset
from kgclip_jax.models.transformer import Execution
from kgclip_jax.objectives.contrastive import Contrastive
from kgclip_jax.optimizer_config import Group, Optimizer
from kgclip_jax.store.checkpoints import Checkpoints
from kgclip_jax.training.step import checkpoint_items, from_checkpoint_items
from kgclip_jax.training.summary import parameter_rows
from tests.training.made_up_streams import MadeUpStream, Trainer, made_up_pairs

BLOCK = replace(preset("tiny").text.transformer, depth=1)  # the less there is to compile
EXPERIMENT = config.Experiment(
    model=replace(
        preset("tiny"),
        vision=replace(preset("tiny").vision, transformer=BLOCK),
        text=replace(preset("tiny").text, transformer=BLOCK),
    ),
    optimizer=Optimizer(1e-3, ema_decay=0.9),
    total_steps=40,
    objectives={"contrastive": Contrastive()},
    streams={"captions": CaptionsConfig(sources={}, rows=16)},
)
MESHES = [config.Mesh(2, 2, 2), config.Mesh(1, 8, 1)]
ONE = jax.devices()[:1]
STREAM = MadeUpStream(made_up_pairs)


def trainer(settings=EXPERIMENT, devices=None, stream=STREAM):
    return Trainer(settings, [stream], devices)


@cache
def trainer_on(mesh, ring=False):
    """On a mesh; in a ring, microbatches are two, and captions are compared one by one."""
    settings = replace(EXPERIMENT, mesh=mesh)
    if ring:
        settings = replace(
            settings,
            execution=Execution(microbatches=2),
            objectives={"contrastive": Contrastive(exchange="ring", chunk_size=1)},
        )
    return trainer(settings, ONE if mesh == config.Mesh() else None)


@pytest.fixture(scope="module")
def one_device():
    state, history = trainer_on(config.Mesh()).train(3)
    return jax.device_get(state), history


@pytest.mark.parametrize(
    ("mesh", "ring"), [*((mesh, False) for mesh in MESHES), (MESHES[0], True)], ids=str
)
def test_eight_devices_train_as_one(mesh, ring, one_device):
    expected, expected_history = one_device
    state, history = trainer_on(mesh, ring).train(3)
    state = jax.device_get(state)
    for metrics, reference in zip(history, expected_history, strict=True):
        assert metrics["loss"] == pytest.approx(reference["loss"], rel=1e-6)
        assert metrics["gradient_norm"] == pytest.approx(reference["gradient_norm"], rel=1e-5)
    # Adam divides by the gradient's own size, so a rounding error of a near-zero gradient can turn
    # a whole step; moments, which are linear in the gradients, are compared strictly.
    for mine, reference in zip(
        jax.tree.leaves(state.optimizer), jax.tree.leaves(expected.optimizer), strict=True
    ):
        np.testing.assert_allclose(mine, reference, atol=1e-5 * np.abs(reference).max())
    for mine, reference in zip(
        jax.tree.leaves(state.params), jax.tree.leaves(expected.params), strict=True
    ):
        assert np.abs(mine - reference).mean() < 1e-6


def test_microbatches_take_less_memory():
    many = MadeUpStream(made_up_pairs, units=64)

    def temporary_bytes(microbatches):
        settings = replace(
            EXPERIMENT, model=preset("tiny"), execution=Execution(microbatches=microbatches)
        )
        compiled = trainer(settings, ONE, many)
        return compiled.compiled().memory_analysis().temp_size_in_bytes

    assert temporary_bytes(8) < temporary_bytes(1) / 3


def test_microbatches_move_no_pictures_between_devices():
    settings = replace(EXPERIMENT, mesh=config.Mesh(4, 2, 1), execution=Execution(microbatches=2))
    compiled = trainer(settings).compiled().as_text()
    moved = [line for line in compiled.splitlines() if re.search(r"= u8.* (all|collective)-", line)]
    assert "u8[" in compiled
    assert moved == []


def test_the_loss_falls(one_device):
    _, history = one_device
    assert history[-1]["loss"] != history[0]["loss"]
    one = trainer_on(config.Mesh())
    state, losses = one.setup.initialise(), []
    for _ in range(EXPERIMENT.total_steps):
        state, metrics = one.step(state, 0)
        losses.append(float(metrics["loss"]))
    assert losses[-1] < 0.3 * losses[0]


def test_the_moving_average_follows_the_parameters(one_device):
    state, _ = one_device
    start = jax.device_get(trainer_on(config.Mesh()).setup.initialise())
    moved = [
        np.abs(a - b).max()
        for a, b in zip(*map(jax.tree.leaves, (state.params, start.params)), strict=True)
    ]
    averaged = [
        np.abs(a - b).max()
        for a, b in zip(*map(jax.tree.leaves, (state.average, start.params)), strict=True)
    ]
    assert 0 < max(averaged) < max(moved)


@pytest.mark.parametrize("meshes", [(MESHES[0], config.Mesh()), (config.Mesh(), MESHES[0])])
def test_a_checkpoint_moves_between_one_and_eight_devices(tmp_path, meshes):
    source, target = map(trainer_on, meshes)
    state, _ = source.train(1)
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, checkpoint_items(state), progress={"data_position": 1}, description={})
    checkpoints.close()
    again = Checkpoints(tmp_path)
    abstract = target.setup.abstract
    restored = from_checkpoint_items(again.restore(1, checkpoint_items(abstract)))
    assert again.progress(1) == {"data_position": 1}
    for mine, reference in zip(jax.tree.leaves(restored), jax.tree.leaves(state), strict=True):
        np.testing.assert_array_equal(mine, reference)
    for leaf, wanted in zip(jax.tree.leaves(restored), jax.tree.leaves(abstract), strict=True):
        assert leaf.sharding.is_equivalent_to(wanted.sharding, leaf.ndim)
    target.step(restored, 1)


def test_rows_that_do_not_fit_the_mesh_are_refused_with_what_does():
    twelve = MadeUpStream(partial(made_up_pairs, rows=6))
    with pytest.raises(ConfigError, match=r"streams\.captions\.image.*: 12 rows .* 8 or 16"):
        trainer(stream=twelve)
    settings = replace(EXPERIMENT, execution=Execution(microbatches=4))
    with pytest.raises(ConfigError, match=r"16 rows .*microbatches 4; .* 32"):
        trainer(settings)


def test_the_table_lists_every_parameter_with_its_treatment():
    frozen = replace(EXPERIMENT.optimizer, groups=(Group("^model/text/", frozen=True),))
    setup = trainer(replace(EXPERIMENT, optimizer=frozen, mesh=config.Mesh(2, 2, 2))).setup
    rows = {row[0]: row[1:] for row in parameter_rows(setup)}
    assert rows["model/vision/blocks/mlp/up/kernel"] == (
        "1 x 32 x 128",
        "1",
        "0.1",
        "-, fsdp, tensor",
    )
    assert rows["model/text/embedding"] == ("49408 x 32", "frozen", "-", "tensor, fsdp")
    assert rows["model/logit_scale"] == ("scalar", "1", "0", "replicated")
