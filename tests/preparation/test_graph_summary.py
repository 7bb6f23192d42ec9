from kgclip_jax.preparation.graph_summary import describe_graph
from tests.knowledge.graph.made_up_graphs import ODD, make_graph


def test_all_that_is_odd_is_said(tmp_path):
    assert describe_graph(make_graph(tmp_path, ODD)).splitlines() == [
        f"{tmp_path}: 7 entities, 6 with text and 0 with images",
        "triples: 9 train, 0 valid, 5 test",
        "relations of train: is a (4), likes (4), sees (1)",
        "left out: 1 x triple that is there already",
        "1 entities have neither text nor image",
        "1 entities are in no triple of train",
        "1 triples of train join an entity with itself",
        '3 entities are above themselves by relations like "is a"',
        "test: 1 of 5 triples (20.0%) are in train too",
        "test: 2 of 5 triples (40.0%) have ends that train joins the other way round",
        "test: 1 of 5 triples (20.0%) have ends that train joins by another relation",
        "test: 1 of 5 triples (20.0%) have an entity that no triple of train has",
    ]


def test_where_nothing_is_odd_nothing_is_said(tmp_path):
    triples = [("a", f"r{number}", "b") for number in range(7)]
    graph = make_graph(tmp_path, {"train": triples})
    assert describe_graph(graph).splitlines() == [
        f"{tmp_path}: 2 entities, 2 with text and 0 with images",
        "triples: 7 train, 0 valid, 0 test",
        "relations of train: r0 (1), r1 (1), r2 (1), r3 (1), r4 (1) and 2 more",
    ]
