import pytest

from kgclip_jax.knowledge.graph import graph_checks
from kgclip_jax.knowledge.graph.graph_checks import HeldOutChecks, check_graph
from tests.knowledge.graph.made_up_graphs import ODD, make_graph, random_edges


@pytest.mark.parametrize("edges", [2**21, 3, 1])
def test_a_graph_is_seen_through(tmp_path, monkeypatch, edges):
    monkeypatch.setattr(graph_checks, "_EDGES", edges)
    found = check_graph(make_graph(tmp_path, ODD))
    assert (found.entities, found.with_text, found.with_images, found.without_view) == (7, 6, 0, 1)
    assert found.alone == 1  # z
    assert found.triples == {"is a": 4, "likes": 4, "sees": 1}
    assert found.loops == 1
    assert found.in_cycles == 3
    assert found.held_out == {"test": HeldOutChecks(5, known=1, turned=2, joined=1, unseen=1)}


def test_a_graph_without_is_a_relations_has_no_cycles(tmp_path):
    graph = make_graph(tmp_path, {"train": [("a", "r", "b"), ("b", "r", "a")]})
    assert check_graph(graph).in_cycles == 0
    assert check_graph(graph).held_out == {}


def test_leaks_are_those_of_a_plain_loop(tmp_path, monkeypatch):
    """Hubs at either end, of which the edges of the other end are looked at."""
    monkeypatch.setattr(graph_checks, "_EDGES", 7)
    edges = random_edges(0, 12, 3, 90)
    triples = [
        (f"e{head % 5 if row % 2 else head}", f"r{relation}", f"e{tail if row % 2 else tail % 3}")
        for row, (head, relation, tail) in enumerate(zip(*edges[:3], strict=True))
    ]
    train, test = sorted({*triples[:50]}), sorted({*triples[50:], ("e0", "r0", "alone")})
    found = check_graph(make_graph(tmp_path, {"train": train, "test": test})).held_out["test"]
    pairs, seen = {(h, t) for h, _, t in train}, {e for h, _, t in train for e in (h, t)}
    assert found == HeldOutChecks(
        len(test),
        known=sum(triple in train for triple in test),
        turned=sum((t, h) in pairs for h, _, t in test),
        joined=sum((h, t) in pairs and (h, r, t) not in train for h, r, t in test),
        unseen=sum(not {h, t} <= seen for h, _, t in test),
    )
    assert min(found.known, found.turned, found.joined, found.unseen) > 0
