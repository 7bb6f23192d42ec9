"""An autoencoder of texts through one vector, and the map from other embeddings to that vector.

    encoder    z = norm(W sum_t norm(word_t + position_t) / sqrt(n) + b)
    decoder    a causal transformer over [memory(z), word_1, word_2 ...], which tells the next word
    map        z' = norm(W' e + b'), for an embedding e of any encoder

The encoder is no more than it takes to learn to copy in a minute. All of a text goes through z, of
which `memory` makes a few tokens that stand before the words.
"""

from dataclasses import dataclass

import jax.numpy as jnp
from flax import nnx
from jax.nn import initializers
from jaxtyping import Array, Float, Int32

from kgclip_jax.models import spec
from kgclip_jax.models.attention import causal
from kgclip_jax.models.initial_values import gaussian, gpt2_block
from kgclip_jax.models.layers import LayerNorm, Linear, Projection
from kgclip_jax.models.transformer import UNROLLED, Execution, run_blocks, stack_blocks

_MEMORY = 4  # tokens
_STD = 0.05
_GATES = 0.5  # spread; so much that the order of words is learnt as soon as which there are
_EXECUTION = Execution("float32", remat="none", unroll=UNROLLED)


@dataclass(frozen=True)
class TextAutoencoder:
    """The shape of an autoencoder.

    Attributes:
        transformer: the decoder's blocks; their width is that of the encoder's words too.
        vector: features of z.
        words: number of word ids; 0 is padding.
        length: of the texts, padding included.
    """

    transformer: spec.Transformer
    vector: int
    words: int
    length: int


class TextEncoder(nnx.Module):
    """From the words of a text to z."""

    def __init__(self, shape: TextAutoencoder, *, rngs: nnx.Rngs) -> None:
        width, eps = shape.transformer.width, shape.transformer.norm_eps
        self.embedding = _table(shape.words, width, rngs)
        self.positions = _table(shape.length, width, rngs)
        self.gates = _table(shape.length, width, rngs, std=_GATES)
        self.norm = LayerNorm(width, eps=eps)
        self.map = VectorMap(width, shape.vector, rngs=rngs)

    def __call__(self, ids: Int32[Array, "b n"]) -> Float[Array, "b z"]:
        """Encode texts."""
        there = ids > 0
        words = self.embedding[...][ids] * (1 + self.gates[...])
        x = self.norm(words + self.positions[...])
        total = jnp.sum(x, axis=1, where=there[..., None])
        return self.map(total / jnp.sqrt(there.sum(axis=1, keepdims=True)))


class TextDecoder(nnx.Module):
    """From z and the words so far to the next word."""

    def __init__(self, shape: TextAutoencoder, *, rngs: nnx.Rngs) -> None:
        blocks, width = shape.transformer, shape.transformer.width
        init = gaussian(shape.vector**-0.5)
        self.memory = Linear(shape.vector, _MEMORY * width, init=init, rngs=rngs)
        self.embedding = _table(shape.words, width, rngs)
        self.positions = _table(_MEMORY + shape.length - 1, width, rngs)
        self.blocks = stack_blocks(blocks, init=gpt2_block(blocks), rngs=rngs)
        self.norm = LayerNorm(width, eps=blocks.norm_eps)
        self.next_word = Linear(width, shape.words, init=gaussian(_STD), rngs=rngs)
        self.depth = blocks.depth

    def __call__(
        self, vectors: Float[Array, "b z"], ids: Int32[Array, "b n"]
    ) -> Float[Array, "b n words"]:
        """Return the logits of each word, given z and the words before it."""
        states = self.states(vectors, ids)
        return self.next_word(states.reshape(ids.size, -1)).reshape(*ids.shape, -1)

    def states(
        self, vectors: Float[Array, "b z"], ids: Int32[Array, "b n"]
    ) -> Float[Array, "b n width"]:
        """Return what `next_word` reads each word's logits from."""
        memory = self.memory(vectors).reshape(len(ids), _MEMORY, -1)
        x = jnp.concatenate([memory, self.embedding[...][ids[:, :-1]]], axis=1)
        x = run_blocks(
            self.blocks,
            x + self.positions[...],
            depth=self.depth,
            visible=causal(x.shape[1]),
            execution=_EXECUTION,
        )
        return self.norm(x[:, _MEMORY - 1 :])


class Autoencoder(nnx.Module):
    """Both, to be trained together."""

    def __init__(self, shape: TextAutoencoder, *, rngs: nnx.Rngs) -> None:
        self.encoder = TextEncoder(shape, rngs=rngs)
        self.decoder = TextDecoder(shape, rngs=rngs)

    def __call__(self, ids: Int32[Array, "b n"]) -> Float[Array, "b n words"]:
        """Return the logits of each word, given all of the text through z."""
        return self.decoder(self.encoder(ids), ids)


class VectorMap(nnx.Module):
    """A linear map and a norm: all that is trained between a tested encoder and the decoder."""

    def __init__(self, inputs: int, vector: int, *, rngs: nnx.Rngs) -> None:
        self.linear = Projection(inputs, vector, init=gaussian(inputs**-0.5), rngs=rngs)
        self.norm = LayerNorm(vector, eps=1e-5)

    def __call__(self, embeddings: Float[Array, "b d"]) -> Float[Array, "b z"]:
        """Return z for embeddings whose numbers are about 1 in size."""
        return self.norm(self.linear(embeddings))


def _table(entries: int, width: int, rngs: nnx.Rngs, std: float = _STD) -> nnx.Param:
    return nnx.Param(initializers.normal(std)(rngs.params(), (entries, width)))
