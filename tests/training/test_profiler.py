"""Which steps the profiler traces; one short real trace."""

import jax
import jax.numpy as jnp
import pytest

from kgclip_jax.training.profiler import ProfileSteps
from tests.training.events import make_event


@pytest.fixture
def calls(monkeypatch):
    made = []
    monkeypatch.setattr(jax.profiler, "start_trace", lambda folder: made.append("start"))
    monkeypatch.setattr(jax.profiler, "stop_trace", lambda: made.append("stop"))
    return made


def run(folder, first, last, *, start, stop, log=None):
    told, log = [], [] if log is None else log
    hook = ProfileSteps(folder, first, last, start, told.append)
    for step in range(start + 1, stop + 1):
        log.append(step)
        hook.after_step(make_event(step, {"loss": jnp.array(1.0)}))
    hook.close()
    return told


@pytest.mark.parametrize(
    ("first", "last", "start", "stop", "order"),
    [
        (3, 4, 0, 5, [1, 2, "start", 3, 4, "stop", 5]),
        (1, 2, 0, 3, ["start", 1, 2, "stop", 3]),
        (6, 6, 5, 7, ["start", 6, "stop", 7]),
        (3, 9, 0, 4, [1, 2, "start", 3, 4, "stop"]),  # the run ends before
        (9, 9, 0, 4, [1, 2, 3, 4]),
    ],
)
def test_the_trace_is_of_these_steps(calls, tmp_path, first, last, start, stop, order):
    told = run(tmp_path, first, last, start=start, stop=stop, log=calls)
    assert calls == order
    assert len(told) == ("start" in order)


def test_steps_behind_a_continued_run_are_told_of(calls, tmp_path):
    (line,) = run(tmp_path, 3, 6, start=4, stop=6, log=calls)
    assert line == "config.profile: step 3 is behind this run, which goes on from 4"
    assert calls == [5, 6]


def test_a_trace_lies_where_it_is_looked_for(tmp_path):
    (line,) = run(tmp_path / "profile", 2, 2, start=0, stop=2)
    assert line == f"profile of steps from 2 on: {tmp_path / 'profile'}"
    assert list((tmp_path / "profile").glob("plugins/profile/*/*.xplane.pb"))
