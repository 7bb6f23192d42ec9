"""The rows of triples: drawn, each end seen as an image or a text, tokenised, block by block."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import Int, Int64, UInt8

from kgclip_jax.batch import Images, Texts, TripletBlock
from kgclip_jax.data.blocks import abstract_array
from kgclip_jax.data.entity_views import EntityViews, cut_to
from kgclip_jax.data.order import Mixture
from kgclip_jax.data.streams.graph_stream import GraphStream
from kgclip_jax.data.streams.replacement import read_or_replace
from kgclip_jax.data.streams.stream import Counts, Rows
from kgclip_jax.data.streams.units import rows_in
from kgclip_jax.data.tokenization.tokenizer_config import Tokenizer
from kgclip_jax.random import bits_of, generator

ENDS = ("head", "tail")


@dataclass(frozen=True)
class TripletStream(GraphStream):
    """The rows of `TripletsConfig`; implements `kgclip_jax.data.streams.stream.Stream`.

    Attributes:
        views: of the entities of the graph.
        mixtures: the order of the triples of each pair of modalities.
        tokenizer: of all texts.
        entity_length: tokens of an entity's text.
        relation_length: tokens of a relation.
        image_size: in pixels.
        crop_scale: least and largest share of an image that a random crop covers.
    """

    views: EntityViews
    mixtures: Mapping[str, Mixture]
    tokenizer: Tokenizer
    entity_length: int
    relation_length: int
    image_size: int
    crop_scale: tuple[float, float]

    @property
    def rows(self) -> int:
        """Triples of a step."""
        return sum(mixture.rows for mixture in self.mixtures.values())

    @property
    def notes(self) -> Sequence[str]:
        """How large the graph is."""
        train = self.graph.splits["train"]
        views = ", ".join(
            f"{len(train.rows_of[pair]):,} {pair.replace('_', '-')}" for pair in self.mixtures
        )
        return [f"triples: {views}, of {len(train):,} between {len(self.graph):,} entities"]

    def load(self, step: int, units: Sequence[int]) -> Rows:
        """Make some units of rows of a step.

        Raises:
            DataError: too many images in a row were bad.
        """
        counts: Counts = Counter()
        blocks = {pair: self._block(pair, step, units, counts) for pair in self.mixtures}
        return Rows(blocks, counts)

    def _block(self, pair: str, step: int, units: Sequence[int], counts: Counts) -> TripletBlock:
        mixture = self.mixtures[pair]
        rows = rows_in(units, mixture.rows // self.units)
        train = self.graph.splits["train"]
        triples = train.rows_of[pair][mixture.draws(step, rows).record].astype(np.int64)
        positions = step * mixture.rows + rows
        bits = bits_of(positions, 6, self.seed, self.name, pair)
        images = self._images(pair, triples, positions, counts) if "image" in pair else {}
        ids = train.triples(triples)
        ends: dict[str, Images | Texts] = {end: Images(np.stack(images[end])) for end in images}
        for end, entities, drawn in (
            ("head", ids.head, bits[:, :2]),
            ("tail", ids.tail, bits[:, 2:4]),
        ):
            if end not in images:
                texts = self.views.texts(entities, drawn)
                ends[end] = self._texts(texts, self.entity_length, counts)
        phrases = np.array(self.graph.contents.phrases)[ids.relation].tolist()
        return TripletBlock(
            head=ends["head"],
            relation=self._texts(phrases, self.relation_length, counts),
            tail=ends["tail"],
            ids=np.stack(ids, axis=1),
            asks_head=bits[:, 4] >> np.uint64(63) == 1,
            seeds=bits[:, 5:].view(np.uint32),
        )

    def _images(
        self,
        pair: str,
        triples: Int64[np.ndarray, " rows"],
        positions: Int[np.ndarray, " rows"],
        counts: Counts,
    ) -> dict[str, list[UInt8[np.ndarray, "size size 3"]]]:
        """Read the images of the ends that are seen so; a triple whose image is bad is replaced."""
        train = self.graph.splits["train"]
        ends = [end for end, view in zip(ENDS, pair.split("_"), strict=True) if view == "image"]
        images: dict[str, list[np.ndarray]] = {end: [] for end in ends}
        for row, position in enumerate(positions.tolist()):
            rng = generator(self.seed, f"{self.name}/{pair}/image", position)

            def read(triple: int, rng: np.random.Generator = rng) -> list[np.ndarray]:
                ids = train.triples(np.array([triple]))._asdict()
                return [self._image(int(ids[end][0]), rng) for end in ends]

            found, triples[row] = read_or_replace(
                int(triples[row]),
                read,
                partial(rng.choice, train.rows_of[pair]),
                counts,
                name=self.name,
                records=f"images of {self.graph.folder}",
            )
            for end, image in zip(ends, found, strict=True):
                images[end].append(image)
        return images

    def _image(self, entity: int, rng: np.random.Generator) -> UInt8[np.ndarray, "size size 3"]:
        return self.views.image(entity, self.image_size, self.crop_scale, rng)

    def _texts(self, texts: list[str], length: int, counts: Counts) -> Texts:
        tokens, longer = cut_to(self.tokenizer, texts, length)
        counts["text", "fitting"] += len(texts)
        if longer:
            counts["text", "cut to its slot"] += longer
        return Texts((tokens,))

    def abstract(self) -> dict[str, TripletBlock]:
        """Return the blocks of a whole step without their values."""
        return {pair: self._abstract(pair, mixture.rows) for pair, mixture in self.mixtures.items()}

    def _abstract(self, pair: str, rows: int) -> TripletBlock:
        size, length = self.image_size, self.entity_length
        views: dict[str, Images | Texts] = {
            "image": Images(abstract_array((rows, size, size, 3), np.uint8)),
            "text": Texts((abstract_array((rows, length), np.int32),)),
        }
        head, tail = pair.split("_")
        return TripletBlock(
            head=views[head],
            relation=Texts((abstract_array((rows, self.relation_length), np.int32),)),
            tail=views[tail],
            ids=abstract_array((rows, 3), np.int32),
            asks_head=abstract_array((rows,), bool),
            seeds=abstract_array((rows, 2), np.uint32),
        )
