"""A toy of each kind of part, as a new method would add them: nothing of the product knows them."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from kgclip_jax.batch import Images, Texts
from kgclip_jax.data.blocks import abstract_array, concat_blocks
from kgclip_jax.data.streams.side_tables import TABLES
from kgclip_jax.data.streams.stream import STREAMS, Rows
from kgclip_jax.models.heads import HEADS
from kgclip_jax.models.initial_values import gaussian
from kgclip_jax.models.layers import Linear
from kgclip_jax.objectives.objective import OBJECTIVES, Losses
from kgclip_jax.random import generator


class Triplets(NamedTuple):
    """Pictures with a relation to a text; a block of other texts has rows of its own."""

    head: Any
    tail: Any
    entities: Any  # half as many rows
    relation: Any  # of each row, an index into the stream's constants
    seeds: Any  # of each row, for drop path


UNIT = 8


@dataclass(frozen=True)
class ToyStream:
    kind: Literal["toy"] = "toy"
    rows: int = 16
    length: int = 8
    unread: bool = False

    def check(self, *, reads_graphs):
        pass

    def open(self, name, opening):
        return OpenToyStream(name, self, opening.seed, opening.preprocessing.image_size)


class OpenToyStream:
    unit = UNIT

    def __init__(self, name, settings, seed, size):
        self.name, self.rows, self.settings = name, settings.rows, settings
        self.seed, self.size = seed, size
        self.refusals, self.notes = {}, ()

    def load(self, step, units):
        return Rows(concat_blocks([self._unit(step, unit) for unit in units]), Counter())

    def _unit(self, step, unit):
        rng = generator(self.seed, self.name, step, unit)
        tokens = rng.integers(1, 49406, (2 * UNIT, self.settings.length)).astype(np.int32)
        tokens[:, -1] = 49407
        return Triplets(
            head=Images(rng.integers(0, 256, (UNIT, self.size, self.size, 3), dtype=np.uint8)),
            tail=Texts((tokens[:UNIT],)),
            entities=Texts((tokens[UNIT : UNIT + UNIT // 2],)),
            relation=rng.integers(3, size=UNIT).astype(np.int32),
            seeds=rng.integers(2**32, size=(UNIT, 2), dtype=np.uint32),
        )

    def constants(self):
        return {"relations": np.arange(3, dtype=np.float32)}

    def abstract(self):
        rows, n = self.rows, self.settings.length
        return Triplets(
            head=Images(abstract_array((rows, self.size, self.size, 3), np.uint8)),
            tail=Texts((abstract_array((rows, n), np.int32),)),
            entities=Texts((abstract_array((rows // 2, n), np.int32),)),
            relation=abstract_array((rows,), np.int32),
            seeds=abstract_array((rows, 2), np.uint32),
        )

    def fingerprint(self):
        return f"{self.rows} {self.settings.length}"

    def resolved(self):
        return {}


@dataclass(frozen=True)
class ToyTable:
    """Which record of which epoch it is, and how long its caption."""

    kind: Literal["toy"] = "toy"
    shape = (3,)
    dtype = np.dtype(np.int32)

    def open(self, root, sources):
        return self

    def rows(self, draws, captions):
        return np.array(
            [(d.record, d.epoch, len(text)) for d, text in zip(draws, captions, strict=True)],
            self.dtype,
        )

    def fingerprint(self):
        return "toy"


class Mixer(nnx.Module):
    """Mixes the un-pooled tokens of a picture with a text; drops rows at random."""

    def __init__(self, width, embedding, *, rngs):
        self.tokens = Linear(width, embedding, init=gaussian(0.1), rngs=rngs)
        self.out = Linear(embedding, embedding, init=gaussian(0.1), rngs=rngs)

    def __call__(self, tokens, text, seeds):
        keys = jax.vmap(jax.random.wrap_key_data)(seeds)
        keep = jax.vmap(lambda key: jax.random.bernoulli(key, 0.5))(keys)
        seen = self.tokens(tokens.mean(axis=1).astype(jnp.float32))
        return self.out(jnp.where(keep[:, None], seen, 0) + text)


@dataclass(frozen=True)
class ToyHead:
    kind: Literal["toy"] = "toy"

    def build(self, model, *, rngs):
        return Mixer(model.vision.transformer.width, model.embedding, rngs=rngs)


@dataclass(frozen=True)
class ToyObjective:
    """Pulls mixed rows to their relation, and towards a teacher's view of the text."""

    kind: Literal["toy"] = "toy"
    weight: float = 1.0
    stream: str = "toy"
    heads: tuple[str, ...] = ("mixer",)
    teacher: str | None = None

    def check(self, model, objectives):
        pass

    def embed(self, heads: Mapping[str, Any], rows, taught, context):
        (mixer,) = heads.values()
        mixed = mixer(rows.head.tokens, rows.tail.pooled, rows.seeds)
        wanted = rows.tail.pooled if self.teacher is None else taught[self.teacher].tail.pooled
        return {"mixed": mixed, "wanted": wanted, "relation": rows.relation}

    def loss(self, heads, vectors, context):
        relation = context.constants["relations"][vectors["relation"]]
        distance = jnp.square(vectors["mixed"] - vectors["wanted"]).sum(axis=1)
        loss = jnp.mean(distance * (1 + relation))
        return Losses(loss, {"distance": jnp.mean(distance)})


def register(monkeypatch):
    """Add the toys: one line a kind, as in the product."""
    monkeypatch.setitem(STREAMS.places, "toy", "tests.toys:ToyStream")
    monkeypatch.setitem(TABLES.places, "toy", "tests.toys:ToyTable")
    monkeypatch.setitem(HEADS.places, "toy", "tests.toys:ToyHead")
    monkeypatch.setitem(OBJECTIVES.places, "toy", "tests.toys:ToyObjective")
