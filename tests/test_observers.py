"""What observers write of a session, without any step taken."""

import io
import json
from dataclasses import dataclass, replace
from typing import Literal

import pytest
from rich.console import Console

from kgclip_jax import config
from kgclip_jax.evaluation.result import Result
from kgclip_jax.models.presets import preset
from kgclip_jax.observers import Observers
from kgclip_jax.optimizer_config import Optimizer
from kgclip_jax.store.workdir import Workdir
from kgclip_jax.training.goodput import PARTS, Goodput
from kgclip_jax.writers.writer import WriterOpening
from tests.writers.test_tensorboard import read_events
from tests.writers.test_writer import Broken, Collector

opened = []


@dataclass(frozen=True)
class ToyWriter:
    kind: Literal["toy"] = "toy"
    broken: bool = False

    def open(self, opening: WriterOpening):
        opened.append((opening, Broken() if self.broken else Collector()))
        return opened[-1][1]


@pytest.fixture
def session(tmp_path):
    """A function that observes a session, and returns (workdir, what was said, writers by turn)."""

    def observe(act, *, start=4, **writers):
        opened.clear()
        optimizer = Optimizer(1e-3)
        experiment = config.Experiment(preset("tiny"), optimizer, total_steps=9, writers=writers)
        workdir, said = Workdir(tmp_path), io.StringIO()
        console = Console(file=said, width=200)
        observers = Observers(experiment, workdir, console, Goodput(), start)
        try:
            act(observers)
        finally:
            observers.close()
        return workdir, said.getvalue(), opened

    return observe


ROW = Result("retrieval", "scenes", "R@1", 0.5, 0.4, 0.6, 8, 0.1)
RATES = {"evaluation/retrieval: scenes/R@1": 0.5, "evaluation/retrieval: scenes/R@1, blind": 0.25}


def evaluate(observers):
    observers.evaluated(6, [ROW, replace(ROW, value=0.25, blind=True)])


def test_evaluations_go_to_tensorboard_and_services_but_not_among_metrics(session):
    workdir, _, [(opening, writer)] = session(evaluate, mine=ToyWriter())
    assert (opening.root, opening.start) == (workdir.root, 4)
    assert opening.config["total_steps"] == 9
    assert writer.lines == [(6, RATES)]
    assert writer.closed
    (events,) = workdir.root.glob("events.out.tfevents.*")
    *_, scalars = read_events(events)
    assert scalars.step == 6
    assert {value.tag: value.simple_value for value in scalars.summary.value} == RATES
    assert workdir.metrics.read_text() == ""


def test_a_service_that_fails_ends_nothing(session):
    def twice(observers):
        evaluate(observers)
        evaluate(observers)

    _, said, [_, (_, works)] = session(twice, fails=ToyWriter(broken=True), works=ToyWriter())
    assert said.count("config.writers.fails is sent nothing more (ConnectionError") == 1
    assert len(works.lines) == 2


def test_the_end_tells_where_the_time_went_and_the_memory(session):
    workdir, said, [(_, writer)] = session(lambda observers: observers.finish(9), mine=ToyWriter())
    (line,) = (json.loads(line) for line in workdir.sessions.read_text().splitlines())
    assert (line["start"], line["step"]) == (4, 9)
    assert tuple(line["seconds"]) == PARTS
    assert line["memory"].keys() == {"peak_host_memory"}
    ((step, numbers),) = writer.lines
    assert step == 9
    assert numbers.keys() == {*(f"goodput/{part}" for part in PARTS), "peak_host_memory"}
    assert sum(numbers[f"goodput/{part}"] for part in PARTS) == pytest.approx(1)
    assert said.startswith("time: 0 s: 100% other")


def test_processes_beside_the_first_write_nothing_that_it_writes(session, monkeypatch):
    monkeypatch.setattr("kgclip_jax.observers.is_first", lambda: False)

    def all_of_it(observers):
        evaluate(observers)
        observers.finish(9)

    workdir, _, writers = session(all_of_it, mine=ToyWriter())
    assert writers == []
    assert list(workdir.root.iterdir()) == []
