"""Adding up objectives, and checking them against the model and each other."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kgclip_jax.errors import ConfigError
from kgclip_jax.models.presets import preset
from kgclip_jax.objectives.ce_clip import CeClip
from kgclip_jax.objectives.contrastive import Contrastive
from kgclip_jax.objectives.objective import Losses, check_objectives, weighted_sum
from kgclip_jax.objectives.structure_clip import StructureClip
from kgclip_jax.objectives.structure_clip_code import StructureClipCode
from kgclip_jax.objectives.weight_schedule import LinearWeight
from kgclip_jax.schema import parse

CLIP = replace(preset("tiny"), logit_bias=None)
SIGLIP = replace(CLIP, logit_bias=-10.0)


def test_losses_are_weighted_and_metrics_are_not():
    objectives = {"clip": Contrastive(weight=0.5), "twins": Contrastive(weight=3.0)}
    losses = {
        "clip": Losses(jnp.asarray(2.0), {"accuracy": jnp.asarray(0.25)}),
        "twins": Losses(jnp.asarray(7.0), {"accuracy": jnp.asarray(1.0), "margin": jnp.asarray(4)}),
    }
    loss, metrics = weighted_sum(objectives, losses, 0)
    np.testing.assert_allclose(loss, 0.5 * 2 + 3 * 7)
    assert {name: float(value) for name, value in metrics.items()} == {
        "clip/loss": 2,
        "clip/accuracy": 0.25,
        "twins/loss": 7,
        "twins/accuracy": 1,
        "twins/margin": 4,
    }


def test_a_weight_may_move():
    weight = parse(Contrastive, {"weight": {"end": 2.0, "steps": 10, "after": 4}}).weight
    assert weight == LinearWeight(end=2.0, steps=10, after=4)
    objectives = {"clip": Contrastive(weight=weight), "twins": Contrastive()}
    losses = dict.fromkeys(objectives, Losses(jnp.asarray(3.0), {}))
    for step, factor in ((0, 0), (4, 0), (9, 1), (14, 2), (100, 2)):
        total = jax.jit(lambda step: weighted_sum(objectives, losses, step))(step)
        assert total.metrics["clip/weight"] == pytest.approx(factor)
        assert total.loss == pytest.approx(3 * factor + 3)
        assert "twins/weight" not in total.metrics
    falling = LinearWeight(start=1.0, end=0.5, steps=2)
    assert [float(falling.at(step)) for step in (0, 1, 2)] == [1, 0.75, 0.5]
    for wrong in ({"end": -1.0, "steps": 1}, {"end": 1.0, "steps": 0}, {"steps": 5}, -1.0, 0.0):
        with pytest.raises(ConfigError, match="weight"):
            parse(Contrastive, {"weight": wrong})


@pytest.mark.parametrize(
    ("model", "objectives"),
    [
        (CLIP, {"clip": Contrastive()}),
        (SIGLIP, {"clip": Contrastive(form="sigmoid")}),
        (CLIP, {"paper": StructureClip(), "code": StructureClipCode()}),
        (CLIP, {"ce": CeClip(), "clip": Contrastive(negatives=True)}),
        (SIGLIP, {"clip": Contrastive(form="sigmoid"), "code": StructureClipCode()}),
        (SIGLIP, {"clip": Contrastive(form="sigmoid"), "paper": StructureClip()}),
        (CLIP, {"ce": CeClip(stream="a"), "clip": Contrastive(stream="a", negatives=True)}),
    ],
)
def test_runs_that_make_sense(model, objectives):
    check_objectives(objectives, model)


ALONE = r"objectives\.ce: alone it may collapse; .*negatives=True on stream 'captions'"


@pytest.mark.parametrize(
    ("model", "objectives", "message"),
    [
        (CLIP, {"clip": Contrastive(form="sigmoid")}, r"config\.objectives\.clip: .*logit_bias"),
        (SIGLIP, {"clip": Contrastive()}, r"none of the objectives uses model\.logit_bias"),
        (SIGLIP, {"paper": StructureClip()}, r"none of the objectives uses model\.logit_bias"),
        (SIGLIP, {"code": StructureClipCode()}, r"none of the objectives uses model\.logit_bias"),
        (CLIP, {"ce": CeClip()}, ALONE),
        (CLIP, {"ce": CeClip(), "clip": Contrastive()}, ALONE),
        (CLIP, {"ce": CeClip(), "clip": Contrastive(stream="a", negatives=True)}, ALONE),
        (CLIP, {"ce": CeClip(), "paper": StructureClip()}, ALONE),
    ],
)
def test_runs_that_make_none_are_refused_by_key(model, objectives, message):
    with pytest.raises(ConfigError, match=message):
        check_objectives(objectives, model)
