"""What holds for every source of a knowledge graph."""

import gzip
import re
from contextlib import contextmanager

import pytest

from kgclip_jax.data.emoji import concept_graph
from kgclip_jax.data.graph_sources import (
    joined_graphs,
    parquet_tables,
    picture_regions,
    text_blocks,
    visualsem,
)
from kgclip_jax.data.graph_sources.graph_source import GRAPH_SOURCES, GraphSource
from kgclip_jax.data.skips import Skips
from kgclip_jax.errors import ConfigError, DataError
from kgclip_jax.knowledge.graph.knowledge_graph import KnowledgeGraph
from kgclip_jax.preparation import knowledge_graphs
from tests.data.graph_sources.graph_layouts import LAYOUTS, names_of, store, triples_of

TRIPLE = re.compile(r"\t| @ |> <")
SHARE = 10.0  # of what may be left out: hardly any thing of the emoji world is in these files


@pytest.fixture(params=LAYOUTS)
def layout(request):
    return LAYOUTS[request.param]


@pytest.fixture(params=[kind for kind, layout in LAYOUTS.items() if layout.lines])
def lines(request):
    return LAYOUTS[request.param]


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks of a line, a row, a picture, or a node."""
    monkeypatch.setattr(text_blocks, "BLOCK_BYTES", 400)
    monkeypatch.setattr(parquet_tables, "_ROWS", 1)
    monkeypatch.setattr(joined_graphs, "_ROWS", 1)
    monkeypatch.setattr(picture_regions, "_PICTURES", 1)
    monkeypatch.setattr(visualsem, "_ENTRIES", 1)


@pytest.fixture
def emoji_world(monkeypatch):
    """The emoji world has one thing that is in the small WordNet."""
    dog = tuple(thing for thing in concept_graph.catalogue() if thing.name == "dog")
    monkeypatch.setattr(concept_graph, "catalogue", lambda: dog)


def fail(*arguments):
    raise AssertionError("not called")


def files_of(folder):
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def test_all_are_here():
    assert LAYOUTS.keys() == GRAPH_SOURCES.places.keys()


def test_it_is_read(layout, tmp_path, emoji_world):
    source = layout.write(tmp_path)
    assert isinstance(source, GraphSource)
    assert type(source) is GRAPH_SOURCES.find(source.kind, "source")
    graph = store(source, tmp_path / "graph")
    assert triples_of(graph) == layout.triples
    assert layout.names.items() <= names_of(graph).items()
    assert all(graph.contents.phrases)
    assert not (tmp_path / "graph" / "parts").exists()


def test_blocks_are_the_same_every_time(layout, tmp_path, small_blocks):
    source = layout.write(tmp_path)
    for blocks in (source.entities, source.triples):
        first, second = ([block(Skips()) for block in blocks()] for _ in range(2))
        assert first == second


def test_a_launch_that_was_stopped_goes_on(layout, tmp_path, small_blocks, monkeypatch):
    source, output = layout.write(tmp_path), tmp_path / "graph"
    store(source, tmp_path / "whole", bad_share=SHARE)
    written, atomic_file = [], knowledge_graphs.atomic_file

    @contextmanager
    def stops(path):
        if len(written) == 1:
            raise KeyboardInterrupt
        with atomic_file(path) as temporary:
            yield temporary
        written.append(path)

    monkeypatch.setattr(knowledge_graphs, "atomic_file", stops)
    with pytest.raises(KeyboardInterrupt):
        store(source, output, bad_share=SHARE)
    before = written[0].stat().st_mtime_ns
    assert not (output / "graph.json").exists()
    monkeypatch.setattr(knowledge_graphs, "atomic_file", atomic_file)

    def keeps(folder):
        assert written[0].stat().st_mtime_ns == before
        rmtree(folder)

    rmtree = knowledge_graphs.shutil.rmtree
    monkeypatch.setattr(knowledge_graphs.shutil, "rmtree", keeps)
    store(source, output, bad_share=SHARE)
    assert files_of(output) == files_of(tmp_path / "whole")


def test_the_same_command_again_has_nothing_to_do(layout, tmp_path, monkeypatch):
    source, output = layout.write(tmp_path), tmp_path / "graph"
    store(source, output, bad_share=SHARE)
    before = {
        path: path.stat().st_mtime_ns for path in output.rglob("*.*") if "plan" not in str(path)
    }
    (output / "parts" / "triples").mkdir(parents=True)  # as a kill at the very end leaves it
    monkeypatch.setattr(type(source), "triples", fail)
    again = store(source, output, bad_share=SHARE)
    assert isinstance(again, KnowledgeGraph)
    assert before == {path: path.stat().st_mtime_ns for path in before}
    assert not (output / "parts").exists()


def test_a_file_that_has_changed_is_refused(layout, tmp_path):
    source, output = layout.write(tmp_path), tmp_path / "graph"
    store(source, output, bad_share=SHARE)
    for name, path in source.files().items():
        content = path.read_bytes()
        path.write_bytes(content + b"\n")
        with pytest.raises(ConfigError, match=rf"was begun otherwise \(sha256\.{name}: "):
            store(source, output, bad_share=SHARE)
        path.write_bytes(content)


def test_a_file_that_is_missing_is_named(layout, tmp_path):
    source = layout.write(tmp_path)
    for name, path in source.files().items():
        if name in ("valid", "test", "entities"):  # there may be none
            continue
        content = path.read_bytes()
        path.unlink()
        with pytest.raises(DataError, match=str(tmp_path)):
            store(source, tmp_path / "graph", bad_share=SHARE)
        path.write_bytes(content)


class TestLines:
    """Sources of text files, a triple or a synset in each line."""

    def test_a_file_of_one_line_without_an_end(self, lines, tmp_path):
        source = lines.write(tmp_path)
        path = tmp_path / lines.lines
        path.write_text(next(line for line in path.read_text().split("\n") if TRIPLE.search(line)))
        graph = store(source, tmp_path / "graph", bad_share=SHARE)
        assert sum(graph.contents.triples.values()) >= 1

    def test_an_empty_file_has_no_triples(self, lines, tmp_path):
        if lines.lines == "data.noun":
            pytest.skip("verbs and adjectives are left")
        source = lines.write(tmp_path)
        (tmp_path / lines.lines).write_text("")
        with pytest.raises(DataError, match=r"the graph is empty: there is no triple"):
            store(source, tmp_path / "graph")

    @pytest.mark.parametrize("line", ["dog", "a\tb\tc\td\te\tf", '{"json": 1}'])
    def test_a_malformed_line_is_named(self, lines, tmp_path, line, small_blocks):
        source = lines.write(tmp_path)
        path = tmp_path / lines.lines
        content = path.read_text()
        path.write_text(f"{content}{line}\n")
        number = content.count("\n") + 1
        with pytest.raises(DataError, match=rf"{path}, line {number}: .*{line[-1]}"):
            store(source, tmp_path / "graph", bad_share=SHARE)

    def test_what_is_no_utf8_is_named(self, lines, tmp_path):
        source = lines.write(tmp_path)
        path = tmp_path / lines.lines
        content = path.read_bytes()
        before, _, after = content.splitlines()[-1].rpartition(b"a")
        path.write_bytes(content + before + b"\xe9" + after + b"\n")
        number = content.count(b"\n") + 1
        with pytest.raises(DataError, match=rf"{path}, line {number}: byte .*not UTF-8"):
            store(source, tmp_path / "graph", bad_share=SHARE)

    def test_gzip_is_read(self, lines, tmp_path):
        if lines.lines == "data.noun":
            pytest.skip("WordNet comes unpacked")
        source = lines.write(tmp_path)
        plain = tmp_path / lines.lines
        path = plain.with_name(f"{plain.name}.gz")
        path.write_bytes(gzip.compress(plain.read_bytes()))
        plain.unlink()
        if source.folder == str(plain):
            source = type(source)(folder=str(path))
        assert triples_of(store(source, tmp_path / "graph")) == lines.triples
        path.write_bytes(path.read_bytes()[:-10])
        with pytest.raises(DataError, match=rf"{path}, after line 1: cannot be read on"):
            store(source, tmp_path / "again")
