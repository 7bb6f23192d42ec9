"""Which layers learn and how fast, and what settings of tuning are refused."""

import numpy as np
import pytest

from kgclip_jax import schema
from kgclip_jax.errors import ConfigError
from kgclip_jax.models.adapters import Lora
from kgclip_jax.optimizer_config import TowerTuning, Tuning
from kgclip_jax.training.tuning import learning_rate_factors

DEPTH = 3


def tower(**more):
    kernels = {"kernel": np.zeros((DEPTH, 2, 2)), "bias": np.zeros((DEPTH, 2))}
    norm = {"scale": np.zeros(2)}
    return {"blocks": {"mlp": {"up": kernels}}, "positions": np.zeros(4), "norm_post": norm} | more


PARAMS = {
    "vision": tower(
        patch={"kernel": np.zeros((4, 2))},
        class_token=np.zeros(2),
        norm_pre={"scale": np.zeros(2)},
        pool={"probe": np.zeros(2)},
        projection={"kernel": np.zeros((2, 2))},
    ),
    "text": tower(embedding=np.zeros((9, 2))),
    "logit_scale": np.zeros(()),
}


def factors_of(tuning, params=PARAMS):
    factors = learning_rate_factors(tuning, {"model": params})
    return {path.removeprefix("model/"): factor for path, factor in factors.items()}


BELOW = ["patch/kernel", "class_token", "positions", "norm_pre/scale"]
BLOCKS = ["blocks/mlp/up/kernel", "blocks/mlp/up/bias"]
ABOVE = ["norm_post/scale", "pool/probe", "projection/kernel"]


@pytest.mark.parametrize(
    ("settings", "below", "blocks", "above"),
    [
        (TowerTuning(), 1, 1, 1),
        (TowerTuning("frozen"), 0, 0, 0),
        (TowerTuning("lora", rank=4), 0, 0, 0),
        (TowerTuning("full", layer_decay=0.5), 0.0625, (0.125, 0.25, 0.5), 1),
        (TowerTuning("last", blocks=2), 0, (0, 1, 1), 1),
        (TowerTuning("last", blocks=2, layer_decay=0.5), 0, (0, 0.25, 0.5), 1),
        (TowerTuning("last", blocks=0), 0, 0, 1),
        (TowerTuning("last", blocks=DEPTH), 0, 1, 1),
    ],
    ids=str,
)
def test_layers_learn_as_their_tower_is_tuned(settings, below, blocks, above):
    factors = factors_of(Tuning(vision=settings))
    expected = dict.fromkeys(BELOW, below) | dict.fromkeys(BLOCKS, blocks)
    expected |= dict.fromkeys(ABOVE, above)
    assert {path: factors.pop(f"vision/{path}") for path in expected} == expected
    assert {*factors.values()} == {1.0}  # the other tower and the temperature


@pytest.mark.parametrize("kind", ["frozen", "last", "lora", "full"])
def test_a_knowledge_encoder_is_trained_whatever_becomes_of_the_towers(kind):
    settings = {"last": {"blocks": 0}, "lora": {"rank": 1}, "full": {"layer_decay": 0.5}}
    tuned = TowerTuning(kind, **settings.get(kind, {}))
    params = PARAMS | {"knowledge": tower(pieces={"embedding": np.zeros((9, 2))})}
    factors = factors_of(Tuning(tuned, tuned), params)
    paths = {path for path in factors if path.startswith("knowledge/")}
    assert len(paths) == 5
    assert {factors[path] for path in paths} == {1.0}


def test_towers_are_tuned_apart():
    factors = factors_of(Tuning(text=TowerTuning("frozen")))
    assert {path for path, factor in factors.items() if factor == 0} == {
        path for path in factors if path.startswith("text/")
    }


@pytest.mark.parametrize(("decay", "expected"), [(1.0, 1), (0.5, (0.125, 0.25, 0.5))])
def test_lora_factors_learn_as_fast_as_their_block_would(decay, expected):
    adapters = {"text": {"blocks": {"mlp": {"up": {"a": np.zeros((DEPTH, 2, 1))}}}}}
    tuning = Tuning(text=TowerTuning("lora", rank=1, layer_decay=decay))
    factors = learning_rate_factors(tuning, {"model": PARAMS, "adapters": adapters})
    assert factors["adapters/text/blocks/mlp/up/a"] == expected
    assert factors["model/text/blocks/mlp/up/kernel"] == 0


def test_more_blocks_than_there_are_is_an_error_that_says_how_many_there_are():
    tuning = Tuning(text=TowerTuning("last", blocks=4))
    with pytest.raises(ConfigError, match=r"config\.tuning\.text\.blocks: 4, but the tower has 3"):
        factors_of(tuning)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "las"}, r"vision\.kind must be one of full, frozen, last, lora"),
        ({"kind": "last"}, "blocks is for kind last, which needs it"),
        ({"blocks": 2}, "blocks is for kind last"),
        ({"kind": "last", "blocks": -1}, r"vision\.blocks must be at least 0"),
        ({"kind": "lora"}, "rank is for kind lora, which needs it"),
        ({"kind": "frozen", "rank": 2}, "rank is for kind lora"),
        ({"kind": "lora", "rank": 0}, "rank must be at least 1"),
        ({"kind": "lora", "rank": 1, "alpha": 0.0}, "alpha must be above 0"),
        ({"kind": "lora", "rank": 1, "targets": ()}, "targets: at least one"),
        ({"kind": "lora", "rank": 1, "targets": ("mlp/up", "mlp/up")}, "each once"),
        ({"kind": "lora", "rank": 1, "targets": ("mlp/down ",)}, r"targets\[0\] must be one of"),
        ({"alpha": 2.0}, "for kind lora"),
        ({"targets": ("mlp/up",)}, "for kind lora"),
        ({"layer_decay": 0.0}, "layer_decay must be above 0"),
    ],
    ids=str,
)
def test_settings_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        schema.parse(Tuning, {"vision": settings}, "config.tuning")


def test_settings_are_read_from_a_config():
    tuning = schema.parse(Tuning, {"vision": {"kind": "lora", "rank": 8, "alpha": 16}})
    assert tuning == Tuning(TowerTuning("lora", rank=8, alpha=16.0), TowerTuning())
    assert tuning.adapters == {"vision": Lora(8, alpha=16.0)}
