"""Stalls: spoken of once each, and never while something else takes its time. No test waits."""

import pytest

from kgclip_jax.training import goodput, stalls
from kgclip_jax.training.goodput import Goodput
from kgclip_jax.training.stalls import StallWatch
from tests.training.events import make_event


class Scene:
    """A watch whose thread sleeps for good, under a clock that is moved by hand."""

    def __init__(self, folder, monkeypatch):
        self.now, self.told, self.step = 100.0, [], 0
        for module in (goodput, stalls):
            monkeypatch.setattr(module.time, "monotonic", lambda: self.now)
        self.goodput = Goodput()
        self.watch = StallWatch(folder, 60.0, self.goodput, self.told.append)

    def take_step(self, seconds):
        if not self.step:
            self.goodput.begin_steps()
        self.now += seconds
        self.step += 1
        self.watch.after_step(make_event(self.step))
        self.goodput.after_step(make_event(self.step))

    def wait(self, seconds):
        self.now += seconds
        self.watch.look()


@pytest.fixture
def scene(tmp_path, monkeypatch):
    made = Scene(tmp_path, monkeypatch)
    yield made
    made.watch.close()


def test_a_stall_is_told_once_with_the_stacks_of_all_threads(scene, tmp_path):
    scene.take_step(500)
    scene.wait(59)
    assert scene.told == []
    scene.wait(2)
    scene.wait(100)
    path = tmp_path / "stall-1.txt"
    assert scene.told == [
        f"no step has ended for 61 s after step 1: {path} tells where every thread stands"
    ]
    text = path.read_text()
    assert text.startswith("no step has ended for 61 s after step 1; ")
    assert "test_a_stall_is_told_once" in text  # this thread
    assert "in _watch" in text  # that of the watch
    scene.take_step(1)
    scene.wait(5000)
    assert [line.partition(":")[0] for line in scene.told[1:]] == [
        "no step has ended for 5000 s after step 2"
    ]


def test_compilation_evaluation_and_checkpoints_take_their_time(scene):
    scene.goodput.begin_steps()
    scene.wait(1000)
    scene.take_step(1)
    with scene.goodput.during("evaluation"):
        scene.wait(1000)
    scene.wait(50)  # the step after it has just begun
    assert scene.told == []
    scene.wait(20)
    assert len(scene.told) == 1


def test_long_steps_are_no_stall(scene):
    scene.take_step(1)
    scene.take_step(50)
    scene.wait(400)
    assert scene.told == []
    scene.wait(101)
    assert len(scene.told) == 1


def test_a_disk_that_refuses_is_told_of(scene, tmp_path):
    (tmp_path / "stall-1.txt").mkdir()
    scene.take_step(1)
    scene.wait(61)
    (line,) = scene.told
    assert "cannot write" in line
    assert line.endswith("Is a directory")


def test_its_thread_looks_by_itself(tmp_path, monkeypatch):
    """At a limit of nothing at all; the test ends when it has looked."""
    spent = Goodput()
    spent.part = "steps"
    watch = StallWatch(tmp_path, 1e-6, spent, lambda line: watch._closed.set())
    watch._step = 1
    watch._thread.join()
    assert (tmp_path / "stall-1.txt").exists()
