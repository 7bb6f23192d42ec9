"""To files and back by `store_graph`: nothing is lost but what a format has no place for."""

import re

import pyarrow.parquet as pq
import pytest

from kgclip_jax.data.graph_sources.edge_lists import EdgeLists
from kgclip_jax.data.graph_sources.parquet_tables import ParquetTables
from kgclip_jax.errors import DataError, UserError
from kgclip_jax.knowledge.graph import exchange_files
from kgclip_jax.knowledge.graph.exchange_files import write_edge_lists, write_parquet
from tests.data.graph_sources.graph_layouts import store
from tests.knowledge.graph.made_up_graphs import make_graph
from tests.knowledge.graph.rich_graph import facts_of, make_rich_graph


@pytest.fixture(params=[1, 1000])
def parts(request, monkeypatch):
    """Tables are written in one part, or row by row."""
    monkeypatch.setattr(exchange_files, "_ROWS", request.param)


def images_of(graph):
    return graph.entities["images"].to_pylist()


def test_parquet_holds_all(tmp_path, parts):
    graph = make_rich_graph(tmp_path, ["n1", "n2", "n3", "Zürich \u2028 'x'"])
    write_parquet(graph, tmp_path)  # where its pictures lie
    again = store(ParquetTables(folder=str(tmp_path)), tmp_path / "again")
    assert facts_of(again) == facts_of(graph)
    assert again.entities.equals(graph.entities)
    assert again.contents.pictures == graph.contents.pictures


def test_images_are_found_from_another_folder(tmp_path):
    graph = make_rich_graph(tmp_path / "made", list("abcd"))
    folder = tmp_path / "else" / "where"
    write_parquet(graph, folder)
    again = store(ParquetTables(folder=str(folder)), tmp_path / "again")
    found = [[(folder / file).resolve() for file in files] for files in images_of(again)]
    assert found == [[tmp_path / "made" / file for file in files] for files in images_of(graph)]
    assert again.contents.left_out == {}


def test_others_read_the_tables(tmp_path):
    write_parquet(make_rich_graph(tmp_path), tmp_path / "tables")
    triples = pq.read_table(tmp_path / "tables" / "triples.parquet").to_pylist()
    assert triples[0] == {
        "head": "n1",
        "relation": "is_a",
        "tail": "n2",
        "weight": pytest.approx(1e20),
        "split": "train",
        "source": "me",
    }
    assert [row["split"] for row in triples] == ["train"] * 3 + ["valid", "test"]
    relations = pq.read_table(tmp_path / "tables" / "relations.parquet").to_pylist()
    assert relations[2] == {"name": "never", "phrase": "is never"}


@pytest.mark.parametrize("weights", [False, True])
def test_edge_lists_hold_triples_names_and_glosses(tmp_path, parts, weights):
    graph = make_rich_graph(tmp_path, ["n1", "n2", "n3", "Zürich 'x'"], gloss="a living thing")
    write_edge_lists(graph, tmp_path / "lists", weights=weights)
    columns = "head,relation,tail" + ",weight" * weights
    source = EdgeLists(folder=str(tmp_path / "lists"), columns=columns, names=exchange_files.NAMES)
    again = store(source, tmp_path / "again")
    assert {(h, r, t, w, split) for h, r, _, t, w, _, split in facts_of(again)} == {
        (h, r, t, w if weights else 1.0, split) for h, r, _, t, w, _, split in facts_of(graph)
    }
    columns = ["key", "name"]
    assert again.entities.select(columns).equals(graph.entities.select(columns))
    assert again.entities["glosses"].to_pylist() == [[], ["a living thing", "another"], [], []]


def test_edge_lists_are_plain_lines(tmp_path):
    write_edge_lists(make_graph(tmp_path / "graph"), tmp_path)
    assert (tmp_path / "valid.txt").read_text() == "mouse\tis a\tanimal\n"
    assert (tmp_path / "entity2text.txt").read_text().startswith("animal\tanimal\ncat\tcat\n")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"keys": ["a", "b", "", "d"]}, "''"),
        ({"keys": ["a", "b\r", "c", "d"]}, r"'b\r'"),
        ({"keys": list("abcd")}, r"'a living thing\twith a tab'"),
    ],
)
def test_what_does_not_fit_into_a_line_is_named(tmp_path, changes, text):
    graph = make_rich_graph(tmp_path, **changes)
    with pytest.raises(DataError, match=re.escape(f"{text} cannot stand between tabs")):
        write_edge_lists(graph, tmp_path / "lists")
    assert not (tmp_path / "lists").exists()


def test_a_disk_that_refuses_is_named(tmp_path):
    graph = make_graph(tmp_path / "graph")
    (tmp_path / "file").write_text("no folder")
    for write in (write_parquet, write_edge_lists):
        with pytest.raises(UserError, match=rf"cannot write {tmp_path}/file/"):
            write(graph, tmp_path / "file")
