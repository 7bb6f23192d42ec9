"""A pretrained model trained further: taken over, tuned in parts, and merged, on any devices."""

from dataclasses import replace

import jax
import numpy as np
import pytest

from kgclip_jax import config
from kgclip_jax.data.streams.captions_config import CaptionsConfig
from kgclip_jax.errors import ConversionError
from kgclip_jax.models.presets import preset
from kgclip_jax.objectives.contrastive import Contrastive
from kgclip_jax.optimizer_config import Optimizer, Schedule, TowerTuning, Tuning
from kgclip_jax.paths import leaves_by_path
from kgclip_jax.training.summary import parameter_rows, parameter_table
from tests.training.made_up_streams import MadeUpStream, Trainer, made_up_pairs

TUNING = Tuning(
    vision=TowerTuning("lora", rank=2, alpha=4.0, targets=("attention/qkv", "mlp/down")),
    text=TowerTuning("last", blocks=1, layer_decay=0.5),
)
EXPERIMENT = config.Experiment(
    model=preset("tiny"),
    optimizer=Optimizer(1e-2, schedule=Schedule("constant"), ema_decay=0.9),
    total_steps=10,
    objectives={"contrastive": Contrastive()},
    streams={"captions": CaptionsConfig(sources={}, rows=8)},
    tuning=TUNING,
)
STEPS = 3
STREAM = MadeUpStream(made_up_pairs, units=1)


def trainer(settings=EXPERIMENT, devices=None):
    return Trainer(settings, [STREAM], devices)


def make_pretrained():
    """Parameters as a converter gives them: NumPy arrays, here with zeros of both signs."""
    setup = trainer(replace(EXPERIMENT, tuning=Tuning()), jax.devices()[:1]).setup
    rng = np.random.default_rng(7)

    def disturb(leaf):
        disturbed = np.asarray(leaf) * rng.normal(1.0, 0.1, leaf.shape) - 0.01
        disturbed.flat[:2] = [0.0, -0.0][: leaf.ndim * 2]
        return disturbed.astype(np.float32)

    return jax.tree.map(disturb, setup.initialise().params["model"])


@pytest.fixture(scope="module")
def pretrained():
    return make_pretrained()


@pytest.fixture(scope="module")
def one_device(pretrained):
    one = trainer(EXPERIMENT, jax.devices()[:1])
    return one.setup, *one.train(STEPS, one.setup.start_from(pretrained))


def test_a_run_starts_from_the_parameters_that_it_is_given(one_device, pretrained):
    setup, _, history = one_device
    state = setup.start_from(pretrained)
    assert int(state.step) == 0
    for path, leaf in leaves_by_path(setup.model_params(state.params)).items():
        np.testing.assert_array_equal(leaf, leaves_by_path(pretrained)[path], strict=True)
    plain = trainer(replace(EXPERIMENT, tuning=Tuning()), jax.devices()[:1])
    _, (first,) = plain.train(1, plain.setup.start_from(pretrained))
    assert history[0]["loss"] == pytest.approx(float(first["loss"]), rel=1e-6)


def test_steps_do_not_reuse_the_memory_of_given_arrays(one_device, pretrained):
    assert one_device[2]  # the steps have been taken
    for kept, fresh in zip(*map(jax.tree.leaves, (pretrained, make_pretrained())), strict=True):
        np.testing.assert_array_equal(kept, fresh)


def test_what_is_frozen_keeps_every_bit_and_the_rest_moves(one_device, pretrained):
    setup, state, _ = one_device
    before = leaves_by_path(pretrained)
    for tree in (state.params, state.average):
        for path, leaf in leaves_by_path(jax.device_get(tree)).items():
            namespace, _, name = path.partition("/")
            if namespace == "adapters":
                assert np.any(leaf), path
            elif name.startswith("text/blocks/"):
                assert leaf[:-1].tobytes() == before[name][:-1].tobytes(), path
                assert np.all(np.any(leaf[-1] != before[name][-1])), path
            elif name.startswith("vision/") or name in ("text/embedding", "text/positions"):
                assert leaf.tobytes() == before[name].tobytes(), path
            else:
                assert np.any(leaf != before[name]), path
    merged = leaves_by_path(setup.model_params(state.params))
    changed = {path for path in merged if np.any(merged[path] != before[path])}
    assert {path for path in changed if path.startswith("vision")} == {
        "vision/blocks/attention/qkv/kernel",
        "vision/blocks/mlp/down/kernel",
    }


def test_frozen_parameters_have_no_moments(one_device):
    state = leaves_by_path(one_device[1].optimizer)
    assert not [path for path in state if "/vision/" in path and "adapters/" not in path]
    assert any(path.endswith("mu/adapters/vision/blocks/mlp/down/a") for path in state)


def test_eight_devices_tune_as_one(one_device, pretrained):
    _, expected, expected_history = one_device
    many = trainer(replace(EXPERIMENT, mesh=config.Mesh(2, 2, 2)))
    setup = many.setup
    state, history = many.train(STEPS, setup.start_from(pretrained))
    for metrics, reference in zip(history, expected_history, strict=True):
        assert metrics["loss"] == pytest.approx(reference["loss"], rel=1e-5)
        assert metrics["gradient_norm"] == pytest.approx(reference["gradient_norm"], rel=1e-4)
    for mine, reference in zip(*map(jax.tree.leaves, (state, expected)), strict=True):
        mine, reference = np.asarray(mine, np.float64), np.asarray(reference, np.float64)
        assert np.abs(mine - reference).mean() <= 1e-5 * max(1, np.abs(reference).max())
    kernel = state.params["model"]["vision"]["blocks"]["mlp"]["down"]["kernel"]
    factor = state.params["adapters"]["vision"]["blocks"]["mlp"]["down"]["a"]
    assert (kernel.sharding.spec[1], factor.sharding.spec[1]) == ("tensor", "tensor")
    merged = setup.model_params(state.params)["vision"]["blocks"]["mlp"]["down"]["kernel"]
    assert merged.sharding.is_equivalent_to(kernel.sharding, kernel.ndim)


def test_parameters_of_another_model_are_refused(one_device, pretrained):
    vision = pretrained["vision"] | {"norm_post": {"scale": np.zeros(9, np.float32)}}
    with pytest.raises(ConversionError, match="another model's parameters") as refusal:
        one_device[0].start_from(pretrained | {"vision": vision, "audio": np.zeros(3, np.float32)})
    assert str(refusal.value).splitlines()[1:] == [
        "  audio: (3,), not absent",
        "  vision/norm_post/bias: absent, not (32,)",
        "  vision/norm_post/scale: (9,), not (32,)",
    ]


def test_the_table_says_what_is_trained(one_device):
    setup = one_device[0]
    rows = {row[0]: row[2:4] for row in parameter_rows(setup)}
    assert rows["model/vision/blocks/mlp/down/kernel"] == ("frozen", "-")
    assert rows["adapters/vision/blocks/mlp/down/a"] == ("1", "0.1")
    assert rows["model/text/blocks/mlp/down/kernel"] == ("1 frozen, then 0.5", "0.1")
    assert rows["model/text/projection/kernel"] == ("1", "0.1")
    text = preset("tiny").text.transformer
    block = 4 * text.width**2 + 2 * text.width * text.mlp_width + 9 * text.width + text.mlp_width
    head = 2 * text.width + text.width * preset("tiny").embedding
    factors = 2 * 2 * (32 + 96 + 128 + 32)
    trained = 1 + block + head + factors
    table = parameter_table(setup)
    assert f" {trained / 1e6:.2f} M of them trained," in str(table.title)
    assert table.caption is None


def test_what_the_mesh_cannot_cut_is_said_below_the_table():
    mesh = config.Mesh(fsdp=1, tensor=3)
    setup = trainer(replace(EXPERIMENT, mesh=mesh), jax.devices()[:3]).setup
    lines = parameter_table(setup).caption.splitlines()
    assert (
        "model/text/embedding is not cut as config.mesh has it: tensor 3 does not divide 49408"
    ) in lines
    assert [line for line in lines if "between heads: tensor 3 does not divide 1" in line]


def test_the_table_shows_the_span_of_learning_rates():
    decayed = Tuning(text=TowerTuning(layer_decay=0.5))
    setup = trainer(replace(EXPERIMENT, tuning=decayed), jax.devices()[:1]).setup
    rows = {row[0]: row[2] for row in parameter_rows(setup)}
    assert rows["model/text/blocks/mlp/down/kernel"] == "0.25 .. 0.5"
    assert rows["model/text/embedding"] == "0.125"
    assert "trained" not in str(parameter_table(setup).title)
