"""Runs of `launch/prepare.py graph`: a folder that opens, and mistakes on the command line."""

import pytest

from kgclip_jax.knowledge.graph.knowledge_graph import KnowledgeGraph
from tests.data.graph_sources.graph_layouts import LAYOUTS, triples_of


@pytest.fixture(scope="module")
def prepare(commands, result):
    def prepare(*options):
        return result(commands.start("launch/prepare.py", "graph", *map(str, options)))

    return prepare


def test_a_graph_is_made(prepare, tmp_path):
    LAYOUTS["wordnet"].write(tmp_path)
    process = prepare(f"--source=wordnet:{tmp_path}", f"--output={tmp_path / 'graph'}")
    assert (process.returncode, process.stderr) == (0, "")
    assert str(tmp_path / "graph") in process.stdout
    graph = KnowledgeGraph(tmp_path / "graph")
    assert triples_of(graph) == LAYOUTS["wordnet"].triples


def test_a_graph_without_files(prepare, tmp_path):
    process = prepare("--source=emoji", f"--output={tmp_path}", "--set=concepts=8")
    assert (process.returncode, process.stderr) == (0, "")
    assert len(KnowledgeGraph(tmp_path)) > 451


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--source=word_net:x"], "did you mean wordnet?"),
        (["--source=wordnet:nowhere"], "nowhere/data.noun: not found"),
        (["--source=emoji:x"], "emoji has no setting 'folder' here"),
        (["--source=emoji", "--set=wordnet=nowhere"], "nowhere/data.noun: not found"),
        (["--source=visualsem:x", "--set=image=false"], "did you mean images?"),
        (["--source=edge_lists:x", "--set=columns=head"], "columns: expected head, relation, tail"),
        (["--source=visual_genome:x", "--set=least_side=0"], "least_side must be at least 1"),
        ([], "flag --source=None"),
    ],
)
def test_mistakes_end_in_one_line(prepare, tmp_path, options, message):
    process = prepare(*options, f"--output={tmp_path / 'graph'}")
    (line,) = process.stderr.splitlines()
    assert process.returncode == 2
    assert line.startswith("error: ")
    assert message in line
