"""Where the time goes: parts that add up, by a clock of our own."""

from contextlib import suppress

import pytest

from kgclip_jax.training import goodput
from kgclip_jax.training.goodput import Goodput, told
from tests.training.events import make_event


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = 100.0

        def wait(self, seconds):
            self.now += seconds

    made = Clock()
    monkeypatch.setattr(goodput.time, "monotonic", lambda: made.now)
    return made


def test_parts_add_up_to_the_time_and_waits_are_none_of_steps(clock):
    spent = Goodput()
    clock.wait(5)
    spent.begin_steps()
    clock.wait(20)
    spent.after_step(make_event(1, waited=2.0))
    for step in (2, 3):
        clock.wait(4)
        spent.after_step(make_event(step, waited=1.0))
    with suppress(ZeroDivisionError), spent.during("evaluation"):
        clock.wait(7)
        raise ZeroDivisionError
    clock.wait(4)
    with spent.during("checkpoint"):
        clock.wait(1)
    spent.close()
    clock.wait(2)
    assert spent.seconds() == {
        "steps": 2 * (4 - 1) + 4,
        "input": 2 + 2 * 1,
        "compile": 20 - 2,
        "checkpoint": 1,
        "evaluation": 7,
        "other": 5 + 2,
    }
    clock.wait(3)
    assert sum(spent.seconds().values()) == clock.now - 100


def test_it_tells_what_is_under_way_and_since_when(clock):
    spent = Goodput()
    spent.begin_steps()
    assert spent.part == "compile"
    clock.wait(1)
    spent.after_step(make_event(1))
    assert (spent.part, spent.since) == ("steps", 101)
    with spent.during("checkpoint"):
        clock.wait(2)
        assert spent.part == "checkpoint"
    assert (spent.part, spent.since) == ("steps", 103)


def test_a_line_leaves_out_what_is_next_to_nothing():
    seconds = {"steps": 1500.0, "input": 2.0, "compile": 490.0, "checkpoint": 8.0}
    assert told(seconds) == "2,000 s: 75% steps, 24% compile"
