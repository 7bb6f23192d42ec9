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

View = Literal["text", "image", "mixed", "number"]


class LinkSet(NamedTuple):
    """Triples, and the entities that are candidates for their ends.

    Attributes:
        name: what tables call it.
        head: the name of the head that is asked.
        graph: knows what is true.
        triples: both ends of which are candidates.
        pictured: candidates that are seen as images, in ascending order.
        pictures: of these.
        named: candidates that are seen as texts, in ascending order.
        labels: of these.
        numbered: whether all entities are candidates, and known by their number alone.
        entity_length: tokens of labels.
        relation_length: tokens of relations.
    """

    name: str
    head: str
    graph: KnowledgeGraph
    triples: TripleIds
    pictured: Int[np.ndarray, " pictures"]
    pictures: Pictures
    named: Int[np.ndarray, " labels"]
    labels: list[str]
    numbered: bool
    entity_length: int
    relation_length: int


@dataclass(frozen=True, kw_only=True)
class LinksConfig:
    """Triples of a split, as a config names them.

    Attributes:
        kind: tells this set apart from the others.
        graph: folder that `launch/prepare.py graph` writes, absolute or in `data.path`.
        head: name of the head that is asked: a fusion, or an entity table.
        view: entities are seen as texts (their names), as images (the first of each), "mixed": as
            an image where there is one, or known by their number, as an entity table has them.
            Triples with an end that cannot be seen so are left out.
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
        views = EntityViews(graph, pictures, gloss_share=0.0)
        pictured, named = self._seen(graph)
        triples = self._asked(graph, pictured | named)
        if not len(triples.head):
            raise DataError(
                f"evaluation set {name!r}: {graph.folder} has no triple of the split "
                f"{self.split!r} whose ends can be seen so: {self.view}"
            )
        images = np.flatnonzero(pictured)
        return LinkSet(
            name=name,
            head=self.head,
            graph=graph,
            triples=triples,
            pictured=images,
            pictures=LazyPictures(
                images.tolist(),
                partial(views.first_image, transform=transform),
                size=transform.size,
                name=f"evaluation set {name!r}",
            ),
            named=np.flatnonzero(named),
            labels=[] if self.view == "number" else views.labels(np.flatnonzero(named)),
            numbered=self.view == "number",
            entity_length=self.entity_length,
            relation_length=self.relation_length,
        )

    def _seen(
        self, graph: KnowledgeGraph
    ) -> tuple[Bool[np.ndarray, " entities"], Bool[np.ndarray, " entities"]]:
        """Tell which entities are seen as images, and which as texts, or by number."""
        none = np.zeros(len(graph), bool)
        if self.view == "number":
            return none, ~none
        views = entity_views(graph.entities)
        match self.view:
            case "text":
                return none, views["text"]
            case "image":
                return views["image"], none
            case "mixed":
                return views["image"], views["text"] & ~views["image"]

    def _asked(self, graph: KnowledgeGraph, candidates: Bool[np.ndarray, " entities"]) -> TripleIds:
        split = graph.splits[self.split]
        triples = split.triples(np.arange(len(split)))
        rows = np.flatnonzero(candidates[triples.head] & candidates[triples.tail])
        if self.triples is not None:
            order = np.argsort(bits_of(rows, 1, "links", self.split)[:, 0])
            rows = np.sort(rows[order[: self.triples]])
        return TripleIds(*(ids[rows] for ids in triples))
