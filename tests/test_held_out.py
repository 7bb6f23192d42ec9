import dataclasses

import numpy as np
import pytest

from kgclip_jax.data.emoji import EmojiScenes, EmojiWorld
from kgclip_jax.data.images import evaluation_transform
from kgclip_jax.data.sources import EmojiSource
from kgclip_jax.data.stored_pictures import Data
from kgclip_jax.errors import ConfigError, DataError
from kgclip_jax.held_out import evaluation_sets, training_sources
from kgclip_jax.knowledge.graph_store import Contents, complete, pack, pack_picture, part_file
from kgclip_jax.knowledge.scene_graph import SceneGraph, SceneObject
from kgclip_jax.models.presets import preset
from kgclip_jax.random import generator
from tests.array_pictures import all_images
from tests.data.readers.layouts import LAYOUTS, drawn


@pytest.fixture
def vision():
    vision = preset("quickstart").vision
    return dataclasses.replace(vision, image_size=16, resize="squash", interpolation="bilinear")


def stored(root, layout, **fields):
    """Write pictures in a layout; return settings whose folders start from `root`'s parent."""
    root.mkdir()
    settings = LAYOUTS[layout](root, drawn(5))
    folder = f"{root.name}/{settings.folder}"
    return dataclasses.replace(settings, folder=folder, **fields)


def test_sources_are_opened_in_order(tmp_path):
    world = EmojiWorld(concepts=12, unseen_concepts=4, scenes=10)
    sources = {
        "tars": stored(tmp_path / "tars", "webdataset", crop_scale=(1.0, 1.0)),
        "emoji": EmojiSource("emoji", world),
        "folder": stored(tmp_path / "folder", "flickr"),
    }
    tars, emoji, folder = training_sources(Data(sources, path=str(tmp_path)), 16)
    assert (tars.name, folder.name) == ("tars/{00000..00001}.tar", "folder")
    assert isinstance(emoji, EmojiScenes)
    assert (len(tars), len(folder)) == (5, 5)
    assert tars.image(0, generator(0, "x")).shape == (16, 16, 3)


def test_pictures_are_prepared_as_the_model_wants_them(tmp_path, vision):
    shards = stored(tmp_path / "shards", "array_record", evaluation_folder="shards")
    (result,) = evaluation_sets(Data({"x": shards}, path=str(tmp_path)), vision)
    contents = {p.captions[0]: p.content for p in drawn(5)}
    for index, image in enumerate(all_images(result.pictures)):
        content = contents[np.array(result.captions)[result.owners == index][0]]
        expected = evaluation_transform(content, 16, "squash", "bilinear")
        np.testing.assert_array_equal(image, expected)


def test_what_is_not_held_out_is_not_evaluated(tmp_path, vision):
    data = Data({"x": stored(tmp_path / "x", "coco")}, path=str(tmp_path))
    assert evaluation_sets(data, vision) == []


def test_the_share_of_bad_records_is_respected(tmp_path, vision):
    settings = stored(tmp_path / "x", "flickr")
    (tmp_path / "x" / "images" / "001.png").unlink()
    with pytest.raises(DataError, match=r"missing image: 1 of 5, above the share of 0\.1 "):
        training_sources(Data({"x": settings}, path=str(tmp_path), bad_share=0.1), 16)
    (source,) = training_sources(Data({"x": settings}, path=str(tmp_path), bad_share=0.2), 16)
    assert len(source) == 4


def parsed(folder, records, settings):
    """Write graphs of all captions of some records: one object each, called as the caption."""
    folder.mkdir()
    lines = []
    for record in map(records.record, range(len(records))):
        graphs = [SceneGraph((SceneObject(text),)) for text in record.captions]
        lines.append(pack(record.key, record.captions, graphs))
    (folder / part_file(0, 1)).write_text("".join(lines))
    complete(folder, Contents(settings, 1, len(lines), len(lines), 0, 0, 0, 0, {}))


OTHER = {"model": "en_other"}
UNNAMED = "graphs names no parser that its graphs come from; held-out texts are parsed by "


@pytest.mark.parametrize(
    ("settings", "installed", "warning"),
    [
        ({}, None, f"{UNNAMED}en_other, which may find others"),
        ({}, "other 1", f"{UNNAMED}other 1, which may find others"),
        (OTHER, None, f"{UNNAMED}en_other, which may find others"),
        (OTHER | {"parser": "other 1, rules 1"}, None, None),
        (OTHER | {"parser": "other 1, rules 1"}, "other 1, rules 1", None),
        (
            OTHER | {"parser": "other 1, rules 1"},
            "other 1, rules 2",
            "graphs: the graphs come from the parser 'other 1, rules 1'; held-out texts are parsed "
            "by 'other 1, rules 2', which may find others",
        ),
    ],
)
def test_captions_come_with_the_graphs_of_their_folder(
    tmp_path, monkeypatch, caplog, settings, installed, warning
):
    monkeypatch.setattr("kgclip_jax.held_out.installed_version", {"en_other": installed}.get)
    stored_pictures = stored(tmp_path / "x", "flickr")
    (plain,) = training_sources(Data({"x": stored_pictures}, path=str(tmp_path)), 16)
    parsed(tmp_path / "graphs", plain.records, settings)
    sources = {"x": dataclasses.replace(stored_pictures, graphs="graphs")}
    (source,) = training_sources(Data(sources, path=str(tmp_path), parser="en_other"), 16)
    assert caplog.messages == ([] if warning is None else [f"{tmp_path}/{warning}"])
    text, graph = source.caption(2, generator(0, "x"))
    assert graph == SceneGraph((SceneObject(text),))
    assert plain.caption(2, generator(0, "x")) == (text, None)


def test_graphs_of_another_pipeline_than_that_of_held_out_texts_are_refused(tmp_path):
    stored_pictures = stored(tmp_path / "x", "flickr")
    (plain,) = training_sources(Data({"x": stored_pictures}, path=str(tmp_path)), 16)
    parsed(tmp_path / "graphs", plain.records, {"model": "en_other"})
    sources = {"x": dataclasses.replace(stored_pictures, graphs="graphs")}
    with pytest.raises(
        ConfigError, match=r"graphs: .* 'en_other', and config\.data\.parser is 'en_"
    ):
        training_sources(Data(sources, path=str(tmp_path)), 16)


def test_graphs_of_captions_and_of_pictures_are_told_apart(tmp_path):
    stored_pictures = stored(tmp_path / "x", "flickr")
    (plain,) = training_sources(Data({"x": stored_pictures}, path=str(tmp_path)), 16)
    parsed(tmp_path / "captions", plain.records, {})
    (tmp_path / "pictures").mkdir()
    scene = SceneGraph((SceneObject("dog"),))
    lines = [pack_picture(f"{number:03}", scene) for number in range(5)]
    (tmp_path / "pictures" / part_file(0, 1)).write_text("".join(lines))
    complete(tmp_path / "pictures", Contents({}, 1, 5, 5, 5, 0, 0, 0, {}, "pictures"))

    def source(**graphs):
        settings = dataclasses.replace(stored_pictures, **graphs)
        return training_sources(Data({"x": settings}, path=str(tmp_path)), 16)[0]

    assert plain.graphs(3) == []
    assert source(scene_graphs="pictures").graphs(3) == [scene]
    with pytest.raises(ConfigError, match=r"captions holds scene graphs of captions, not of pic"):
        source(scene_graphs="captions")
    with pytest.raises(ConfigError, match=r"pictures holds scene graphs of pictures, not of capt"):
        source(graphs="pictures")


def test_missing_graphs_name_their_folder(tmp_path):
    sources = {"x": stored(tmp_path / "x", "flickr", graphs="nowhere")}
    with pytest.raises(DataError, match=r"nowhere/graphs\.json: No such file .*prepare\.py"):
        training_sources(Data(sources, path=str(tmp_path)), 16)
