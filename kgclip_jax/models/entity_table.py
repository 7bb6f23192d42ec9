"""Vectors of entities and relations without names, and how plausible triples of them are.

    TransE     -|h + r - t|               Bordes et al., NeurIPS 2013
    DistMult   sum h r t                  Yang et al., ICLR 2015
    ComplEx    Re sum h r conj(t)         Trouillon et al., ICML 2016
    RotatE     -|h r - t|, |r_i| = 1      Sun et al., ICLR 2019

Complex vectors are halves of real ones: real parts, then imaginary parts. Every scorer turns what
is given of a triple into a query, which is then compared with candidates for the rest.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Bool, Float, Int32

from kgclip_jax.arrays import map_array
from kgclip_jax.errors import DataError
from kgclip_jax.models import spec
from kgclip_jax.models.link_model import LinkRows
from kgclip_jax.models.rows import constrain_table
from kgclip_jax.ranges import PositiveFloat, PositiveInt
from kgclip_jax.schema import LocalPath, check

Scorer = Literal["transe", "distmult", "complex", "rotate"]


class EntityTable(nnx.Module):
    """A row for each entity, a row for each relation."""

    def __init__(self, settings: "EntityTableHead", *, rngs: nnx.Rngs) -> None:
        width, std = settings.width, settings.std

        def table(rows: int, columns: int) -> nnx.Param:
            return nnx.Param(std * jax.random.normal(rngs.params(), (rows, columns)))

        self.entities = table(settings.entities, width)
        if settings.start is not None:
            self.entities = nnx.Param(_started(settings))
        if settings.scorer == "rotate":
            shape = (settings.relations, width // 2)
            phases = jax.random.uniform(rngs.params(), shape, minval=-jnp.pi, maxval=jnp.pi)
            self.relations = nnx.Param(phases)
        else:
            self.relations = table(settings.relations, width)
        self.settings = settings

    def query(
        self, given: Int32[Array, " b"], relation: Int32[Array, " b"], of_head: Bool[Array, " b"]
    ) -> Float[Array, "b d"]:
        """Return what the missing end should be like.

        Args:
            given: the other end.
            relation: between them.
            of_head: whether the head is missing, or else the tail.
        """
        entity = constrain_table(self.entities[...])[given]
        link = constrain_table(self.relations[...])[relation]
        of_head = of_head[:, None]
        match self.settings.scorer:
            case "transe":
                return entity + jnp.where(of_head, -link, link)
            case "distmult":
                return entity * link
            case "complex":
                # Re(h r conj(t)) = Re(h conj(conj(r) t)): the head's query conjugates the relation.
                real, imaginary = jnp.split(link, 2, axis=1)
                return _times(entity, real, jnp.where(of_head, -imaginary, imaginary))
            case "rotate":
                angle = jnp.where(of_head, -link, link)
                return _times(entity, jnp.cos(angle), jnp.sin(angle))

    def cubes(
        self, head: Int32[Array, " b"], relation: Int32[Array, " b"], tail: Int32[Array, " b"]
    ) -> Float[Array, " b"]:
        """Return the sum of the cubes of all that each triple is scored by."""
        entities, relations = self.entities[...], self.relations[...]
        vectors = entities[head], relations[relation], entities[tail]
        return jnp.sum(jnp.abs(jnp.concatenate(vectors, axis=1)) ** 3, axis=1)

    def scores(
        self, query: Float[Array, "b d"], candidates: Float[Array, "b k d"]
    ) -> Float[Array, "b k"]:
        """Return how well each candidate answers its query."""
        query = query[:, None]
        match self.settings.scorer:
            case "transe":
                return -jnp.sum(jnp.abs(query - candidates), axis=-1)
            case "distmult" | "complex":
                return jnp.sum(query * candidates, axis=-1)
            case "rotate":
                return -jnp.sum(_modulus(query - candidates), axis=-1)

    def scores_of_all(
        self, query: Float[Array, "b d"], candidates: Float[Array, "entities d"]
    ) -> Float[Array, "b entities"]:
        """Return how well every candidate answers each query.

        Distances are summed over candidates one query at a time.
        """
        if self.settings.scorer in ("distmult", "complex"):
            return query @ candidates.T

        def of_one(one: Float[Array, " d"]) -> Float[Array, " entities"]:
            return self.scores(one[None], candidates[None])[0]

        return jax.lax.map(jax.checkpoint(of_one), query)

    def entity_vectors(self, rows: LinkRows) -> Float[Array, "b d"]:
        """Return the rows of entities; see `LinkModel`."""
        return self.entities[...][rows.entity]

    def query_vectors(self, rows: LinkRows) -> Float[Array, "b d"]:
        """Return what the missing ends should be like; see `LinkModel`."""
        return self.query(rows.entity, rows.relation, rows.asks_head)


def _started(settings: "EntityTableHead") -> Float[Array, "entities d"]:
    """Return the numbers of a file, read when they are needed and not when they are traced."""
    path, shape = Path(settings.start or ""), (settings.entities, settings.width)
    found = map_array(path)
    if found.shape != shape or not np.issubdtype(found.dtype, np.floating):
        raise DataError(f"{path}: expected {shape} numbers, found {found.shape} of {found.dtype}")

    def read() -> np.ndarray:
        numbers = np.asarray(found, np.float32)
        return settings.std / numbers.std() * numbers

    return jax.pure_callback(read, jax.ShapeDtypeStruct(shape, jnp.float32))


def _times(
    x: Float[Array, "b d"], real: Float[Array, "b half"], imaginary: Float[Array, "b half"]
) -> Float[Array, "b d"]:
    """Multiply complex numbers."""
    a, b = jnp.split(x, 2, axis=-1)
    return jnp.concatenate([a * real - b * imaginary, a * imaginary + b * real], axis=-1)


def _modulus(x: Float[Array, "... d"]) -> Float[Array, "... half"]:
    a, b = jnp.split(x, 2, axis=-1)
    return jnp.sqrt(a * a + b * b + 1e-12)  # the gradient at 0 is 0, not NaN


@dataclass(frozen=True, kw_only=True)
class EntityTableHead:
    """The table as a run configures it.

    Attributes:
        kind: its name in a config.
        scorer: how triples are scored.
        entities: their number: those of the graph.
        relations: likewise.
        width: numbers of each entity; of complex vectors, both parts.
        std: standard deviation of the numbers that entities and relations start from.
        start: a file of NumPy, entities x width, that entities start from, scaled to `std`;
            `launch/prepare.py entity_vectors` makes one of their names. None: random numbers.
    """

    kind: Literal["entity_table"] = "entity_table"
    scorer: Scorer
    entities: PositiveInt
    relations: PositiveInt
    width: PositiveInt = 128
    std: PositiveFloat = 0.1
    start: LocalPath | None = None

    def __post_init__(self) -> None:
        is_complex = self.scorer in ("complex", "rotate")
        check(not is_complex or self.width % 2 == 0, "width must be even: complex numbers have two")

    def build(self, model: spec.DualEncoder, *, rngs: nnx.Rngs) -> EntityTable:
        """Make the module; it has nothing to do with the model beside it.

        Raises:
            DataError: the file to start from is missing, or of another shape.
        """
        del model
        return EntityTable(self, rngs=rngs)
