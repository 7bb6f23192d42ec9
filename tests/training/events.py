"""What hooks are told, without a loop."""

from collections import Counter

from kgclip_jax.training.hooks import Event
from kgclip_jax.training.step import TrainState


def make_event(step, metrics=None, *, waited=0.0):
    """A step of nothing."""
    return Event(step, TrainState(step, {}, {}, None), metrics or {}, waited, Counter())
