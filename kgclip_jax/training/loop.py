"""The training loop. It knows no objective, no logger and no file: those are hooks."""

import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from types import FrameType, TracebackType

import jax

from kgclip_jax.batch import Batch
from kgclip_jax.data.pipeline import HostBatch
from kgclip_jax.processes import STOP_SIGNALS
from kgclip_jax.training.hooks import Event, Hook
from kgclip_jax.training.loss import Metrics
from kgclip_jax.training.step import TrainState

STEPS_IN_FLIGHT = 2


class Interruption:
    """While entered, `STOP_SIGNALS` ask for a stop; `agreed_stop` says after which step.

    Further ones change nothing, so that what is being saved is finished. One that is ignored by
    then, as SIGHUP is under nohup, stays so.
    """

    def __init__(self) -> None:
        self.requested = False

    def __enter__(self) -> "Interruption":
        heeded = [number for number in STOP_SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
        self._previous = {number: signal.signal(number, self._request) for number in heeded}
        return self

    def __exit__(
        self, kind: type | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _request(self, number: int, frame: FrameType | None) -> None:
        self.requested = True


def train(
    state: TrainState,
    step: Callable[[TrainState, Batch], tuple[TrainState, Metrics]],
    batches: Iterator[HostBatch],
    place: Callable[[Sequence[Batch]], Batch],
    hooks: Sequence[Hook],
    *,
    start: int,
    stop: int,
    interrupted: Callable[[int], bool] = lambda step: False,
) -> TrainState:
    """Take steps `start + 1` to `stop`, or until interrupted, and return the last state.

    Args:
        state: after `start` steps.
        step: the jitted step; it may reuse the memory of the state it is given.
        batches: this host's batches from step `start` on.
        place: puts the parts of a batch onto the devices.
        hooks: called after every step, in order.
        start: steps taken so far.
        stop: steps to have taken in the end.
        interrupted: asked after every step, which it is given.
    """
    in_flight: deque[Metrics] = deque()
    with jax.transfer_guard("disallow"):
        for number in range(start + 1, stop + 1):
            began = time.perf_counter()
            host_batch = next(batches)
            waited = time.perf_counter() - began
            state, metrics = step(state, place(host_batch.parts))
            in_flight.append(metrics)
            if len(in_flight) > STEPS_IN_FLIGHT:
                # Dispatch may not run ahead without bound: batches would pile up on the device.
                jax.block_until_ready(in_flight.popleft())
            event = Event(number, state, metrics, waited, host_batch.counts)
            for hook in hooks:
                hook.after_step(event)
            if interrupted(number):
                break
    return state
