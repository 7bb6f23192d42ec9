"""Writers as one, what a service calls a run, and services that fail."""

import pytest

from kgclip_jax.errors import UserError
from kgclip_jax.writers.writer import Forgiving, WriterOpening, Writers


class Collector:
    def __init__(self):
        self.lines, self.closed = [], False

    def write(self, step, numbers):
        self.lines.append((step, numbers))

    def close(self):
        self.closed = True


class Broken(Collector):
    def write(self, step, numbers):
        super().write(step, numbers)
        raise ConnectionError("no route to host")

    def close(self):
        raise UserError("the disk is full")


def test_every_writer_is_closed_when_one_of_them_fails():
    writer = Collector()
    writers = Writers([Broken(), writer, Broken()])
    with pytest.raises(UserError, match="full"):
        writers.close()
    assert writer.closed
    Writers([writer]).write(1, {"loss": 0.5})
    assert writer.lines == [(1, {"loss": 0.5})]


def test_a_service_that_fails_is_told_once_and_left_alone():
    told, service = [], Broken()
    writer = Forgiving("mine", service, told.append)
    for step in (1, 2):
        writer.write(step, {"loss": 0.5})
    writer.close()
    (line,) = told
    assert line == "config.writers.mine is sent nothing more (ConnectionError: no route to host)"
    assert [step for step, _ in service.lines] == [1]


def test_a_service_that_works_is_handed_all():
    service = Collector()
    writer = Forgiving("mine", service, pytest.fail)
    writer.write(1, {"loss": 0.5})
    writer.close()
    assert service.lines == [(1, {"loss": 0.5})]
    assert service.closed


def test_what_a_service_calls_a_run_is_made_once_and_anew_for_a_fresh_run(tmp_path):
    names = iter("abc")

    def kept(start):
        return WriterOpening(tmp_path, start, {}).kept("service_run", lambda: next(names))

    assert [kept(0), kept(4), kept(8), kept(0), kept(4)] == ["a", "a", "a", "b", "b"]
    (tmp_path / "service_run").unlink()
    assert kept(4) == "c"  # switched on later
