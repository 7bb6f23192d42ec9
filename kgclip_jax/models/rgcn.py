"""A relational graph convolution (R-GCN, Schlichtkrull et al., ESWC 2018) with basis matrices."""

from dataclasses import dataclass
from typing import Literal

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float, Int32

from kgclip_jax.models import spec
from kgclip_jax.models.initial_values import gaussian
from kgclip_jax.models.layers import Linear
from kgclip_jax.models.rows import constrain_rows, constrain_table
from kgclip_jax.ranges import PositiveInt


class GraphConvolution(nnx.Module):
    """One layer: each entity takes up its neighbours' vectors, mapped by the relation between.

    x_i' = W_0 x_i + b + 1/|N_i| sum over (j, r) in N_i of W_r x_j    W_r = sum_b a_rb V_b
    """

    def __init__(self, width: int, relations: int, bases: int, *, rngs: nnx.Rngs) -> None:
        self.self_loop = Linear(width, width, init=gaussian(width**-0.5), rngs=rngs)
        shape = (bases, width, width)
        self.bases = nnx.Param(width**-0.5 * jax.random.normal(rngs.params(), shape))
        shares = jax.random.normal(rngs.params(), (relations, bases))
        self.shares = nnx.Param(bases**-0.5 * shares)

    def __call__(
        self,
        x: Float[Array, "m d"],
        neighbours: Int32[Array, "m k"],
        relations: Int32[Array, "m k"],
        mask: Bool[Array, "m k"],
    ) -> Float[Array, "m d"]:
        """Map all entities; those without edges keep their self-loop alone."""
        met = constrain_rows(constrain_table(x)[neighbours])
        edges = jnp.maximum(mask.sum(axis=1), 1)[:, None, None]
        shares = jnp.where(mask[..., None], self.shares[...][relations], 0) / edges
        # The bases are applied to sums over edges, not to each edge.
        mixed = jnp.einsum("mkd,mkb->mbd", met, shares)
        return self.self_loop(x) + jnp.einsum("mbd,bde->me", mixed, self.bases[...])


class RelationalGraph(nnx.Module):
    """Layers with ReLU between them."""

    def __init__(self, settings: "RgcnHead", model: spec.DualEncoder, *, rngs: nnx.Rngs) -> None:
        width, relations, bases = model.embedding, settings.relations, settings.bases
        self.layers = nnx.List(
            [GraphConvolution(width, relations, bases, rngs=rngs) for _ in range(settings.depth)]
        )
        self.settings = settings

    def __call__(
        self,
        x: Float[Array, "m d"],
        neighbours: Int32[Array, "m k"],
        relations: Int32[Array, "m k"],
        mask: Bool[Array, "m k"],
    ) -> Float[Array, "m d"]:
        """Spread vectors along edges.

        Args:
            x: vectors of entities.
            neighbours: rows that the edges of each lead to.
            relations: of the edges.
            mask: False: there is no edge.
        """
        for number, layer in enumerate(self.layers):
            x = layer(x if number == 0 else jax.nn.relu(x), neighbours, relations, mask)
        return x


@dataclass(frozen=True, kw_only=True)
class RgcnHead:
    """The graph network as a run configures it.

    Attributes:
        kind: its name in a config.
        relations: number of relations: those of the graph.
        depth: layers; as many as the hops of the neighbourhoods.
        bases: matrices that those of all relations are mixed of.
    """

    kind: Literal["rgcn"] = "rgcn"
    relations: PositiveInt
    depth: PositiveInt = 2
    bases: PositiveInt = 4

    def build(self, model: spec.DualEncoder, *, rngs: nnx.Rngs) -> RelationalGraph:
        """Make the module beside a model of this shape."""
        return RelationalGraph(self, model, rngs=rngs)
