"""Runs of `launch/prepare.py graph` and `check_graph`: what they make and say, and mistakes."""

import pytest

from kgclip_jax.knowledge.graph.knowledge_graph import KnowledgeGraph
from kgclip_jax.preparation.graph_summary import describe_graph
from tests.data.graph_sources.graph_layouts import LAYOUTS, triples_of
from tests.knowledge.graph.made_up_graphs import make_graph


@pytest.fixture(scope="module")
def prepare(commands, result):
    def prepare(*options, command="graph"):
        return result(commands.start("launch/prepare.py", command, *map(str, options)))

    return prepare


def test_a_graph_is_made(prepare, tmp_path):
    LAYOUTS["wordnet"].write(tmp_path)
    process = prepare(f"--source=wordnet:{tmp_path}", f"--output={tmp_path / 'graph'}")
    assert (process.returncode, process.stderr) == (0, "")
    graph = KnowledgeGraph(tmp_path / "graph")
    assert triples_of(graph) == LAYOUTS["wordnet"].triples
    assert process.stdout == f"{describe_graph(graph)}\n"
    assert process.stdout.startswith(f"{tmp_path / 'graph'}: 7 entities, 7 with text")


def test_a_graph_that_is_there_is_checked(prepare, tmp_path):
    graph = make_graph(tmp_path / "graph")
    process = prepare(f"--graph={graph.folder}", command="check_graph")
    assert (process.returncode, process.stderr) == (0, "")
    assert process.stdout == f"{describe_graph(graph)}\n"
    process = prepare(f"--graph={tmp_path}", command="check_graph")
    assert process.returncode == 2
    assert process.stderr == (
        f"error: {tmp_path}/graph.json: not found; let `python launch/prepare.py graph` finish, "
        "it writes this last\n"
    )


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
