"""What knowledge graphs cost: training steps with their losses against plain CLIP's.

    python benchmarks/graph_cost.py --model=quickstart

Whole training steps (forward, backward, AdamW) on emoji scenes and the graph of the emoji world,
which is made in a temporary folder: plain CLIP, each loss of Knowledge-CLIP beside it, and all of
them. The contenders take turns in one process; a figure is the median over the rounds, a ratio the
median of the ratios within a round.

`FLOPs` are those that XLA counts in the compiled step. `cost` is the ratio of times to plain CLIP
by the ratio of FLOPs: 1 is its fair share. `input` is the CPU time of preparing a batch by the wall
time of a step: below 1, one worker process keeps up.
"""

import argparse
import itertools
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import environment
import jax
from rich.console import Console

from kgclip_jax import config
from kgclip_jax.data.emoji.concept_graph import EmojiGraph
from kgclip_jax.data.stored_pictures import Data
from kgclip_jax.data.streams.stream import StreamOpening
from kgclip_jax.model_inputs import preprocessing_for
from kgclip_jax.models.dual_encoder import Model
from kgclip_jax.models.presets import preset
from kgclip_jax.models.teachers import Teacher
from kgclip_jax.preparation.knowledge_graphs import store_graph
from kgclip_jax.schema import to_dict
from kgclip_jax.training.placement import Placement
from kgclip_jax.training.setup import set_up

PLAIN = "plain CLIP"
LOSSES = {
    PLAIN: (),
    "triplets": ("triplets",),
    "graph": ("graph",),
    "distillation": ("distillation",),
    "all": ("triplets", "graph", "distillation"),
}
OBJECTIVES: dict[str, dict[str, Any]] = {
    "contrastive": {},
    "triplets": {},
    "graph": {},
    "distillation": {"teacher": "original"},
}


class Contender:
    """The compiled step of some losses, its state, and batches of its own streams."""

    def __init__(self, losses: Sequence[str], folder: Path, flags: argparse.Namespace) -> None:
        experiment = config.experiment(_settings(losses, folder, flags))
        reading = preprocessing_for(experiment.model, experiment.tokenizers)
        opening = StreamOpening(Data(path=str(folder)), reading)
        streams = {name: each.open(name, opening) for name, each in experiment.streams.items()}
        model = Model(experiment.model)
        teachers = {
            name: Teacher(model, jax.device_get(model.initialise(1)), "random")
            for name in experiment.teachers
        }
        self._setup = set_up(experiment, streams, jax.devices()[:1], teachers=teachers)
        place = Placement(streams, self._setup.mesh)
        start = time.process_time()
        made = [
            {name: each.load(step, place.units[name]).blocks for name, each in streams.items()}
            for step in range(flags.batches)
        ]
        self.input_seconds = (time.process_time() - start) / flags.batches
        self._batches = [place([batch]) for batch in made]
        self._state = self._setup.initialise()
        arguments = self._state, self._batches[0], self._setup.fixed
        self._step = self._setup.step.lower(*arguments).compile()
        self.flops = self._step.cost_analysis()["flops"]
        self.turn(2)

    def turn(self, steps: int) -> float:
        """Take steps; return seconds for each."""
        start = time.perf_counter()
        for batch in itertools.islice(itertools.cycle(self._batches), steps):
            self._state, _ = self._step(self._state, batch, self._setup.fixed)
        jax.block_until_ready(self._state)
        return (time.perf_counter() - start) / steps


def _settings(losses: Sequence[str], folder: Path, flags: argparse.Namespace) -> dict[str, Any]:
    shape = preset(flags.model)
    world = {"concepts": 100, "unseen_concepts": 0, "scenes": 10_000}
    graph = str(folder / "graph")
    streams: dict[str, Any] = {
        "captions": {"sources": {"emoji": {"world": world}}, "rows": flags.pairs}
    }
    text = shape.text.transformer
    blocks = {
        "width": text.width,
        "depth": flags.depth,
        "heads": text.heads,
        "mlp_width": text.mlp_width,
    }
    heads = {
        "fusion": {"transformer": blocks, "relations": 2},
        "gnn": {"kind": "rgcn", "relations": 2},
    }
    used = ()
    if "triplets" in losses:
        rows = {"image_text": flags.triples, "text_text": flags.triples}
        streams["graph"] = {"kind": "triplets", "graph": graph, "rows": rows, "entity_length": 16}
        used = ("fusion",)
    if "graph" in losses:
        around = {"rows": flags.entities, "roots": flags.entities // 8, "entity_length": 16}
        streams["neighbourhoods"] = dict(graph=graph, **around)
        used = ("fusion", "gnn")
    return {
        "model": to_dict(shape),
        "streams": streams,
        "heads": {name: heads[name] for name in used},
        "teachers": {"original": {"kind": "dual_encoder", "init_from": "random"}}
        if "distillation" in losses
        else {},
        "objectives": {name: OBJECTIVES[name] for name in ("contrastive", *losses)},
        "optimizer": {"learning_rate": 1e-3},
        "total_steps": 10_000,
        "data": {"path": str(folder)},
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the flags, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default="quickstart", help="a preset")
    parser.add_argument("--pairs", type=int, default=128, help="captioned pictures of a step")
    parser.add_argument("--triples", type=int, default=32, help="triples of each kind of a step")
    parser.add_argument("--entities", type=int, default=128, help="of a step's neighbourhoods")
    parser.add_argument("--depth", type=int, default=1, help="blocks of the fusion")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--steps", type=int, default=4, help="steps of a turn")
    parser.add_argument("--batches", type=int, default=8, help="batches to take steps on")
    flags = parser.parse_args(arguments)
    print(" ".join(sys.argv), environment.describe(("jax", "jaxlib")), sep="\n")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        source = EmojiGraph(unseen_concepts=0)
        store_graph(source, folder / "graph", bad_share=0.0, console=Console(quiet=True))
        contenders = {name: Contender(losses, folder, flags) for name, losses in LOSSES.items()}
        times: dict[str, list[float]] = {name: [] for name in contenders}
        for turn in range(flags.rounds):
            for name in [*contenders][:: 1 if turn % 2 else -1]:
                times[name].append(contenders[name].turn(flags.steps))
    print("losses         s/step    time   FLOPs    cost  input")
    for name, contender in contenders.items():
        seconds = statistics.median(times[name])
        slower = statistics.median(a / b for a, b in zip(times[name], times[PLAIN], strict=True))
        more = contender.flops / contenders[PLAIN].flops
        print(
            f"{name:14s} {seconds:6.3f} {slower:6.2f}x {more:6.2f}x {slower / more:7.3f}"
            f" {contender.input_seconds / seconds:6.2f}"
        )
    print(f"load {os.getloadavg()[0]:.1f} at the end")


if __name__ == "__main__":
    main()
