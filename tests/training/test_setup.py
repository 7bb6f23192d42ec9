"""One device or eight, in any arrangement: the same loss, gradients and parameters."""

import re
from dataclasses import replace

import jax
import numpy as np
import pytest
from kgclip_jax.training.checkpoints import Checkpoints, describe

from kgclip_jax import config
from kgclip_jax.data.emoji.world import EmojiWorld
from kgclip_jax.data.sources import EmojiSource
from kgclip_jax.data.stored_pictures import Data
from kgclip_jax.errors import ConfigError
from kgclip_jax.models.presets import preset
from kgclip_jax.models.transformer import Execution
from kgclip_jax.objectives.contrastive import Contrastive
from kgclip_jax.training.optimizer_config import Group, Optimizer
from kgclip_jax.training.setup import set_up
from kgclip_jax.training.summary import parameter_rows
from kgclip_jax.types import Batch

EXPERIMENT = config.Experiment(
    model=preset("tiny"),
    data=Data({"emoji": EmojiSource("emoji", EmojiWorld())}),
    objectives=config.Objectives(Contrastive("softmax")),
    optimizer=Optimizer(1e-3, ema_decay=0.9),
    total_steps=10,
    batch_size=16,
)
MESHES = [config.Mesh(8, 1, 1), config.Mesh(2, 2, 2), config.Mesh(1, 8, 1), config.Mesh(1, 1, 8)]


def make_batch(step):
    rng = np.random.default_rng(step)
    images = rng.integers(0, 256, (16, 16, 16, 3), dtype=np.uint8)
    tokens = rng.integers(1, 49406, (16, 8)).astype(np.int32)
    tokens[:, -1] = 49407
    return Batch(images, tokens)


def run(mesh, steps, devices=None, state=None):
    setup = set_up(replace(EXPERIMENT, mesh=mesh), devices)
    state = setup.initialise() if state is None else state
    history = []
    for step in range(steps):
        state, metrics = setup.step(state, setup.place(make_batch(step)))
        history.append(jax.device_get(metrics))
    return jax.device_get(state), history


@pytest.fixture(scope="module")
def one_device():
    return run(config.Mesh(), 3, jax.devices()[:1])


@pytest.mark.parametrize("mesh", MESHES, ids=str)
def test_eight_devices_train_as_one(mesh, one_device):
    expected, expected_history = one_device
    state, history = run(mesh, 3)
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
    rows = jax.tree.map(lambda x: jax.ShapeDtypeStruct((512, *x.shape[1:]), x.dtype), make_batch(0))

    def temporary_bytes(microbatches):
        execution = Execution(microbatches=microbatches)
        settings = replace(EXPERIMENT, batch_size=512, execution=execution)
        setup = set_up(settings, jax.devices()[:1])
        compiled = setup.step.lower(setup.abstract, rows).compile()
        return compiled.memory_analysis().temp_size_in_bytes

    assert temporary_bytes(8) < temporary_bytes(1) / 3


def test_microbatches_move_no_pictures_between_devices():
    settings = replace(EXPERIMENT, mesh=config.Mesh(4, 2, 1), execution=Execution(microbatches=2))
    setup = set_up(settings)
    compiled = setup.step.lower(setup.abstract, setup.place(make_batch(0))).compile().as_text()
    moved = [line for line in compiled.splitlines() if re.search(r"= u8.* (all|collective)-", line)]
    assert "u8[" in compiled
    assert moved == []


def test_the_loss_falls(one_device):
    _, history = one_device
    assert history[-1]["loss"] != history[0]["loss"]
    setup = set_up(replace(EXPERIMENT, total_steps=40), jax.devices()[:1])
    state, batch = setup.initialise(), setup.place(make_batch(0))
    losses = []
    for _ in range(40):
        state, metrics = setup.step(state, batch)
        losses.append(float(metrics["loss"]))
    assert losses[-1] < 0.3 * losses[0]


def test_the_moving_average_follows_the_parameters(one_device):
    state, _ = one_device
    start = jax.device_get(set_up(EXPERIMENT, jax.devices()[:1]).initialise())
    moved = [
        np.abs(a - b).max()
        for a, b in zip(*map(jax.tree.leaves, (state.params, start.params)), strict=True)
    ]
    averaged = [
        np.abs(a - b).max()
        for a, b in zip(*map(jax.tree.leaves, (state.average, start.params)), strict=True)
    ]
    assert 0 < max(averaged) < max(moved)


@pytest.mark.parametrize(("saved_on", "restored_on"), [(8, 1), (1, 8)])
def test_a_checkpoint_moves_between_one_and_eight_devices(tmp_path, saved_on, restored_on):
    def arranged(count):
        mesh = config.Mesh(2, 2, 2) if count == 8 else config.Mesh()
        return set_up(replace(EXPERIMENT, mesh=mesh), jax.devices()[:count])

    source, target = arranged(saved_on), arranged(restored_on)
    state, _ = source.step(source.initialise(), source.place(make_batch(0)))
    description = describe(EXPERIMENT.model, "tokenizer")
    checkpoints = Checkpoints(tmp_path, description)
    checkpoints.save(1, state, {"data_position": 1})
    checkpoints.close()
    restored, progress = Checkpoints(tmp_path, description).restore(1, target.abstract)
    assert progress == {"data_position": 1}
    for mine, reference in zip(jax.tree.leaves(restored), jax.tree.leaves(state), strict=True):
        np.testing.assert_array_equal(mine, reference)
    for leaf, wanted in zip(
        jax.tree.leaves(restored), jax.tree.leaves(target.abstract), strict=True
    ):
        assert leaf.sharding.is_equivalent_to(wanted.sharding, leaf.ndim)
    target.step(restored, target.place(make_batch(1)))


def test_a_batch_size_that_does_not_fit_the_mesh_is_refused():
    with pytest.raises(ConfigError, match=r"config\.batch_size 12"):
        set_up(replace(EXPERIMENT, batch_size=12))


def test_the_table_lists_every_parameter_with_its_treatment():
    frozen = replace(EXPERIMENT.optimizer, groups=(Group("^text/", frozen=True),))
    setup = set_up(replace(EXPERIMENT, optimizer=frozen, mesh=config.Mesh(2, 2, 2)))
    rows = {row[0]: row[1:] for row in parameter_rows(setup)}
    assert rows["vision/blocks/mlp/up/kernel"] == ("2 x 32 x 128", "1", "0.1", "-, fsdp, tensor")
    assert rows["text/embedding"] == ("49408 x 32", "frozen", "-", "tensor, fsdp")
    assert rows["logit_scale"] == ("scalar", "1", "0", "replicated")
