from kgclip_jax.knowledge.graph.graph_checks import HeldOutChecks, check_graph
from tests.knowledge.graph.made_up_graphs import ODD, make_graph


def test_a_graph_is_seen_through(tmp_path):
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
