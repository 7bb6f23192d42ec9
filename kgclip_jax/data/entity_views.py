"""Entities of a knowledge graph as the towers see them: a name or gloss, or one of the images."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from jaxtyping import Float, Int, Int32, UInt8, UInt64

from kgclip_jax.data.images import (
    Box,
    crop,
    decode,
    evaluation_transform,
    random_resized_crop,
)
from kgclip_jax.data.lazy_pictures import EvaluationTransform
from kgclip_jax.data.skips import MISSING_IMAGE
from kgclip_jax.data.tokenization.tokenizer_config import Tokenizer
from kgclip_jax.errors import BadRecord
from kgclip_jax.knowledge.graph.adjacency import below
from kgclip_jax.knowledge.graph.knowledge_graph import KnowledgeGraph

BACKGROUND = (255, 255, 255)  # of drawings that are cut out


@dataclass(frozen=True)
class EntityViews:
    """Chooses a view of entities at each use.

    Attributes:
        graph: of the entities.
        pictures: folder that the files of images start from.
        gloss_share: how often an entity with a name and glosses is told by one of the glosses.
    """

    graph: KnowledgeGraph
    pictures: Path
    gloss_share: float

    def texts(self, entities: Int[np.ndarray, " n"], bits: UInt64[np.ndarray, "n 2"]) -> list[str]:
        """Return the name or one of the glosses of each.

        Args:
            entities: each has one.
            bits: uniform random numbers.
        """
        table = self.graph.entities.select(["name", "glosses"]).take(pa.array(entities))
        names, glosses = table["name"].to_pylist(), table["glosses"].to_pylist()
        chance = _uniform(bits[:, 0])
        picked = below(bits[:, 1], np.array([len(some) for some in glosses])).tolist()
        return [
            some[place] if some and (not name or wants_gloss) else name
            for name, some, place, wants_gloss in zip(
                names, glosses, picked, (chance < self.gloss_share).tolist(), strict=True
            )
        ]

    def first_image(
        self, entity: int, transform: EvaluationTransform
    ) -> UInt8[np.ndarray, "size size 3"]:
        """Read the first image of an entity for evaluation. Raises BadRecord as `image` does."""
        images, box = self._images(entity)
        pixels = decode(read_image(self.pictures / images[0]), background=BACKGROUND)
        return evaluation_transform(pixels if box is None else crop(pixels, box), *transform)

    def image(
        self, entity: int, size: int, scale: tuple[float, float], rng: np.random.Generator
    ) -> UInt8[np.ndarray, "{size} {size} 3"]:
        """Read one of the images of an entity, cropped at random, on white where it is cut out.

        Raises:
            BadRecord: the file is gone, or cannot be decoded.
        """
        images, box = self._images(entity)
        encoded = read_image(self.pictures / images[int(rng.integers(len(images)))])
        return random_resized_crop(encoded, size, rng, scale=scale, box=box, background=BACKGROUND)

    def _images(self, entity: int) -> tuple[list[str], Box | None]:
        """Return the files of an entity's images, and the part of them that shows it."""
        row = self.graph.entities.slice(entity, 1).select(["images", "box"])
        images, box = row["images"][0].as_py(), row["box"][0].as_py()
        left, top, width, height = box or (0, 0, 0, 0)
        return images, None if box is None else Box(top, left, height, width)


def read_image(path: Path) -> bytes:
    """Read the file of an image. Raises BadRecord where it is missing."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadRecord(MISSING_IMAGE, f"{path}: {error.strerror}") from error


def cut_to(
    tokenizer: Tokenizer, texts: list[str], length: int
) -> tuple[Int32[np.ndarray, "n {length}"], int]:
    """Tokenise texts to a length; return how many were too long, which end with the end token."""
    tokens = tokenizer(texts)
    longer = tokenizer.lengths(tokens) > length
    cut = np.ascontiguousarray(tokens[:, :length])
    if tokenizer.end_id is not None:
        cut[longer, -1] = tokenizer.end_id
    return cut, int(np.count_nonzero(longer))


def _uniform(bits: UInt64[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    return (bits >> np.uint64(11)) * 2.0**-53
