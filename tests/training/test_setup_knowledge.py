"""A knowledge encoder in training: on any devices, with the text tower trained or frozen."""

from dataclasses import replace
from functools import partial

import jax
import numpy as np
import pytest

from kgclip_jax import config
from kgclip_jax.data.streams.captions_config import CaptionsConfig
from kgclip_jax.data.tokenization.tokenizer_config import TokenizerJson
from kgclip_jax.models import spec
from kgclip_jax.models.presets import preset
from kgclip_jax.models.transformer import Execution
from kgclip_jax.objectives.structure_clip import StructureClip
from kgclip_jax.objectives.structure_clip_code import StructureClipCode
from kgclip_jax.optimizer_config import Optimizer, TowerTuning, Tuning
from kgclip_jax.paths import leaves_by_path
from kgclip_jax.training.summary import parameter_rows
from tests.training.made_up_streams import MadeUpStream, Trainer, made_up_pairs

WORDS, PIECES = 64, 32
BLOCK = replace(preset("tiny").text.transformer, depth=1)  # the less there is to compile
TINY = replace(
    preset("tiny"),
    vision=replace(preset("tiny").vision, transformer=BLOCK),
    text=replace(preset("tiny").text, transformer=BLOCK, vocabulary=WORDS, eos_id=WORDS - 1),
)
TEXT = spec.KnowledgeEncoder(BLOCK, triples=3, element_length=4)
WORDPIECE = spec.KnowledgeEncoder(
    replace(BLOCK, width=16, heads=2), 0.2, 3, 4, "wordpiece", PIECES, "mean"
)
STEPS = 2


OBJECTIVES = {
    "paper": {"structure_clip": StructureClip()},
    "code": {"structure_clip_code": StructureClipCode()},
}
STREAM = MadeUpStream(partial(made_up_pairs, end=WORDS - 1, k=2, triples=PIECES), units=1)


def trainer(mode, knowledge, devices=None, **changes):
    pieces = TokenizerJson("json", "pieces.json", 0) if knowledge is WORDPIECE else None
    settings = config.Experiment(
        model=replace(TINY, knowledge=knowledge),
        optimizer=Optimizer(1e-3),
        total_steps=10,
        objectives=OBJECTIVES[mode],
        streams={"captions": CaptionsConfig(sources={}, rows=8)},
        element_tokenizer=pieces,
    )
    return Trainer(replace(settings, **changes), [STREAM], devices)


@pytest.fixture(
    scope="module", params=[("paper", TEXT), ("code", WORDPIECE)], ids=["paper", "code"]
)
def alone(request):
    """What is trained, from which state, and what becomes of it on one device."""
    one = trainer(*request.param, jax.devices()[:1])
    start = jax.device_get(one.setup.initialise())
    return request.param, start, one.train(STEPS, one.place_state(start))


def test_eight_devices_train_in_microbatches_as_one_trains_the_whole_batch(alone):
    what, start, expected = alone
    execution = Execution("float32", microbatches=2)
    parts = trainer(*what, mesh=config.Mesh(2, 2, 2), execution=execution)
    assert_trained_alike(parts.train(STEPS, parts.place_state(start)), expected)


def assert_trained_alike(actual, expected):
    (state, history), (expected_state, expected_history) = actual, expected
    for metrics, reference in zip(history, expected_history, strict=True):
        assert metrics.keys() == reference.keys()
        for name, value in reference.items():
            assert metrics[name] == pytest.approx(value, rel=1e-5, abs=1e-7), name
    # Moments are linear in the gradients, and so compared strictly; see test_setup.
    mine, reference = (leaves_by_path(each.optimizer) for each in (state, expected_state))
    assert any("mu/model/knowledge/blocks" in path for path in reference)
    for path, leaf in reference.items():
        np.testing.assert_allclose(
            mine[path], leaf, atol=1e-5 * max(1e-6, np.abs(leaf).max()), err_msg=path
        )


def test_the_encoder_is_trained_beside_a_frozen_text_tower_whose_table_it_reads():
    tuning = Tuning(text=TowerTuning("frozen"))
    one = trainer("paper", TEXT, jax.devices()[:1], tuning=tuning)
    setup = one.setup
    rates = {row[0]: row[2] for row in parameter_rows(setup)}
    assert {rates[path] for path in rates if path.startswith("model/text/")} == {"frozen"}
    assert {rates[path] for path in rates if path.startswith("model/knowledge/")} == {"1"}
    start = setup.initialise()
    before = jax.device_get(start.params)
    state, _ = one.train(STEPS, start)
    after = leaves_by_path(jax.device_get(state.params))
    for path, leaf in leaves_by_path(before).items():
        if path.startswith("model/text/"):
            assert leaf.tobytes() == after[path].tobytes(), path
        elif path.startswith("model/knowledge/"):
            assert np.any(leaf != after[path]), path
