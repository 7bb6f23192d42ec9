from kgclip_jax.knowledge.graph.graph_checks import HeldOutChecks, check_graph
from tests.knowledge.graph.made_up_graphs import make_graph


def test_a_graph_is_seen_through(tmp_path):
    train = [
        ("a", "is a", "b"),
        ("b", "is a", "c"),
        ("c", "is a", "a"),
        ("d", "is a", "a"),
        ("d", "likes", "d"),
        ("d", "likes", "e"),
        ("e", "likes", "d"),
        ("", "likes", "e"),
    ]
    test = [
        ("a", "is a", "b"),  # known
        ("b", "likes", "a"),  # turned
        ("d", "is a", "e"),  # joined by another relation, and turned
        ("a", "likes", "z"),  # unseen
        ("a", "likes", "e"),
    ]
    graph = make_graph(tmp_path, {"train": train, "test": test})
    found = check_graph(graph)
    assert (found.entities, found.with_text, found.with_images, found.without_view) == (7, 6, 0, 1)
    assert found.alone == 1  # z
    assert found.triples == {"is a": 4, "likes": 4}
    assert found.loops == 1
    assert found.in_cycles == 3
    assert found.held_out == {"test": HeldOutChecks(5, known=1, turned=2, joined=1, unseen=1)}


def test_a_graph_without_is_a_relations_has_no_cycles(tmp_path):
    graph = make_graph(tmp_path, {"train": [("a", "r", "b"), ("b", "r", "a")]})
    assert check_graph(graph).in_cycles == 0
    assert check_graph(graph).held_out == {}
