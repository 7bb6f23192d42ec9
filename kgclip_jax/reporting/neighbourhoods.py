"""What lies around some entities of a knowledge graph, drawn as trees from left to right."""

from collections.abc import Iterator, Sequence, Set
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from kgclip_jax.knowledge.graph.adjacency import unpacked
from kgclip_jax.knowledge.graph.knowledge_graph import KnowledgeGraph, Split
from kgclip_jax.reporting.charts import series
from kgclip_jax.reporting.page import Markup, tag

FANOUT = (6, 3)  # branches of the root, and of each of these
HELD_OUT = 2  # triples whose heads are drawn
BOX, GAP, ROW = 190, 165, 28  # pixels: width of an entity and of the way to the next, height
LONGEST_NAME, LONGEST_RELATION = 28, 24  # letters that fit

_READING = (
    "Training triples around the entity that has most, and around heads of held-out triples: up to "
    f"{FANOUT[0]} of the entity, up to {FANOUT[1]} of each neighbour, evenly spaced, each entity "
    "once. Arrows lead from heads to tails."
)


class Branch(NamedTuple):
    """An entity, how the tree leads to it, and where it leads on."""

    entity: int
    edge: str  # the relation, with an arrow; "" at the root
    branches: Sequence["Branch"]

    @property
    def rows(self) -> int:
        """How many leaves it ends in."""
        return sum(branch.rows for branch in self.branches) or 1


def neighbourhoods(graph: KnowledgeGraph) -> list[Markup]:
    """Draw the surroundings of the entity with most training triples, and of held-out heads."""
    cards = []
    for entity, why in _roots(graph).items():
        drawing = _drawing(graph, surroundings(graph, entity))
        header = tag("header", tag("h3", _name(graph, entity)))
        cards.append(tag("figure", header, drawing, tag("figcaption", why), class_="tree card"))
    return [tag("h2", "Around some entities"), tag("p", _READING, class_="soft"), *cards]


def _roots(graph: KnowledgeGraph) -> dict[int, str]:
    """Return the entities to draw, with what to say of each."""
    train = graph.splits["train"]
    degrees = np.diff(train.outgoing.offsets) + np.diff(train.incoming.offsets)
    most = int(np.argmax(degrees))
    roots = {most: f"in {degrees[most]:,} training triples, most of all entities"}
    for name in ("test", "valid"):
        split = graph.splits[name]
        for row in _spread(len(split), HELD_OUT):
            head, relation, tail = (int(ids[0]) for ids in split.triples(np.array([row])))
            told = _name(graph, head), graph.contents.phrases[relation], _name(graph, tail)
            fact = " \u2013 ".join(told)
            roots.setdefault(head, f"in {degrees[head]:,} training triples; of {name}: {fact}")
        if len(split):
            break
    return roots


def surroundings(graph: KnowledgeGraph, root: int) -> Branch:
    """Return the tree of training triples around an entity, breadth first, as wide as FANOUT."""
    train, seen = graph.splits["train"], {root}

    def neighbours(entity: int, most: int) -> list[tuple[int, str]]:
        found = list(_neighbours(train, graph.contents.phrases, entity, most, seen))
        seen.update(neighbour for neighbour, _ in found)
        return found

    near, far = FANOUT
    first = neighbours(root, near)
    branches = [
        Branch(entity, edge, [Branch(*leaf, ()) for leaf in neighbours(entity, far)])
        for entity, edge in first
    ]
    return Branch(root, "", branches)


def _neighbours(
    train: Split, phrases: Sequence[str], entity: int, most: int, seen: Set[int]
) -> Iterator[tuple[int, str]]:
    """Yield some neighbours that are not seen yet, and how edges lead there."""
    edges, outgoing = [], []
    for side in (train.outgoing, train.incoming):
        start, stop = side.offsets[entity : entity + 2]
        edges.append(side.edges[start:stop])
        outgoing.append(np.full(stop - start, side is train.outgoing))
    relations, neighbours = unpacked(np.concatenate(edges))
    _, places = np.unique(neighbours, return_index=True)
    places = np.sort(places[~np.isin(neighbours[places], list(seen))])
    leads_there = np.concatenate(outgoing)
    for place in places[_spread(len(places), most)]:
        words = _cut(phrases[relations[place]], LONGEST_RELATION)
        edge = f"{words} \u2192" if leads_there[place] else f"\u2190 {words}"
        yield int(neighbours[place]), edge


def _spread(count: int, most: int) -> Int[np.ndarray, " some"]:
    """Return evenly spaced places out of `count`, from the first to the last."""
    return np.linspace(0, count - 1, min(count, most)).astype(int)


def _drawing(graph: KnowledgeGraph, tree: Branch) -> Markup:
    width, height = len(FANOUT) * (BOX + GAP) + BOX, tree.rows * ROW
    return tag(
        "svg",
        *_shapes(graph, tree, 0, 0),
        viewBox=f"0 0 {width} {height}",
        role="img",
        aria_label=f"what lies around {_name(graph, tree.entity)}",
    )


def _shapes(graph: KnowledgeGraph, tree: Branch, depth: int, top: int) -> Iterator[Markup]:
    """Yield the ways from an entity, what they lead to, and its box above all, from a row on."""
    left, y = depth * (BOX + GAP), _middle(tree, top)
    row = top
    for branch in tree.branches:
        right, end = left + BOX + GAP, _middle(branch, row)
        bend = left + BOX + GAP // 4
        way = f"M {left + BOX} {y} C {bend} {y} {left + BOX} {end} {bend} {end} H {right}"
        yield tag("path", d=way, class_="line")
        yield tag("text", branch.edge, x=right - 6, y=end - 4, text_anchor="end")
        yield from _shapes(graph, branch, depth + 1, row)
        row += branch.rows
    name = _name(graph, tree.entity)
    shape = {"x": left, "y": y - ROW // 2 + 3, "width": BOX, "height": ROW - 6, "rx": 6}
    words = tag("text", _cut(name, LONGEST_NAME), x=left + BOX // 2, y=y + 4, text_anchor="middle")
    yield tag("g", tag("title", name), tag("rect", **shape), words, class_=series(depth))


def _middle(tree: Branch, top: int) -> int:
    return ROW * top + ROW * tree.rows // 2


def _name(graph: KnowledgeGraph, entity: int) -> str:
    return graph.labels(np.array([entity]))[0]


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}\u2026"
