"""From settings to held-out sets: prepared as the model wants them, in the order of the config."""

from dataclasses import asdict, replace

import numpy as np
import pytest
from PIL import Image

from kgclip_jax.config import Experiment
from kgclip_jax.data.captioned_retrieval import CaptionedRetrieval
from kgclip_jax.data.classification import ClassificationFolder
from kgclip_jax.data.emoji.world import EmojiWorld
from kgclip_jax.data.images import evaluation_transform
from kgclip_jax.data.sources import EmojiSource
from kgclip_jax.data.stored_pictures import Data
from kgclip_jax.data.streams.captions_config import CaptionsConfig
from kgclip_jax.errors import ConfigError
from kgclip_jax.held_out import held_out_sets
from kgclip_jax.models.presets import preset
from kgclip_jax.objectives.contrastive import Contrastive
from kgclip_jax.optimizer_config import Optimizer
from kgclip_jax.schema import parse
from tests.array_pictures import all_images
from tests.data.readers.layouts import LAYOUTS, drawn

TINY = preset("tiny")
VISION = replace(TINY.vision, image_size=16, resize="squash", interpolation="bilinear")


def experiment(root, evaluation=None, **sources):
    return Experiment(
        model=replace(TINY, vision=VISION),
        optimizer=Optimizer(1e-3),
        total_steps=1,
        streams={"captions": CaptionsConfig(sources=sources, rows=2)},
        objectives={"contrastive": Contrastive()},
        data=Data(path=str(root)),
        evaluation=evaluation or {},
    )


def stored(root, layout, **fields):
    """Write pictures in a layout; return settings whose folder starts from `root`'s parent."""
    root.mkdir()
    settings = LAYOUTS[layout](root, drawn(5))
    return replace(settings, folder=root.name, **fields)


def test_pictures_are_prepared_as_the_model_wants_them(tmp_path):
    shards = stored(tmp_path / "shards", "array_record", evaluation_folder="shards")
    (result,) = held_out_sets(experiment(tmp_path, x=shards))
    contents = {p.captions[0]: p.content for p in drawn(5)}
    for index, image in enumerate(all_images(result.pictures)):
        content = contents[np.array(result.captions)[result.owners == index][0]]
        expected = evaluation_transform(content, 16, "squash", "bilinear")
        np.testing.assert_array_equal(image, expected)


def test_sets_of_sources_come_first_and_those_beside_them_follow(tmp_path):
    shards = stored(tmp_path / "shards", "array_record", evaluation_folder="shards")
    (tmp_path / "pictures" / "dog").mkdir(parents=True)
    Image.new("RGB", (20, 24)).save(tmp_path / "pictures" / "dog" / "1.png")
    beside = {"mine": ClassificationFolder(kind="classification", folder="pictures")}
    sets = held_out_sets(experiment(tmp_path, beside, x=shards))
    assert [each.name for each in sets] == ["shards", "mine"]


def test_drawn_scenes_bring_all_sets_of_their_world(tmp_path):
    world = EmojiWorld(concepts=12, unseen_concepts=4)
    emoji = EmojiSource("emoji", world, evaluation_items=2)
    assert len(held_out_sets(experiment(tmp_path, x=emoji))) > 5


def test_what_is_not_held_out_is_not_evaluated(tmp_path):
    coco = stored(tmp_path / "x", "coco")
    emoji = EmojiSource("emoji", EmojiWorld(), evaluation_items=0)
    assert held_out_sets(experiment(tmp_path, x=coco, y=emoji)) == []


def test_any_captioned_pictures_are_a_retrieval_set_of_any_name(tmp_path):
    source = stored(tmp_path / "shards", "array_record")
    settings = CaptionedRetrieval(kind="retrieval", source=source, folds=2)
    (result,) = held_out_sets(experiment(tmp_path, {"COCO": settings}))
    assert (result.name, result.folds, len(result.pictures)) == ("COCO", 2, 5)
    with pytest.raises(ConfigError, match="folds must be at least 1"):
        parse(CaptionedRetrieval, {"kind": "retrieval", "source": asdict(source), "folds": 0})
