"""What stands where it should not is said once; what moves is not spoken of."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kgclip_jax.objectives.contrastive import Contrastive
from kgclip_jax.objectives.objective import Context
from kgclip_jax.objectives.structure_clip import StructureClip
from kgclip_jax.objectives.structure_clip_code import StructureClipCode
from kgclip_jax.training.collapse import PATIENCE, CollapseWatch

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
        (at(scale=1.0), "the logit scale has stood at 1 for 500 steps: at 1 similarities hardly"),
        (at(loss=4.0, scale=100.0), "at its limit 100 for 500 steps while clip/text_to_image_loss"),
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


def test_what_moves_and_what_is_well_is_not_spoken_of():
    assert watch(at()) == []
    assert watch(at(scale=100.0)) == []  # where CLIP ends, with a loss that is good
    assert watch(lambda step: at(loss=math.log(ROWS) * (step % 400 > 0))(step)) == []
