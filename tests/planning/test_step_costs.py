"""Costs of a step by the depth of its transformers."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from kgclip_jax import config
from kgclip_jax.data.streams.triplets_config import TripletRows, TripletsConfig
from kgclip_jax.models.fusion import FusionHead
from kgclip_jax.models.presets import preset
from kgclip_jax.models.spec import Transformer
from kgclip_jax.models.transformer import UNROLLED
from kgclip_jax.objectives.triplets import Triplets
from kgclip_jax.optimizer_config import Optimizer
from kgclip_jax.planning.step_costs import Costs, step_costs

BLOCKS = Transformer(width=32, depth=3, heads=1, mlp_width=64)
TINY = preset("tiny")
EXPERIMENT = config.Experiment(
    model=replace(
        TINY,
        vision=replace(TINY.vision, transformer=replace(TINY.vision.transformer, depth=12)),
        text=replace(TINY.text, transformer=replace(TINY.text.transformer, depth=1)),
    ),
    optimizer=Optimizer(1e-3),
    total_steps=10,
)
WITH_HEAD = replace(
    EXPERIMENT,
    streams={"graph": TripletsConfig(graph="nowhere", rows=TripletRows(text_text=8))},
    heads={"fusion": FusionHead(transformer=BLOCKS, relations=2)},
    objectives={"triplets": Triplets()},
)


def compiled(experiment):
    """Blocks of the towers cost 100 and 10, of a head 1; the rest 1,000. In bytes half of it."""
    assert experiment.execution.unroll == UNROLLED
    depths = [experiment.model.vision.transformer.depth, experiment.model.text.transformer.depth]
    depths += [head.transformer.depth for head in experiment.heads.values()]
    assert max(depths) <= 2, "what is compiled must be shallow"
    flops = 1000 + sum(depth * price for depth, price in zip(depths, (100, 10, 1), strict=False))
    return SimpleNamespace(flops=flops, bytes_accessed=flops / 2)


@pytest.mark.parametrize(
    ("experiment", "expected"),
    [(EXPERIMENT, 1000 + 1200 + 10), (WITH_HEAD, 1000 + 1200 + 10 + 3)],
)
def test_blocks_add_up(experiment, expected):
    assert step_costs(experiment, compiled) == Costs(expected, expected / 2)
