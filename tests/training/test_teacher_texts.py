"""A language model's embeddings and concepts train: on any mesh, in any parts, from two streams."""

from dataclasses import replace

import numpy as np
import pytest

from kgclip_jax import config
from kgclip_jax.data.emoji import EmojiWorld
from kgclip_jax.data.sources import EmojiSource
from kgclip_jax.data.stored_pictures import Data
from kgclip_jax.data.streams.captions_config import CaptionsConfig
from kgclip_jax.data.streams.concept_table import ConceptTable
from kgclip_jax.data.streams.embedding_table import EmbeddingTable
from kgclip_jax.data.streams.stream import StreamOpening
from kgclip_jax.data.streams.text_stream import TextsConfig
from kgclip_jax.models.linear_map import LinearHead
from kgclip_jax.models.transformer import Execution
from kgclip_jax.objectives.concept_loss import Concepts
from kgclip_jax.objectives.text_distillation import TextDistillation
from kgclip_jax.preparation.text_sources import EmojiCaptions
from tests.data.made_up_embeddings import clustered, random_embeddings
from tests.training.made_up_streams import Trainer
from tests.training.test_toys import MIXED, ONE, READING, first_gradients

WORLD = EmojiWorld(concepts=12, unseen_concepts=4, scenes=20, captions=1)
HEADS = {"teacher_map": LinearHead(width=6), "concept_map": LinearHead(width=4)}
OBJECTIVES = {
    "squared": TextDistillation(),
    "relational": TextDistillation(stream="words", form="relational", heads=()),
    "concepts": Concepts(weight=0.5),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("teacher")
    records = EmojiCaptions(world=WORLD).records(folder, bad_share=0.0)
    captions = sorted({c for n in range(len(records)) for c in records.record(n).captions})
    with pytest.MonkeyPatch.context() as patched:
        clustered(random_embeddings(folder / "words", captions), folder / "topics", patched)
    return folder


def trainer(folder, devices=None, objectives=OBJECTIVES, **changes):
    teacher = EmbeddingTable(folder="words")
    tables = {"teacher": teacher, "concepts": ConceptTable(folder="topics")}
    source = EmojiSource(kind="emoji", world=WORLD)
    streams = {
        "captions": CaptionsConfig(
            sources={"emoji": source}, rows=16, tables=tables, text_slots="one"
        ),
        "words": TextsConfig(texts="words", rows=8, tables={"teacher": teacher}, length=10),
    }
    settings = replace(
        MIXED,
        streams={objective.stream: streams[objective.stream] for objective in objectives.values()},
        heads={name: HEADS[name] for each in objectives.values() for name in each.heads},
        objectives=objectives,
        **changes,
    )
    opening = StreamOpening(Data(path=str(folder)), READING)
    opened = [stream.open(name, opening) for name, stream in settings.streams.items()]
    return Trainer(settings, opened, devices)


def test_microbatches_and_devices_change_nothing(folder):
    alone, (expected,) = trainer(folder, ONE).train(1)
    execution = Execution(microbatches=2)
    state, (metrics,) = trainer(folder, mesh=config.Mesh(2, 2, 2), execution=execution).train(1)
    for name in ("loss", "squared/loss", "relational/loss", "concepts/loss", "concepts/entropy"):
        assert metrics[name] == pytest.approx(expected[name], rel=3e-6), name
    gradients = first_gradients(state)
    for path, leaf in first_gradients(alone).items():
        worst = np.abs(gradients[path] - leaf).max()
        assert worst <= 2e-5 * np.abs(leaf).max(), path


def test_distillation_teaches_no_picture_and_concepts_do(folder):
    for names, taught in ((("squared", "relational"), False), (("concepts",), True)):
        objectives = {name: OBJECTIVES[name] for name in names}
        state, _ = trainer(folder, ONE, objectives).train(1)
        of_pictures = [
            np.abs(leaf).max()
            for path, leaf in first_gradients(state).items()
            if "vision" in str(path)
        ]
        assert (max(of_pictures, default=0) > 0) == taught
