"""Opening pictures on disk: their folders, their share of bad records, and their scene graphs."""

import dataclasses

import pytest

from kgclip_jax.data.stored_pictures import Data
from kgclip_jax.errors import ConfigError, DataError
from kgclip_jax.knowledge.graph_record import pack
from kgclip_jax.knowledge.graph_store import Contents, complete, pack_picture, part_file
from kgclip_jax.knowledge.scene_graph import SceneGraph, SceneObject
from kgclip_jax.random import generator
from tests.data.readers.layouts import LAYOUTS, drawn


@pytest.fixture
def pictures(tmp_path):
    """Settings of five pictures in "x", a folder of `tmp_path`."""
    (tmp_path / "x").mkdir()
    return dataclasses.replace(LAYOUTS["flickr"](tmp_path / "x", drawn(5)), folder="x")


@pytest.fixture
def source(pictures, tmp_path):
    """Open them, with further settings."""

    def source(parser=Data.parser, bad_share=0.05, **fields):
        data = Data(path=str(tmp_path), parser=parser, bad_share=bad_share)
        return dataclasses.replace(pictures, **fields).open(data, 16)

    return source


def test_pictures_lie_in_the_data_path_and_come_in_the_size_of_the_model(source):
    opened = source()
    assert (opened.name, len(opened)) == ("x", 5)
    assert opened.image(0, generator(0, "x")).shape == (16, 16, 3)


def test_the_share_of_bad_records_is_respected(source, tmp_path):
    (tmp_path / "x" / "images" / "001.png").unlink()
    with pytest.raises(DataError, match=r"missing image: 1 of 5, above the share of 0\.1 "):
        source(bad_share=0.1)
    assert len(source(bad_share=0.2)) == 4


def write_graphs(folder, records, settings):
    """Write graphs of all captions of some records: one object each, called as the caption."""
    folder.mkdir()
    stored = []
    for record in map(records.record, range(len(records))):
        graphs = [SceneGraph((SceneObject(text),)) for text in record.captions]
        stored.append(pack(record.key, record.captions, graphs))
    (folder / part_file(0, 1)).write_bytes(b"".join(stored))
    complete(folder, Contents(settings, 1, len(stored), len(stored), 0, 0, 0, 0, {}))


OTHER = {"model": "en_other"}
UNNAMED = "graphs: the graphs come from no parser that is named; held-out texts are parsed by "


@pytest.mark.parametrize(
    ("settings", "installed", "warning"),
    [
        ({}, None, f"{UNNAMED}'en_other', which may find others"),
        ({}, "other 1", f"{UNNAMED}'other 1', which may find others"),
        (OTHER, None, f"{UNNAMED}'en_other', which may find others"),
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
    source, tmp_path, monkeypatch, caplog, settings, installed, warning
):
    versions = {"en_other": installed}.get
    monkeypatch.setattr("kgclip_jax.data.stored_pictures.installed_version", versions)
    plain = source()
    write_graphs(tmp_path / "graphs", plain.records, settings)
    told = source(graphs="graphs", parser="en_other")
    assert caplog.messages == ([] if warning is None else [f"{tmp_path}/{warning}"])
    text, graph = told.caption(2, generator(0, "x"))
    assert graph == SceneGraph((SceneObject(text),))
    assert plain.caption(2, generator(0, "x")) == (text, None)


def test_graphs_of_another_pipeline_than_that_of_held_out_texts_are_refused(source, tmp_path):
    write_graphs(tmp_path / "graphs", source().records, {"model": "en_other"})
    refusal = r"graphs: .* 'en_other', and config\.data\.parser is 'en_"
    with pytest.raises(ConfigError, match=refusal):
        source(graphs="graphs")


def test_graphs_of_captions_and_of_pictures_are_told_apart(source, tmp_path):
    plain = source()
    write_graphs(tmp_path / "captions", plain.records, {})
    (tmp_path / "pictures").mkdir()
    scene = SceneGraph((SceneObject("dog"),))
    stored = [pack_picture(f"{number:03}", scene) for number in range(5)]
    (tmp_path / "pictures" / part_file(0, 1)).write_bytes(b"".join(stored))
    complete(tmp_path / "pictures", Contents({}, 1, 5, 5, 5, 0, 0, 0, {}, "pictures"))
    assert plain.known(3) == []
    assert source(scene_graphs="pictures").known(3) == [scene]
    with pytest.raises(ConfigError, match=r"captions holds scene graphs of captions, not of pic"):
        source(scene_graphs="captions")
    with pytest.raises(ConfigError, match=r"pictures holds scene graphs of pictures, not of capt"):
        source(graphs="pictures")


def test_missing_graphs_name_their_folder(source):
    with pytest.raises(DataError, match=r"nowhere/graphs\.json: not found; let .*prepare\.py"):
        source(graphs="nowhere")
