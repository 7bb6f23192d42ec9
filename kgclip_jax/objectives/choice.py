"""What is known of a row's choice among the logits seen so far: images choose texts, texts images.

Each class has `start(rows)`, and `update(logits, own, axis)`, which adds logits of a block; `own`
tells which of them are of the row's own pair, and `axis` those that a row chooses among.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from kgclip_jax.objectives.pairs import ABSENT

Axis = int | tuple[int, ...]


class Standing(NamedTuple):
    """Whether rows find their own pair."""

    own: Float[Array, " r"]  # its logit; 0 before it was seen
    rival: Float[Array, " r"]  # the highest of all others, without gradient

    @classmethod
    def start(cls, rows: int) -> "Standing":
        """Before the first block."""
        return cls(jnp.zeros(rows), jnp.full(rows, ABSENT))

    def update(
        self, logits: Float[Array, "..."], own: Bool[Array, "..."], axis: Axis
    ) -> "Standing":
        """Add a block."""
        rivals = jax.lax.stop_gradient(jnp.where(own, ABSENT, logits))
        return Standing(
            self.own + jnp.sum(logits, axis, where=own),
            jnp.maximum(self.rival, jnp.max(rivals, axis)),
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

    def update(self, logits: Float[Array, "..."], own: Bool[Array, "..."], axis: Axis) -> "Choice":
        """Add a block."""
        return Choice(
            jnp.logaddexp(self.log_normaliser, jax.nn.logsumexp(logits, axis)),
            self.standing.update(logits, own, axis),
        )

    @property
    def losses(self) -> Float[Array, " r"]:
        """Cross-entropy of choosing the own pair."""
        return self.log_normaliser - self.standing.own
