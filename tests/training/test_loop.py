"""The loop: order of its parts, where it starts and stops, and what it forbids."""

import os
import signal
from collections import Counter
from contextlib import closing
from itertools import count

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kgclip_jax.data.pipeline import HostBatch
from kgclip_jax.errors import CheckpointError
from kgclip_jax.processes import STOP_SIGNALS
from kgclip_jax.store.checkpoints import Checkpoints
from kgclip_jax.training.hooks import Every, SaveCheckpoints
from kgclip_jax.training.loop import Interruption, train
from kgclip_jax.training.step import TrainState

TORN = ("bad record", "torn")


def make_batches(start=0):
    """Batches that say which step they are for, in two parts; every third one had a bad record."""
    for number in count(start + 1):
        parts = [{"captions": np.full(2, number, np.int32)} for _ in range(2)]
        yield HostBatch(parts, Counter({TORN: 1} if number % 3 == 0 else {}))


def make_state():
    return TrainState(jnp.zeros((), jnp.int32), {"model": {"w": jnp.zeros(())}}, {}, None)


def weight(state):
    return float(state.params["model"]["w"])


@jax.jit
def step(state, batch):
    w = state.params["model"]["w"] + batch["captions"][0]
    return TrainState(state.step + 1, {"model": {"w": w}}, {}, None), {"loss": w}


def place(parts):
    return {"captions": jax.device_put(np.concatenate([part["captions"] for part in parts]))}


class Recorder:
    def __init__(self, name, log):
        self.name, self.log = name, log

    def after_step(self, event):
        self.log.append((self.name, event.step))
        self.event = event

    def close(self):
        self.log.append((self.name, "closed"))


class Store(Checkpoints):
    """Stands for checkpoints: remembers what was saved, and fails when told to."""

    def __init__(self):
        self.saved, self.broken, self.closed = [], False, False

    def save(self, step, items, *, progress, description):
        self.saved.append((step, float(items["model"]["w"]), progress))

    def steps(self):
        return [step for step, _, _ in self.saved]

    def check(self):
        if self.broken:
            raise CheckpointError("the disk is full")

    def close(self):
        self.closed = True


def run(hooks=(), *, start=0, stop=4, **settings):
    return train(
        make_state(), step, make_batches(start), place, hooks, start=start, stop=stop, **settings
    )


def test_hooks_are_called_in_order_after_each_step():
    log = []
    state = run([Recorder("a", log), Recorder("b", log)], stop=3)
    assert log == [("a", 1), ("b", 1), ("a", 2), ("b", 2), ("a", 3), ("b", 3)]
    assert int(state.step) == 3
    assert weight(state) == 1 + 2 + 3


def test_a_resumed_loop_counts_on():
    log = []
    state = run([Recorder("a", log)], start=5, stop=7)
    assert log == [("a", 6), ("a", 7)]
    assert weight(state) == 6 + 7
    assert weight(run(start=7, stop=7)) == 0


def test_an_event_tells_of_its_step():
    recorder = Recorder("a", [])
    run([recorder], stop=3)
    event = recorder.event
    assert (event.step, event.counts) == (3, {TORN: 1})
    assert float(event.metrics["loss"]) == weight(event.state) == 6
    assert 0 <= event.input_seconds < 10


def test_the_loop_stops_after_the_step_during_which_it_was_interrupted():
    log = []
    state = run([Recorder("a", log)], stop=10, interrupted=lambda step: step == 2)
    assert log == [("a", 1), ("a", 2)]
    assert int(state.step) == 2


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_a_signal_asks_for_a_stop_and_a_second_one_changes_nothing(number):
    before = signal.signal(number, signal.default_int_handler)  # it may be ignored, under nohup
    try:
        with Interruption() as interruption:
            assert not interruption.requested
            for _ in range(2):
                os.kill(os.getpid(), number)
                assert interruption.requested
        assert signal.getsignal(number) is signal.default_int_handler
    finally:
        signal.signal(number, before)


def test_a_signal_that_is_ignored_stays_so():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    with Interruption() as interruption:
        os.kill(os.getpid(), signal.SIGHUP)
        assert not interruption.requested
    assert signal.signal(signal.SIGHUP, before) == signal.SIG_IGN


def test_a_signal_during_a_step_saves_that_step():
    store = Store()
    saver = SaveCheckpoints(store, {}, dict, every=100)
    with closing(saver), Interruption() as interruption:
        kill = Every(3, lambda step, state: os.kill(os.getpid(), signal.SIGTERM))
        state = run([kill, saver], stop=10, interrupted=lambda step: interruption.requested)
        saver.save(int(state.step), state)
    assert [(step, w) for step, w, _ in store.saved] == [(3, 6.0)]
    assert store.closed


def test_checkpoints_come_every_so_many_steps_with_position_and_counts():
    store, counts = Store(), {}
    saver = SaveCheckpoints(store, {}, lambda: {"records": dict(counts)}, every=2)
    run([Every(1, lambda step, state: counts.update(torn=step)), saver], stop=5)
    assert store.saved == [
        (2, 3.0, {"data_position": 2, "records": {"torn": 2}}),
        (4, 10.0, {"data_position": 4, "records": {"torn": 4}}),
    ]


def test_a_save_that_failed_ends_the_loop_at_the_next_step():
    store, log = Store(), []
    saver = SaveCheckpoints(store, {}, dict, every=100)
    breaks = Every(2, lambda step, state: setattr(store, "broken", True))
    with pytest.raises(CheckpointError, match="full"):
        run([Recorder("a", log), saver, breaks])
    assert log[-1] == ("a", 3)


def test_an_implicit_transfer_is_an_error():
    with pytest.raises(Exception, match="Disallowed host-to-device transfer"):
        train(make_state(), step, make_batches(), lambda parts: parts[0], [], start=0, stop=1)
    with pytest.raises(Exception, match="Disallowed host-to-device transfer"):
        run([Every(1, lambda step, state: jnp.add(state.step, np.ones(1)))])


def test_batches_are_taken_one_a_step_and_errors_of_the_data_pass_through():
    def torn():
        yield next(make_batches())
        raise OSError("the cable is out")

    log = []
    with pytest.raises(OSError, match="cable"):
        train(make_state(), step, torn(), place, [Recorder("a", log)], start=0, stop=3)
    assert log == [("a", 1)]
