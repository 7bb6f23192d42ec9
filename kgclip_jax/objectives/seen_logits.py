"""What is known of a row's choice among the logits seen so far: images choose texts, texts images.

Each class has `start(rows)`, and `update(block, axis)`, which adds the logits of a block; a row
chooses among those along `axis`.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from kgclip_jax.objectives.pairs import ABSENT, Comparison

Axis = int | tuple[int, ...]


class Logits(NamedTuple):
    """Of a block, told apart once for images and captions: XLA keeps each constant that it fills in
    as an array of the block's size.
    """

    every: Float[Array, "..."]
    own: Float[Array, "..."]  # 0 where they are not of a pair
    others: Float[Array, "..."]  # ABSENT where they are, without gradient

    @classmethod
    def of(cls, comparison: Comparison) -> "Logits":
        """Those of images and all texts of a chunk."""
        logits, own = comparison.logits, comparison.own
        others = jnp.where(own, ABSENT, jax.lax.stop_gradient(logits))
        return cls(logits, jnp.where(own, logits, 0), others)

    @property
    def of_captions(self) -> "Logits":
        """Those of images and captions."""
        return Logits(*(logits[..., 0] for logits in self))


class Standing(NamedTuple):
    """Whether rows find their own pair."""

    own: Float[Array, " r"]  # its logit; 0 before it was seen
    rival: Float[Array, " r"]  # the highest of all others, without gradient

    @classmethod
    def start(cls, rows: int) -> "Standing":
        """Before the first block."""
        return cls(jnp.zeros(rows), jnp.full(rows, ABSENT))

    def update(self, block: Logits, axis: Axis) -> "Standing":
        """Add a block."""
        return Standing(
            self.own + jnp.sum(block.own, axis),
            jnp.maximum(self.rival, jnp.max(block.others, axis)),
        )

    @property
    def found(self) -> Bool[Array, " r"]:
        """Whether the own pair beats all others. A tie is a miss: a collapsed model scores 0."""
        return self.own > self.rival

    @property
    def accuracy(self) -> Float[Array, ""]:
        """Share of rows that find their own."""
        return jnp.mean(self.found, dtype=jnp.float32)


class Choice(NamedTuple):
    """A softmax over all logits of a row."""

    log_normaliser: Float[Array, " r"]
    standing: Standing

    @classmethod
    def start(cls, rows: int) -> "Choice":
        """Before the first block."""
        return cls(jnp.full(rows, ABSENT), Standing.start(rows))

    def update(self, block: Logits, axis: Axis) -> "Choice":
        """Add a block."""
        return Choice(
            jnp.logaddexp(self.log_normaliser, jax.nn.logsumexp(block.every, axis)),
            self.standing.update(block, axis),
        )

    @property
    def losses(self) -> Float[Array, " r"]:
        """Cross-entropy of choosing the own pair."""
        return self.log_normaliser - self.standing.own
