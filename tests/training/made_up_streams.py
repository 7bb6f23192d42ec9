"""Streams of made-up rows, and steps on them."""

from collections import Counter

import jax
import numpy as np

from kgclip_jax.batch import Images, Pairs, Texts, Triples
from kgclip_jax.data.blocks import concat_blocks
from kgclip_jax.data.streams.stream import Rows
from kgclip_jax.training.placement import Placement
from kgclip_jax.training.setup import set_up


class MadeUpStream:
    """A stream whose units of rows come out of a function of a generator."""

    notes = ()

    def __init__(self, make, *, units=2, name="captions", refusals=None):
        self.name, self.make, self.refusals = name, make, refusals or {}
        self.unit = len(jax.tree.leaves(make(np.random.default_rng()))[0])
        self.rows = units * self.unit

    def load(self, step, units):
        made = [self.make(np.random.default_rng([step, unit])) for unit in units]
        return Rows(concat_blocks(made), Counter())

    def constants(self):
        return {}

    def abstract(self):
        return self.load(0, range(self.rows // self.unit)).blocks

    def fingerprint(self):
        return self.name

    def resolved(self):
        return {}


def made_up_pairs(rng, *, rows=8, n=8, end=49407, k=0, slots=1, triples=None):
    """Pairs of different captions; `triples` are the ids of elements, for a knowledge encoder."""

    def texts(*several):
        tokens = rng.integers(1, end - 1, (rows, *several, n)).astype(np.int32)
        tokens[..., -1] = end
        known = None
        if triples is not None:
            elements = rng.integers(-1, triples, (rows, *several, 3, 3, 4)).astype(np.int32)
            counts = rng.integers(0, 4, (rows, *several, 1))
            known = Triples(elements, np.arange(3) < counts)
        return Texts(tuple(np.split(tokens, slots)), known)

    def ids(*several):
        return rng.integers(2**31, size=(rows, *several)).astype(np.int32)

    return Pairs(
        image=Images(rng.integers(0, 256, (rows, 16, 16, 3), dtype=np.uint8)),
        text=texts(),
        ids=ids(2),
        negatives=texts(k) if k else None,
        negative_mask=rng.random((rows, k)) < 0.7 if k else None,
        negative_ids=ids(k) if k else None,
    )


class Trainer:
    """A set-up with its streams: takes steps."""

    def __init__(self, experiment, streams, devices=None, **more):
        self.streams = {stream.name: stream for stream in streams}
        self.setup = set_up(experiment, self.streams, devices, **more)
        self.place = Placement(self.streams, self.setup.mesh)

    def batch(self, step):
        units = self.place.units
        return self.place(
            [{name: s.load(step, units[name]).blocks for name, s in self.streams.items()}]
        )

    def step(self, state, step):
        """Take a step on the batch of that number."""
        return self.setup.step(state, self.batch(step), self.setup.fixed)

    def place_state(self, state):
        """Return a state that this host holds in full, cut for the devices."""
        shardings = jax.tree.map(lambda leaf: leaf.sharding, self.setup.abstract)
        return jax.device_put(state, shardings, may_alias=False)

    def train(self, steps, state=None):
        """Return the last state and the metrics of each step."""
        state = self.setup.initialise() if state is None else state
        history = []
        for step in range(steps):
            state, metrics = self.step(state, step)
            history.append(jax.device_get(metrics))
        return state, history

    def compiled(self):
        """Compile the step without taking it."""
        return self.setup.step.lower(self.setup.abstract, self.batch(0), self.setup.fixed).compile()
