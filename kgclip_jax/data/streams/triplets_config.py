"""Triples of a knowledge graph, as a config names them."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from kgclip_jax.data.entity_views import EntityViews
from kgclip_jax.data.order import Mixture
from kgclip_jax.data.stored_pictures import CropShare
from kgclip_jax.data.streams.stream import StreamOpening
from kgclip_jax.data.streams.triplet_stream import TripletStream
from kgclip_jax.data.streams.units import units_of
from kgclip_jax.errors import ConfigError
from kgclip_jax.knowledge.graph.knowledge_graph import KnowledgeGraph
from kgclip_jax.ranges import NonNegativeInt, PositiveInt, Share
from kgclip_jax.schema import LocalPath, check


@dataclass(frozen=True)
class TripletRows:
    """How many triples of each pair of modalities a step has, over all devices."""

    image_image: NonNegativeInt = 0
    image_text: NonNegativeInt = 0
    text_image: NonNegativeInt = 0
    text_text: NonNegativeInt = 0

    def __post_init__(self) -> None:
        check(any(asdict(self).values()), "rows: at least one pair of modalities needs some")

    def present(self) -> dict[str, int]:
        """Return those that there are."""
        return {pair: rows for pair, rows in asdict(self).items() if rows}


@dataclass(frozen=True, kw_only=True)
class TripletsConfig:
    """Triples (head, relation, tail) of the graph's training split (Knowledge-CLIP, Section 3.1).

    Attributes:
        kind: tells this stream apart from the others.
        graph: folder that `launch/prepare.py graph` writes, absolute or in `data.path`.
        rows: triples in a step, by what stands for head and tail.
        pictures: folder that the graph's images lie in, absolute or in `data.path`; None: where
            they lay when the graph was made.
        entity_length: tokens that texts of entities are cut to; a model whose texts may not be cut
            takes its context length.
        relation_length: tokens that relations are cut to, likewise.
        gloss_share: how often an entity with a name and glosses is told by a gloss.
        crop_scale: least and largest share of an image that a random crop covers.
    """

    kind: Literal["triplets"] = "triplets"
    graph: LocalPath
    rows: TripletRows
    pictures: LocalPath | None = None
    entity_length: PositiveInt = 32
    relation_length: PositiveInt = 8
    gloss_share: Share = 0.5
    crop_scale: tuple[CropShare, CropShare] = (0.9, 1.0)

    def __post_init__(self) -> None:
        low, high = self.crop_scale
        check(low <= high, "crop_scale must ascend")

    def check(self, *, reads_graphs: bool) -> None:
        """Accept any model: of entities, a knowledge encoder reads nothing."""

    def open(self, name: str, opening: StreamOpening) -> TripletStream:
        """Open the graph.

        Raises:
            DataError: the graph is missing or malformed.
            ConfigError: the graph has no triple of a pair of modalities that rows are wanted of.
        """
        root = Path(opening.data.path)
        graph = KnowledgeGraph(root / self.graph)
        pictures = root / (graph.contents.pictures if self.pictures is None else self.pictures)
        wanted = self.rows.present()
        mixtures = {}
        for pair, rows in wanted.items():
            found = len(graph.splits["train"].rows_of[pair])
            if not found:
                raise ConfigError(
                    f"config.streams.{name}.rows.{pair} must be 0: {graph.folder} has no triple "
                    f"between {pair.replace('_', ' and ')}"
                )
            mixtures[pair] = Mixture([found], [1.0], [pair], rows, opening.seed, name)
        return TripletStream(
            name=name,
            graph=graph,
            views=EntityViews(graph, pictures, self.gloss_share),
            mixtures=mixtures,
            units=units_of([*wanted.values()], opening.hosts),
            tokenizer=opening.preprocessing.tokenizer,
            entity_length=opening.preprocessing.text_length(self.entity_length),
            relation_length=opening.preprocessing.text_length(self.relation_length),
            image_size=opening.preprocessing.image_size,
            crop_scale=self.crop_scale,
            seed=opening.seed,
        )
