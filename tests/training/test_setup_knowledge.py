"""A knowledge encoder in training: on any devices, with the text tower trained or frozen."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from kgclip_jax.training.paths import leaves_by_path

from kgclip_jax import config
from kgclip_jax.data.emoji.world import EmojiWorld
from kgclip_jax.data.sources import EmojiSource
from kgclip_jax.data.stored_pictures import Data
from kgclip_jax.data.tokenization.tokenizer_config import TokenizerJson
from kgclip_jax.knowledge.negatives import NegativeSettings
from kgclip_jax.models import spec
from kgclip_jax.models.presets import preset
from kgclip_jax.models.transformer import Execution
from kgclip_jax.objectives.structure_clip import StructureClip
from kgclip_jax.training.optimizer_config import Optimizer, TowerTuning, Tuning
from kgclip_jax.training.setup import set_up
from kgclip_jax.training.summary import parameter_rows
from kgclip_jax.types import Batch, NegativeTexts, Triples

WORDS, PIECES = 64, 32
BLOCK = replace(preset("tiny").text.transformer, depth=1)  # the less there is to compile
TINY = replace(
    preset("tiny"),
    vision=replace(preset("tiny").vision, transformer=BLOCK),
    text=replace(preset("tiny").text, transformer=BLOCK, vocabulary=WORDS, eos_id=WORDS - 1),
)
TEXT = spec.KnowledgeEncoder(BLOCK, triples=3, element_length=4)
WORDPIECE = spec.KnowledgeEncoder(
    replace(BLOCK, width=16, depth=2, heads=2), 0.2, 3, 4, "wordpiece", PIECES, "mean"
)
STEPS = 2


def experiment(mode, knowledge, **changes):
    pieces = TokenizerJson("json", "pieces.json", 0) if knowledge is WORDPIECE else None
    settings = config.Experiment(
        model=replace(TINY, knowledge=knowledge),
        data=Data({"emoji": EmojiSource("emoji", EmojiWorld())}, negatives=NegativeSettings()),
        objectives=config.Objectives(structure_clip=StructureClip(mode)),
        optimizer=Optimizer(1e-3),
        total_steps=10,
        batch_size=8,
        element_tokenizer=pieces,
    )
    return replace(settings, **changes)


def make_batch(step, k=2):
    rng = np.random.default_rng(step)
    tokens = rng.integers(1, WORDS - 1, (8, 1 + k, 8)).astype(np.int32)
    tokens[..., -1] = WORDS - 1
    counts = rng.integers(0, 4, (8, 1 + k))
    elements = rng.integers(-1, PIECES, (8, 1 + k, 3, 3, 4)).astype(np.int32)
    return Batch(
        rng.integers(0, 256, (8, 16, 16, 3), dtype=np.uint8),
        np.ascontiguousarray(tokens[:, 0]),
        NegativeTexts(np.ascontiguousarray(tokens[:, 1:]), rng.random((8, k)) < 0.7),
        Triples(elements, np.arange(3) < counts[..., None]),
    )


def train(setup):
    state, history = setup.initialise(), []
    for step in range(STEPS):
        state, metrics = setup.step(state, setup.place(make_batch(step)))
        history.append(jax.device_get(metrics))
    return state, history


@pytest.mark.parametrize(
    ("mode", "knowledge"), [("paper", TEXT), ("code", WORDPIECE)], ids=["paper", "code"]
)
def test_eight_devices_train_as_one(mode, knowledge):
    alone = set_up(experiment(mode, knowledge), jax.devices()[:1])
    together = set_up(experiment(mode, knowledge, mesh=config.Mesh(2, 2, 2)))
    assert_trained_alike(train(together), train(alone))


def assert_trained_alike(actual, expected):
    (state, history), (expected_state, expected_history) = actual, expected
    for metrics, reference in zip(history, expected_history, strict=True):
        assert metrics.keys() == reference.keys()
        for name, value in reference.items():
            assert metrics[name] == pytest.approx(value, rel=1e-5, abs=1e-7), name
    # Moments are linear in the gradients, and so compared strictly; see test_setup.
    mine, reference = (leaves_by_path(each.optimizer) for each in (state, expected_state))
    assert any("mu/knowledge/blocks" in path for path in reference)
    for path, leaf in reference.items():
        np.testing.assert_allclose(
            mine[path], leaf, atol=1e-5 * max(1e-6, np.abs(leaf).max()), err_msg=path
        )


@pytest.mark.parametrize("devices", [1, 2])
@pytest.mark.parametrize(
    ("mode", "knowledge"), [("paper", WORDPIECE), ("code", TEXT)], ids=["paper", "code"]
)
def test_microbatches_train_as_the_whole_batch(mode, knowledge, devices):
    whole = set_up(experiment(mode, knowledge), jax.devices()[:1])
    mesh, execution = config.Mesh(data=devices), Execution("float32", microbatches=4)
    changes = {"mesh": mesh, "execution": execution}
    parts = set_up(experiment(mode, knowledge, **changes), jax.devices()[:devices])
    assert_trained_alike(train(parts), train(whole))


def test_the_encoder_is_trained_beside_a_frozen_text_tower_whose_table_it_reads():
    tuning = Tuning(text=TowerTuning("frozen"))
    setup = set_up(experiment("paper", TEXT, tuning=tuning), jax.devices()[:1])
    rates = {row[0]: row[2] for row in parameter_rows(setup)}
    assert {rates[path] for path in rates if path.startswith("text/")} == {"frozen"}
    assert {rates[path] for path in rates if path.startswith("knowledge/")} == {"1"}
    before = jax.device_get(setup.initialise().params)
    state, _ = train(setup)
    after = leaves_by_path(jax.device_get(state.params))
    for path, leaf in leaves_by_path(before).items():
        if path.startswith("text/"):
            assert leaf.tobytes() == after[path].tobytes(), path
        elif path.startswith("knowledge/"):
            assert np.any(leaf != after[path]), path
