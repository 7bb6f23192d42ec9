"""Drawings of what lies around entities: true edges, each entity once, nothing over another."""

import re

import numpy as np
import pytest

from kgclip_jax.reporting import neighbourhoods as module
from kgclip_jax.reporting.neighbourhoods import Branch, neighbourhoods, surroundings
from tests.knowledge.graph.made_up_graphs import ANIMALS, make_graph, random_edges
from tests.reporting.test_report import Page


@pytest.fixture(scope="module")
def crowd(tmp_path_factory):
    """Many entities around each other."""
    edges = random_edges(0, 60, 4, 400)
    triples = [
        (f"entity {head}", f"relation {relation}", f"entity {tail}")
        for head, relation, tail in zip(edges.head, edges.relation, edges.tail, strict=True)
    ]
    splits = {"train": triples[:300], "test": triples[300:]}
    return make_graph(tmp_path_factory.mktemp("crowd"), splits), splits


def triples_in(graph, tree: Branch):
    """The edges of a tree, as (head, relation, tail)."""
    names = graph.entities["name"].to_pylist()
    for branch in tree.branches:
        ends = names[tree.entity], names[branch.entity]
        words = branch.edge.strip(" \u2190\u2192")
        leads_there = branch.edge.endswith("\u2192")
        yield (ends[0], words, ends[1]) if leads_there else (ends[1], words, ends[0])
        yield from triples_in(graph, branch)


def entities_in(tree: Branch):
    yield tree.entity
    for branch in tree.branches:
        yield from entities_in(branch)


@pytest.mark.parametrize("root", [0, 17, 59])
def test_a_tree_is_of_training_triples_and_has_each_entity_once(crowd, root):
    graph, splits = crowd
    tree = surroundings(graph, root)
    assert set(triples_in(graph, tree)) <= set(splits["train"])
    entities = list(entities_in(tree))
    assert len(set(entities)) == len(entities)
    name = graph.names(np.array([root]))[0]
    near = {end for h, _, t in splits["train"] if name in (h, t) for end in (h, t)} - {name}
    assert len(tree.branches) == min(len(near), 6)
    assert all(len(branch.branches) <= 3 for branch in tree.branches)
    assert any(branch.branches for branch in tree.branches)
    assert tree == surroundings(graph, root)


def test_small_surroundings_are_drawn_whole(tmp_path):
    graph = make_graph(tmp_path)
    tree = surroundings(graph, graph.entities["name"].to_pylist().index("mouse"))
    assert set(triples_in(graph, tree)) == {
        ("cat", "chases", "mouse"),
        ("mouse", "eats", "cheese"),
        ("cat", "is a", "animal"),
        ("dog", "chases", "cat"),
        ("cheese", "is a", "food"),
    }


def test_the_entity_of_most_triples_and_held_out_heads_are_drawn(tmp_path):
    text = "".join(neighbourhoods(make_graph(tmp_path)))
    page = Page(text)
    assert page.classes("tree") == 2
    assert "in 3 training triples, most of all entities" in page.texts
    assert "in 2 training triples; of test: dog \u2013 eats \u2013 food" in page.texts
    for name in ("dog", "cat", "animal", "mouse", "cheese"):
        assert page.texts.count(name) >= 2  # in its box, and whole over it
    assert "chases \u2192" in page.texts
    assert "\u2190 chases" in page.texts


def test_without_held_out_triples_there_is_one_drawing(tmp_path):
    page = Page("".join(neighbourhoods(make_graph(tmp_path, {"train": ANIMALS["train"]}))))
    assert page.classes("tree") == 1


def test_no_box_lies_on_another_and_all_are_within_the_picture(crowd):
    for svg in re.findall(r"<svg.*?</svg>", "".join(neighbourhoods(crowd[0])), re.DOTALL):
        width, height = map(int, re.search(r'viewBox="0 0 (\d+) (\d+)"', svg).groups())
        boxes = [
            tuple(map(int, found))
            for found in re.findall(r'<rect x="(\d+)" y="(\d+)" width="(\d+)" height="(\d+)"', svg)
        ]
        assert len(boxes) == svg.count("<g ") > 7
        for number, (x, y, w, h) in enumerate(boxes):
            assert 0 <= x < x + w <= width
            assert 0 <= y < y + h <= height
            for left, top, *_ in boxes[:number]:
                assert left != x or abs(top - y) >= h


def test_long_names_are_cut_and_told_whole_under_the_mouse(tmp_path):
    long, relation = "a name " * 20, "is very much related to somehow"
    graph = make_graph(tmp_path, {"train": [(long, relation, "b")]})
    page = Page("".join(neighbourhoods(graph)))
    assert f"{long[:27]}\u2026" in page.texts
    assert long in page.texts
    assert f"{relation[:23]}\u2026 \u2192" in page.texts


def test_what_has_no_name_is_called_by_its_gloss_or_key(tmp_path):
    triples = [("", "r", "b"), ("b", "r", "c")]
    graph = make_graph(tmp_path, {"train": triples}, glosses=[["what it is"], [], []])
    assert [module._name(graph, entity) for entity in range(3)] == ["what it is", "b", "c"]


def test_an_entity_that_is_its_own_neighbour_is_drawn_once(tmp_path):
    graph = make_graph(tmp_path, {"train": [("a", "r", "a"), ("a", "s", "b"), ("b", "s", "a")]})
    assert list(entities_in(surroundings(graph, 0))) == [0, 1]
