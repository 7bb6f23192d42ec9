"""How a model reads pictures and texts: one object, from the sources to the evaluation."""

from dataclasses import dataclass

from kgclip_jax.data.images import Interpolation, Resize
from kgclip_jax.data.tokenization.tokenizer_config import Tokenizer
from kgclip_jax.data.tokenization.triple_tokenizer import TripleTokenizer


@dataclass(frozen=True)
class Preprocessing:
    """Everything between a record and the inputs of the towers.

    Attributes:
        image_size: side of the pictures in pixels.
        tokenizer: of texts.
        causal: whether texts may be cut to any length that holds them.
        triples: turns scene graphs into tokens; None for a model without a knowledge encoder.
        resize: for evaluation, see `images.evaluation_transform`.
        interpolation: of that resizing.
    """

    image_size: int
    tokenizer: Tokenizer
    causal: bool = True
    triples: TripleTokenizer | None = None
    resize: Resize = "shortest"
    interpolation: Interpolation = "bicubic"

    def text_length(self, wanted: int) -> int:
        """Return how many tokens texts are cut to; a model whose texts may not be cut takes all."""
        whole = self.tokenizer.context_length
        return min(whole, wanted) if self.causal else whole
