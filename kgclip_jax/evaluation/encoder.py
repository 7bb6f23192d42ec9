"""What is evaluated: anything that embeds pictures and texts into one space."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, UInt8

from kgclip_jax.batch import Texts
from kgclip_jax.data.evaluation_sets import EvaluationSet
from kgclip_jax.errors import DataError
from kgclip_jax.knowledge.caption import Text
from kgclip_jax.models.heads import Head, RowFunction


@runtime_checkable
class Encoder(Protocol):
    """Embeds pictures and texts into one space; a pair's score is the dot product."""

    def encode_image(self, images: UInt8[np.ndarray, "b size size 3"]) -> Float[np.ndarray, "b d"]:
        """Embed pictures of the encoder's own size."""
        ...

    def encode_text(self, texts: Sequence[Text]) -> Float[np.ndarray, "b d"]:
        """Embed texts, with their scene graphs where the encoder reads them."""
        ...


@runtime_checkable
class HeadReader(Encoder, Protocol):
    """An encoder with what was trained beside it."""

    @property
    def heads(self) -> Mapping[str, Head]:
        """The settings of each head, by name."""
        ...

    def texts(self, texts: Sequence[Text], length: int | None = None) -> Texts:
        """Return texts as the text tower takes them, of a length if one is given."""
        ...

    def read(self, rows: Any, function: RowFunction, constants: Any = None) -> Any:
        """Apply a function of heads to rows; see `kgclip_jax.inference.ClipEncoder.read`."""
        ...


def encode_pictures(
    encoder: Encoder, data: EvaluationSet
) -> tuple[Float[np.ndarray, "pictures d"], Bool[np.ndarray, " pictures"]]:
    """Embed the pictures of a set, batch by batch as they are read, and tell which could be read.

    Raises:
        DataError: none could be read, or too many could not.
    """
    encoded, readable = [], []
    for batch, good in data.pictures.batches():
        encoded.append(encoder.encode_image(batch))
        readable.append(good)
    if not np.any(np.concatenate(readable)):
        raise DataError(f"evaluation set {data.name!r}: none of its pictures can be read")
    return np.concatenate(encoded), np.concatenate(readable)


def encode_texts(encoder: Encoder, texts: Sequence[Text]) -> Float[np.ndarray, "texts d"]:
    """Embed `texts` in their order; repeated ones cost nothing and get equal embeddings."""
    rows: dict[Text, int] = {}
    places = [rows.setdefault(text, len(rows)) for text in texts]
    return encoder.encode_text(list(rows))[places]
