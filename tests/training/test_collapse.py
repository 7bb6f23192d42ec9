"""What stands where it should not is said once; what moves is not spoken of."""

import math
from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kgclip_jax import config
from kgclip_jax.batch import Images, Pairs, Texts
from kgclip_jax.data.streams.captions_config import CaptionsConfig
from kgclip_jax.models.presets import preset
from kgclip_jax.objectives.contrastive import Contrastive
from kgclip_jax.objectives.objective import Context
from kgclip_jax.objectives.structure_clip import StructureClip
from kgclip_jax.objectives.structure_clip_code import StructureClipCode
from kgclip_jax.optimizer_config import Optimizer, Schedule
from kgclip_jax.training import collapse
from kgclip_jax.training.collapse import PATIENCE, CollapseWatch
from tests.training.made_up_streams import MadeUpStream, Trainer

OBJECTIVES = {
    "softmax": Contrastive(),
    "sigmoid": Contrastive(form="sigmoid"),
    "paper": StructureClip(),
    "code": StructureClipCode(mild_steps=0),
}
ROWS = 16


def vectors_of_a_collapsed_model():
    one = np.eye(1, 4, dtype=np.float32)
    same, wrong = np.repeat(one, ROWS, axis=0), np.repeat(one[None], ROWS, axis=0)
    texts = {"image": same, "text": same, "plain_text": same, "ids": np.full((ROWS, 2), -1)}
    negatives = {"negatives": wrong, "plain_negatives": wrong}
    return texts | negatives | {"negative_mask": np.ones((ROWS, 1), bool)}


@pytest.mark.parametrize("name", OBJECTIVES)
def test_objectives_know_their_loss_of_a_collapsed_model(name):
    objective, vectors = OBJECTIVES[name], vectors_of_a_collapsed_model()
    if isinstance(objective, Contrastive):
        vectors = {key: vectors[key] for key in ("image", "text", "ids")}
    scale = jnp.array(10.0)
    bias = -scale - math.log(ROWS - 1) if name == "sigmoid" else None  # the best for one of 16
    vectors = jax.tree.map(jnp.asarray, vectors)
    losses = objective.loss({}, vectors, Context(scale, bias, 1))
    metrics = losses.metrics | {"loss": losses.loss}
    for metric, value in objective.collapsed(ROWS).items():
        assert metrics[metric] == pytest.approx(value, rel=1e-4)


def watch(numbers, *, start=0, every=50, steps=3 * PATIENCE):
    """What is said of numbers by step."""
    told = []
    watcher = CollapseWatch({"clip": Contrastive()}, {"captions": ROWS}, 100.0, start, told.append)
    for step in range(every, steps + 1, every):
        watcher.write(step, numbers(step))
    watcher.close()
    return told


def at(loss=1.0, scale=14.0):
    return lambda step: {"clip/text_to_image_loss": loss, "logit_scale": scale}


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        (at(loss=math.log(ROWS) - 0.01), "clip/text_to_image_loss has stood at 2.76 for 500 steps"),
        (at(scale=1.0), "logit_scale has stood at 1 for 500 steps, where similarities hardly tell"),
        (
            at(loss=4.0, scale=100.0),
            "logit_scale has stood at 100 for 500 steps, its limit, with clip/text_to_image_loss",
        ),
    ],
)
def test_what_stands_is_said_once(numbers, said):
    (told,) = watch(numbers)
    assert told.startswith("step 550: ")
    assert said in told
    assert " Try a lower config.optimizer.learning_rate" in told
    assert watch(numbers, start=1200) == []
    (later,) = watch(numbers, start=600)
    assert later.startswith("step 1100: ")


@pytest.mark.parametrize(
    ("objective", "said"),
    [(StructureClipCode(mild_steps=0), ["clip/batch_loss"]), (Contrastive(), [])],
)
def test_a_hinge_with_the_hardest_collapses_and_is_told_of(objective, said, monkeypatch):
    """At a rate that plain contrastive training learns from at once."""
    monkeypatch.setattr(collapse, "PATIENCE", 60)
    negatives = isinstance(objective, StructureClipCode)
    stream = MadeUpStream(partial(striped_pairs, negatives=negatives), units=1)
    objectives = {"clip": objective}
    settings = config.Experiment(
        model=TINY,
        optimizer=Optimizer(1e-3, Schedule("constant")),
        total_steps=150,
        streams={"captions": CaptionsConfig(sources={}, rows=ROWS)},
        objectives=objectives,
    )
    _, history = Trainer(settings, [stream], jax.devices()[:1]).train(150)
    told = []
    watcher = CollapseWatch(objectives, {"captions": ROWS}, 100.0, 0, told.append)
    for step, metrics in enumerate(history, 1):
        watcher.write(step, {name: float(value) for name, value in metrics.items()})
    assert [line.split(": ")[1].split(" has stood")[0] for line in told] == said


BLOCK = replace(preset("tiny").text.transformer, depth=1)  # the less there is to compile
TINY = replace(
    preset("tiny"),
    vision=replace(preset("tiny").vision, transformer=BLOCK),
    text=replace(preset("tiny").text, transformer=BLOCK),
)


def striped_pairs(rng, *, negatives):
    """Pictures with a left and a right colour, captions that name both, wrong ones that swap."""
    colours = rng.integers(8, size=(ROWS, 2))
    shades = np.random.default_rng(0).integers(256, size=(8, 3), dtype=np.uint8)

    def texts(named):
        return np.insert(300 + named, [0, 2], [49406, 49407], axis=-1).astype(np.int32)

    return Pairs(
        image=Images(shades[colours].repeat(8, axis=1)[:, None].repeat(16, axis=1)),
        text=Texts((texts(colours),)),
        ids=np.stack([colours @ [8, 1], np.arange(ROWS)], axis=1).astype(np.int32),
        negatives=Texts((texts(colours[:, None, ::-1]),)) if negatives else None,
        negative_mask=colours[:, :1] != colours[:, 1:] if negatives else None,
        negative_ids=np.full((ROWS, 1), -1, np.int32) if negatives else None,
    )


def test_what_moves_and_what_is_well_is_not_spoken_of():
    assert watch(at()) == []
    assert watch(at(scale=100.0)) == []  # where CLIP ends, with a loss that is good
    assert watch(lambda step: at(loss=math.log(ROWS) * (step % 400 > 0))(step)) == []
