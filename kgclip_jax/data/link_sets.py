"""Held-out triples of a knowledge graph, one end or the relation of which is to be found."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Int

from kgclip_jax.data.entity_views import EntityViews
from kgclip_jax.data.evaluation_sets import Pictures
from kgclip_jax.data.lazy_pictures import EvaluationTransform, LazyPictures
from kgclip_jax.errors import DataError
from kgclip_jax.knowledge.graph.graph_folder import entity_views
from kgclip_jax.knowledge.graph.knowledge_graph import KnowledgeGraph, TripleIds
from kgclip_jax.random import bits_of
from kgclip_jax.ranges import PositiveInt
from kgclip_jax.schema import LocalPath

View = Literal["text", "image", "mixed", "number", "image_text", "text_image"]


End = Literal[0, 1]
HEAD: End = 0
TAIL: End = 1


class LinkSet(NamedTuple):
    """Triples, and how the entities that are candidates for their ends are seen.

    Attributes:
        name: what tables call it.
        head: the name of the head that is asked.
        graph: knows what is true.
        triples: both ends of which are candidates.
        views: of heads and of tails: "text", "image", "mixed" (an image where there is one) or
            "number".
        pictured: entities that are seen as images at either end, in ascending order.
        pictures: of these.
        named: entities that are seen as texts at either end, in ascending order.
        labels: of these.
        entity_length: tokens of labels.
        relation_length: tokens of relations.
    """

    name: str
    head: str
    graph: KnowledgeGraph
    triples: TripleIds
    views: tuple[str, str]
    pictured: Int[np.ndarray, " pictures"]
    pictures: Pictures
    named: Int[np.ndarray, " labels"]
    labels: list[str]
    entity_length: int
    relation_length: int

    def candidates(self, end: End) -> Int[np.ndarray, " entities"]:
        """Return the entities that may stand at an end, in ascending order."""
        match self.views[end]:
            case "number":
                return np.arange(len(self.graph))
            case "text":
                return self.named
            case "image":
                return self.pictured
            case _:
                return np.union1d(self.pictured, self.named)

    def by_image(self, end: End, entities: Int[np.ndarray, " n"]) -> Bool[np.ndarray, " n"]:
        """Tell which entities are seen as images where they stand at an end."""
        view = self.views[end]
        return np.isin(entities, self.pictured) & (view in ("image", "mixed"))


@dataclass(frozen=True, kw_only=True)
class LinksConfig:
    """Triples of a split, as a config names them.

    Attributes:
        kind: tells this set apart from the others.
        graph: folder that `launch/prepare.py graph` writes, absolute or in `data.path`.
        head: name of the head that is asked: a fusion, or an entity table.
        view: entities are seen as texts (their names), as images (the first of each), "mixed": as
            an image where there is one, or known by their number, as an entity table has them;
            "image_text": heads as images and tails as texts, and so on. Triples with an end that
            cannot be seen so are left out.
        split: of the graph.
        triples: ask about so many, chosen by hash; None: all.
        pictures: folder that the graph's images lie in, absolute or in `data.path`; None: where
            they lay when the graph was made.
        entity_length: tokens that names are cut to: as in the stream that the head learnt from.
        relation_length: tokens that relations are cut to, likewise.
    """

    kind: Literal["links"] = "links"
    graph: LocalPath
    head: str = "fusion"
    view: View = "text"
    split: Literal["train", "valid", "test"] = "test"
    triples: PositiveInt | None = None
    pictures: LocalPath | None = None
    entity_length: PositiveInt = 32
    relation_length: PositiveInt = 8

    def open(self, name: str, root: Path, transform: EvaluationTransform) -> LinkSet:
        """Open the graph; no picture is read yet.

        Raises:
            DataError: the graph is missing or malformed, or has no triple to ask about.
        """
        graph = KnowledgeGraph(root / self.graph)
        pictures = root / (graph.contents.pictures if self.pictures is None else self.pictures)
        entities = EntityViews(graph, pictures, gloss_share=0.0)
        head, _, tail = self.view.partition("_")
        views = head, tail or head
        seen = entity_views(graph.entities)
        pictured = np.flatnonzero(seen["image"] & any(v in ("image", "mixed") for v in views))
        named = np.flatnonzero(seen["text"] & any(v in ("text", "mixed") for v in views))
        found = LinkSet(
            name=name,
            head=self.head,
            graph=graph,
            triples=TripleIds(*(np.zeros(0, np.int32) for _ in TripleIds._fields)),
            views=views,
            pictured=pictured,
            pictures=LazyPictures(
                pictured.tolist(),
                partial(entities.first_image, transform=transform),
                size=transform.size,
                name=f"evaluation set {name!r}",
            ),
            named=named,
            labels=graph.labels(named),
            entity_length=self.entity_length,
            relation_length=self.relation_length,
        )
        return found._replace(triples=self._asked(found))

    def _asked(self, found: LinkSet) -> TripleIds:
        """Return the triples whose ends can be seen."""
        split = found.graph.splits[self.split]
        triples = split.triples(np.arange(len(split)))
        here = np.isin(triples.head, found.candidates(HEAD))
        rows = np.flatnonzero(here & np.isin(triples.tail, found.candidates(TAIL)))
        if not len(rows):
            raise DataError(
                f"evaluation set {found.name!r}: {found.graph.folder} has no triple of the split "
                f"{self.split!r} whose ends can be seen so: {self.view}"
            )
        if self.triples is not None:
            order = np.argsort(bits_of(rows, 1, "links", self.split)[:, 0])
            rows = np.sort(rows[order[: self.triples]])
        return TripleIds(*(ids[rows] for ids in triples))
