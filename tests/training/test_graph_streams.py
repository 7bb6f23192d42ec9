"""Triples and neighbourhoods of a knowledge graph train: on any mesh, in any parts."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from kgclip_jax import config
from kgclip_jax.data.stored_pictures import Data
from kgclip_jax.data.streams.neighbourhoods_config import NeighbourhoodsConfig
from kgclip_jax.data.streams.stream import StreamOpening
from kgclip_jax.data.streams.triplets_config import TripletRows, TripletsConfig
from kgclip_jax.models import spec
from kgclip_jax.models.fusion import FusionHead
from kgclip_jax.models.rgcn import RgcnHead
from kgclip_jax.models.transformer import Execution
from kgclip_jax.objectives.graph import Graph
from kgclip_jax.objectives.triplets import Triplets
from tests.knowledge.graph.made_up_graphs import make_graph
from tests.training.made_up_streams import Trainer
from tests.training.test_toys import MIXED, ONE, READING, first_gradients

NAMES = [f"thing {number:02}" for number in range(24)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A graph of things of which every other one has a picture."""
    folder = tmp_path_factory.mktemp("graph")
    rng = np.random.default_rng(0)
    triples = [
        (NAMES[head], f"relation {relation}", NAMES[tail])
        for head, relation, tail in rng.integers([24, 3, 24], size=(150, 3))
    ]
    images = []
    for number in range(0, 24, 2):
        images.append(f"{number}.png")
        pixels = rng.integers(256, size=(40, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / images[-1])
    graph = make_graph(
        folder / "graph",
        {"train": triples},
        images=[[f"{number}.png"] if number % 2 == 0 else [] for number in range(24)],
    )
    assert len(graph) == 24
    return folder


def experiment(folder):
    rows = TripletRows(image_text=16, text_text=16)
    shape = spec.Transformer(width=16, depth=1, heads=2, mlp_width=32)
    return replace(
        MIXED,
        streams={
            "graph": TripletsConfig(graph="graph", rows=rows, entity_length=8, relation_length=6),
            "neighbourhoods": NeighbourhoodsConfig(
                graph="graph", rows=16, roots=6, fanout=3, entity_length=8
            ),
        },
        heads={
            "fusion": FusionHead(transformer=shape, relations=3, drop_path=0.3),
            "gnn": RgcnHead(relations=3),
        },
        objectives={"triplets": Triplets(), "graph": Graph(weight=0.5)},
    )


def trainer(folder, devices=None, **changes):
    settings = replace(experiment(folder), **changes)
    opening = StreamOpening(Data(path=str(folder)), READING)
    streams = [stream.open(name, opening) for name, stream in settings.streams.items()]
    return Trainer(settings, streams, devices)


@pytest.fixture(scope="module")
def one_device(folder):
    alone = trainer(folder, ONE)
    state, (metrics, *_) = alone.train(1)
    return state, metrics


def test_each_term_is_logged(one_device):
    _, metrics = one_device
    terms = metrics["triplets/e2e"], metrics["triplets/e2r"], metrics["graph/g2e"]
    assert metrics["loss"] == pytest.approx(terms[0] + terms[1] + 0.5 * terms[2], rel=1e-6)
    assert metrics["graph/entities"] == 6


@pytest.mark.parametrize(
    ("mesh", "microbatches"),
    [(config.Mesh(1, 1, 1), 4), (config.Mesh(2, 2, 2), 2)],
    ids=str,
)
def test_microbatches_and_devices_change_nothing(folder, mesh, microbatches, one_device):
    execution = Execution(microbatches=microbatches)
    devices = ONE if mesh == config.Mesh(1, 1, 1) else None
    state, (metrics,) = trainer(folder, devices, mesh=mesh, execution=execution).train(1)
    expected, reference = one_device
    for name in ("loss", "triplets/e2e", "triplets/e2r", "graph/g2e"):
        assert metrics[name] == pytest.approx(reference[name], rel=2e-6), name
    gradients, expected = first_gradients(state), first_gradients(expected)
    for path, leaf in expected.items():
        worst = np.abs(gradients[path] - leaf).max()
        assert worst <= 2e-5 * np.abs(leaf).max(), path
