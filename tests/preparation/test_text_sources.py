"""Texts of lines, of the entities of a graph and of emoji scenes, as records without pictures."""

import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from kgclip_jax.data.emoji import EmojiScenes, EmojiWorld
from kgclip_jax.data.records import Record, Records
from kgclip_jax.errors import BadRecord, ConfigError, DataError
from kgclip_jax.preparation.source_names import named
from kgclip_jax.preparation.text_sources import (
    TEXT_SOURCES,
    EmojiCaptions,
    GraphTexts,
    LinesOfText,
    TextSource,
)
from kgclip_jax.random import generator
from tests.knowledge.graph.made_up_graphs import make_graph

KINDS = {kind: TEXT_SOURCES.find(kind, "source") for kind in TEXT_SOURCES.places}
WORLD = EmojiWorld(seed=3, concepts=12, unseen_concepts=4, scenes=20, captions=3)
WORLD_AS_TEXT = (
    "world={'seed': 3, 'concepts': 12, 'unseen_concepts': 4, 'scenes': 20, 'captions': 3}"
)


def opened(source, root=Path("nowhere")):
    assert isinstance(source, TextSource)
    records = source.records(root, bad_share=0.0)
    assert isinstance(records, Records)
    return records


def listed(records):
    return [records.record(index) for index in range(len(records))]


class TestLines:
    def records(self, folder, content):
        (folder / "captions.txt").write_bytes(content)
        return opened(named(KINDS, "lines:captions.txt"), folder)

    def test_tabs_part_texts_that_mean_the_same(self, tmp_path):
        content = b"\xef\xbb\xbfa dog\ta  hound \t\n\n \t \r\nein gro\xc3\x9fer Hund\r\n\ta cat"
        records = self.records(tmp_path, content)
        assert listed(records) == [
            Record("0", ["a dog", "a hound"]),
            Record("1", ["ein großer Hund"]),
            Record("2", ["a cat"]),
        ]
        assert (records.name, records.skipped) == (f"{tmp_path}/captions.txt", {})
        assert listed(pickle.loads(pickle.dumps(records))) == listed(records)

    def test_there_are_no_pictures(self, tmp_path):
        with pytest.raises(BadRecord, match="record 0 has no picture"):
            self.records(tmp_path, b"a dog").encoded(0)

    @pytest.mark.parametrize("content", [b"", b" \n\t\n"])
    def test_a_file_without_text_is_refused(self, tmp_path, content):
        with pytest.raises(DataError, match=r"captions\.txt: there is no text"):
            self.records(tmp_path, content)

    def test_a_file_that_cannot_be_read_is_refused_by_name(self, tmp_path):
        with pytest.raises(DataError, match=r"nowhere\.txt: No such file"):
            opened(LinesOfText(folder="nowhere.txt"), tmp_path)
        with pytest.raises(DataError, match=r"captions\.txt, line 2: byte 7 .* is not UTF-8"):
            self.records(tmp_path, b"a dog\nb\xff")


class TestGraph:
    @pytest.fixture
    def folder(self, tmp_path):
        """Entities by their letters; one has a gloss of blanks, and one has none."""
        triples = [("b", "is a", "a"), ("c", "is a", "d")]
        glosses = [["a pet\nthat barks", "a cad"], ["  "], [], ["said of nobody"]]
        make_graph(tmp_path / "graph", {"train": triples}, glosses=glosses)
        return tmp_path

    def test_names_and_glosses_mean_the_same(self, folder):
        records = opened(named(KINDS, "graph:graph"), folder)
        assert listed(records) == [
            Record("a", ["a", "a pet that barks", "a cad"]),
            Record("b", ["b"]),
            Record("c", ["c"]),
            Record("d", ["d", "said of nobody"]),
        ]
        pickled = pickle.dumps(records)
        assert len(pickled) < 500
        assert listed(pickle.loads(pickled)) == listed(records)

    def test_glosses_can_be_left_out(self, folder):
        records = opened(named(KINDS, "graph:graph", ["glosses=false"]), folder)
        assert [record.captions for record in listed(records)] == [["a"], ["b"], ["c"], ["d"]]

    def test_an_entity_without_text_has_no_record(self, tmp_path):
        """The nameless one comes first of the sorted entities; its gloss is a text."""
        train = [("", "is a", "dog"), ("dog", "is a", "pet")]
        make_graph(tmp_path / "named", {"train": train})
        make_graph(tmp_path / "glossed", {"train": train}, glosses=[["a gloss"], [], []])
        keys = lambda folder, **options: [  # noqa: E731
            record.key for record in listed(opened(GraphTexts(folder=folder, **options), tmp_path))
        ]
        assert keys("named") == ["dog", "pet"]
        assert keys("glossed") == ["", "dog", "pet"]
        assert keys("glossed", glosses=False) == ["dog", "pet"]

    def test_a_folder_without_a_graph_is_refused(self, tmp_path):
        with pytest.raises(DataError, match=r"graph\.json: not found"):
            opened(GraphTexts(folder="nowhere"), tmp_path)


class TestEmoji:
    def test_a_world_must_say_how_many_captions_a_scene_has(self):
        with pytest.raises(ConfigError, match=r"emoji: world\.captions must say how many"):
            named(KINDS, "emoji")
        with pytest.raises(ConfigError, match=r"emoji\.world\.captions.* at least 1, not 0"):
            named(KINDS, "emoji", ["world={'captions': 0}"])
        assert named(KINDS, "emoji", [WORLD_AS_TEXT]) == EmojiCaptions(world=WORLD)

    def test_records_have_all_captions_that_training_draws_and_no_others(self):
        scenes, records = EmojiScenes(WORLD, 32), opened(EmojiCaptions(world=WORLD))
        assert len(records) == 20
        for index, (key, captions, _) in enumerate(listed(records)):
            drawn = {
                scenes.caption(index, generator(0, "caption", epoch, index)).text
                for epoch in range(60)
            }
            assert drawn == set(captions)
            assert (key, len(captions)) == (str(index), 3)
        different = {tuple(record.captions) for record in listed(records)}
        assert len({text for captions in different for text in captions}) > 30

    def test_captions_come_with_their_graphs(self):
        """Those are what is drawn, whole, not only their texts."""
        scenes = EmojiScenes(WORLD, 32)
        for epoch in range(10):
            drawn = scenes.caption(7, generator(0, "caption", epoch))
            assert drawn in scenes.captions(7)

    def test_captions_are_the_same_in_every_process(self):
        """A writer of embeddings and a worker that loads data are never the same process."""
        script = (
            "from kgclip_jax.data.emoji import EmojiWorld\n"
            "from kgclip_jax.preparation.text_sources import EmojiCaptions\n"
            f"records = EmojiCaptions(world={WORLD!r}).records(None, bad_share=0)\n"
            "print(repr([list(records.record(index).captions) for index in reversed(range(20))]))"
        )
        other = subprocess.run(
            [sys.executable, "-c", script],
            check=True,
            capture_output=True,
            text=True,
            env={"PYTHONHASHSEED": "7", "PYTHONPATH": str(Path(__file__).parents[2])},
        )
        records = opened(EmojiCaptions(world=WORLD))
        copy = pickle.loads(pickle.dumps(records))
        expected = repr([list(records.record(index).captions) for index in reversed(range(20))])
        assert other.stdout.strip() == expected
        assert listed(copy) == listed(records)

    def test_more_captions_leave_the_first_ones_as_they_are(self):
        more = opened(EmojiCaptions(world=replace(WORLD, captions=5)))
        few = opened(EmojiCaptions(world=WORLD))
        for index in range(20):
            assert more.record(index).captions[:3] == few.record(index).captions
