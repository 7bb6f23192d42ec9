"""The knowledge-enhanced encoder: a transformer over the triples of a text's scene graph.

Structure-CLIP (Huang et al., AAAI 2024), Section "Knowledge-Enhanced Encoder", and its released
code, whose read-out is one of the two here; the paper leaves it open. There is no dropout.
"""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float, Int

from kgclip_jax.batch import Triples
from kgclip_jax.models import spec
from kgclip_jax.models.initial_values import gaussian, gpt2_block
from kgclip_jax.models.layers import LayerNorm, Linear, Projection
from kgclip_jax.models.rows import constrain_table
from kgclip_jax.models.transformer import Execution, PostNormBlock, run_blocks, stack_blocks

BERT_PADDING = 0
"""No gradient reaches its row of the table, as with torch's `padding_idx`; weight decay does."""


class WordPieces(nnx.Module):
    """BERT's embedding layer: words, positions, the one type of token there is here, and a norm."""

    def __init__(
        self, vocabulary: int, length: int, width: int, *, norm_eps: float, rngs: nnx.Rngs
    ) -> None:
        self.embedding = nnx.Param(0.02 * jax.random.normal(rngs.params(), (vocabulary, width)))
        self.positions = nnx.Param(0.02 * jax.random.normal(rngs.params(), (length, width)))
        self.token_type = nnx.Param(0.02 * jax.random.normal(rngs.params(), (width,)))
        self.norm = LayerNorm(width, eps=norm_eps)

    def __call__(self, tokens: Int[Array, "... e"]) -> Float[Array, "... e d"]:
        """Embed tokens."""
        words = constrain_table(self.embedding[...])[tokens]
        padding = (tokens == BERT_PADDING)[..., None]
        words = jnp.where(padding, jax.lax.stop_gradient(words), words)
        return self.norm(words + self.positions[...] + self.token_type[...])


class KnowledgeEncoder(nnx.Module):
    """Elements -> vectors of triples -> transformer without positions -> read-out -> projection."""

    def __init__(
        self,
        shape: spec.KnowledgeEncoder,
        embedding: int,
        execution: Execution,
        *,
        rngs: nnx.Rngs,
    ) -> None:
        width, norm_eps = shape.transformer.width, shape.transformer.norm_eps
        words, length = shape.vocabulary, shape.element_length
        self.pieces = (
            None
            if words is None
            else WordPieces(words, length, width, norm_eps=norm_eps, rngs=rngs)
        )
        if shape.combination == "linear":
            std = (3 * width) ** -0.5
            self.combination = Linear(3 * width, width, init=gaussian(std), rngs=rngs)
        self.blocks = stack_blocks(
            shape.transformer, init=gpt2_block(shape.transformer), kind=PostNormBlock, rngs=rngs
        )
        self.projection = Projection(width, embedding, init=gaussian(width**-0.5), rngs=rngs)
        self.shape = shape
        self.execution = execution

    def __call__(
        self, triples: Triples, table: Float[Array, "vocabulary d_text"]
    ) -> Float[Array, "texts d"]:
        """Encode the scene graphs of texts.

        Triples that exist come first. `table` is the text tower's, for elements of its tokens.

        Returns:
            Vectors of any length, float32; finite, and without meaning for a text without triples.
        """
        tokens, mask = jnp.asarray(triples.tokens), jnp.asarray(triples.mask)
        x = self.combine(self.elements(tokens, table))
        depth, execution = self.shape.transformer.depth, self.execution
        visible = mask[:, None, :] & jnp.ones((1, mask.shape[1], 1), bool)
        y = run_blocks(self.blocks, x, depth=depth, visible=visible, execution=execution)
        return self.projection(self._read_out(y, mask))

    def elements(
        self, tokens: Int[Array, "texts s 3 e"], table: Float[Array, "vocabulary d_text"]
    ) -> Float[Array, "texts s 3 d"]:
        """Embed each subject, relation and object: the average of its tokens."""
        there = (tokens >= 0)[..., None]
        tokens = jnp.maximum(tokens, 0)
        vectors = constrain_table(table)[tokens] if self.pieces is None else self.pieces(tokens)
        return jnp.sum(vectors, axis=-2, where=there) / jnp.maximum(jnp.sum(there, axis=-2), 1)

    def combine(self, elements: Float[Array, "texts s 3 d"]) -> Float[Array, "texts s d"]:
        """Make one vector of a triple; a sum does not tell subject and object apart."""
        head, relation, tail = jnp.moveaxis(elements, 2, 0)
        match self.shape.combination:
            case "difference":
                return head + relation - tail
            case "sum":
                return head + relation + tail
            case "linear":
                texts, slots, _, width = elements.shape
                return self.combination(elements.reshape(-1, 3 * width)).reshape(texts, slots, -1)

    def _read_out(
        self, y: Float[Array, "texts s d"], mask: Bool[Array, "texts s"]
    ) -> Float[Array, "texts d"]:
        if self.shape.readout == "first":
            return y[:, 0]
        there = mask[..., None]
        return jnp.sum(y, axis=1, where=there) / jnp.maximum(jnp.sum(there, axis=1), 1)
