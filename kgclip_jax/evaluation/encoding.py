"""Embedding texts with each distinct text encoded once."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from kgclip_jax.types import Encoder, Text


def encode_texts(encoder: Encoder, texts: Sequence[Text]) -> Float[np.ndarray, "texts d"]:
    """Embed `texts` in their order; repeated ones cost nothing and get equal embeddings."""
    rows: dict[Text, int] = {}
    places = [rows.setdefault(text, len(rows)) for text in texts]
    return encoder.encode_text(list(rows))[places]
