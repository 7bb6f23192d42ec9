"""What devices tell each other in a step: collectives by kind, in number and bytes.

A change of models or sharding that makes devices talk more shows up here as a difference. After an
intended change:

    python tests/training/test_collectives.py
"""

import runpy
import sys
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

import jax
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from kgclip_jax import config
from kgclip_jax.data.stored_pictures import Data
from kgclip_jax.data.streams.captions_config import CaptionsConfig
from kgclip_jax.data.streams.stream import StreamOpening
from kgclip_jax.data.tokenization.tokenizer_config import Tokenizers
from kgclip_jax.model_inputs import preprocessing_for
from kgclip_jax.models import encode
from kgclip_jax.models.presets import preset
from kgclip_jax.objectives.contrastive import Contrastive
from kgclip_jax.optimizer_config import Optimizer
from kgclip_jax.planning.hlo_text import collectives
from tests import toys
from tests.training.made_up_streams import MadeUpStream, Trainer, made_up_pairs

TESTS = Path(__file__).resolve().parents[1]
GOLDEN = TESTS / "golden" / "collectives.txt"
TINY = preset("tiny")
BLOCK = replace(TINY.text.transformer, width=64, depth=1, heads=2)
# As in large models, heads can be shared, and `fsdp` cuts the features of positions. Nothing is
# computed, so that a few words will do: a table of all would outweigh the rest.
MODEL = replace(
    TINY,
    vision=replace(TINY.vision, transformer=BLOCK),
    text=replace(TINY.text, transformer=BLOCK, context_length=77, vocabulary=512, eos_id=511),
    embedding=64,
)
MESHES = {
    "8,1,1": config.Mesh(8, 1, 1),
    "4,2,1": config.Mesh(4, 2, 1),
    "2,2,2": config.Mesh(2, 2, 2),
}
EXPERIMENT = config.Experiment(
    model=MODEL,
    optimizer=Optimizer(1e-3),
    total_steps=10,
    streams={
        "captions": CaptionsConfig(sources={}, rows=32),
        "toy": toys.ToyStream(rows=32),
    },
    heads={"mixer": toys.ToyHead()},
    objectives={"contrastive": Contrastive(negatives=True), "toy": toys.ToyObjective()},
)


def step_collectives(mesh):
    captions = MadeUpStream(partial(made_up_pairs, k=2, slots=2), units=4)
    opening = StreamOpening(Data(), preprocessing_for(TINY, Tokenizers()))
    toy = EXPERIMENT.streams["toy"].open("toy", opening)
    trainer = Trainer(replace(EXPERIMENT, mesh=MESHES[mesh]), [captions, toy])
    return collectives(trainer.compiled().as_text())


def in_words(mesh, found):
    lines = [f"mesh {mesh}"]
    for kind, (count, size) in sorted(found.items()):
        lines.append(f"  {kind:<20}{count:>5} x{size:>12,} bytes")
    return "\n".join(lines) + "\n"


recorded = cache(step_collectives)


@pytest.mark.parametrize("mesh", MESHES)
def test_devices_talk_as_recorded(mesh):
    assert in_words(mesh, recorded(mesh)) in GOLDEN.read_text(), "see the top of this file"


def test_joined_inputs_cost_half_of_what_each_alone_does(monkeypatch):
    """On a mesh of all axes; the record holds what they cost on the others.

    No kind costs more, but for a few kilobytes that go from all to all, not gathered.
    """
    together = recorded("2,2,2")
    run = encode._run_by_shape

    def each_alone(tower, inputs, *, inner):
        return [run(tower, [arrays], inner=inner)[0] for arrays in inputs]

    monkeypatch.setattr(encode, "_run_by_shape", each_alone)
    apart = step_collectives("2,2,2")
    for kind in together.keys() - {"all-to-all"}:
        assert together[kind].bytes <= apart[kind].bytes, kind
    assert sum(each.bytes for each in together.values()) < 0.5 * sum(
        each.bytes for each in apart.values()
    )


if __name__ == "__main__":
    runpy.run_path(str(TESTS / "conftest.py"))  # eight devices
    jax.config.update("jax_platforms", "cpu")
    texts = [in_words(mesh, step_collectives(mesh)) for mesh in MESHES]
    GOLDEN.write_text("\n".join(texts))
