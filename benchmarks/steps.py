"""The package's own training step on given batches of pairs."""

import jax
import numpy as np

from kgclip_jax import config
from kgclip_jax.batch import Batch, Images, Pairs, Texts
from kgclip_jax.training.loss import Metrics
from kgclip_jax.training.placement import Placement
from kgclip_jax.training.setup import set_up


class GivenPairs:
    """A stream that only says what its rows look like: batches are given from elsewhere."""

    name = "captions"
    refusals: dict[str, str] = {}  # noqa: RUF012
    notes = ()

    def __init__(self, pairs: Pairs) -> None:
        self.pairs = pairs
        self.rows = self.unit = len(pairs.ids)

    def abstract(self) -> Pairs:
        """Return pairs like all others."""
        return self.pairs

    def constants(self) -> dict[str, np.ndarray]:
        """Return nothing."""
        return {}


class Steps:
    """A run's step and state on one device."""

    def __init__(self, experiment: config.Experiment, pairs: Pairs) -> None:
        self.streams = {"captions": GivenPairs(pairs)}
        self.setup = set_up(experiment, self.streams, jax.devices()[:1])
        self.placement = Placement(self.streams, self.setup.mesh)
        self.state = self.setup.initialise()

    def place(self, pairs: Pairs) -> Batch:
        """Put a batch onto the device."""
        return self.placement([{"captions": pairs}])

    def step(self, batch: Batch) -> Metrics:
        """Dispatch a step."""
        self.state, metrics = self.setup.step(self.state, batch, self.setup.fixed)
        return metrics

    def wait(self) -> None:
        """Block until all steps are done."""
        jax.block_until_ready(self.state)


def different_pairs(images: np.ndarray, *tokens: np.ndarray) -> Pairs:
    """Return pairs no two of which are alike, without negatives, their texts in slots."""
    ids = np.arange(2 * len(images), dtype=np.int32).reshape(-1, 2)
    return Pairs(Images(images), Texts(tokens), ids, None, None, None)
