"""Numbers of a run: how speed is measured, and how they reach files and the screen."""

import dataclasses
from collections import Counter

import jax
import jax.numpy as jnp
import pytest
from rich.console import Console

from kgclip_jax.batch import Images, Pairs, Texts, Triples
from kgclip_jax.errors import DataError, DivergedError
from kgclip_jax.models import spec
from kgclip_jax.models.flops import (
    Work,
    image_flops,
    knowledge_flops,
    matrix_flops,
    step_work,
    text_flops,
)
from kgclip_jax.models.presets import preset
from kgclip_jax.training import metrics
from kgclip_jax.training.display import Display
from kgclip_jax.training.hooks import Event
from kgclip_jax.training.memory import peak_memory
from kgclip_jax.training.metrics import LogMetrics, RecordCounts, Throughput
from kgclip_jax.training.step import TrainState

MODEL = preset("tiny")
WORK = Work(flops=3_000, text_tokens=128)


def make_event(step, *, loss=None, input_seconds=0.0, counts=()):
    values = {"loss": jnp.array(float(step) if loss is None else loss)}
    state = TrainState(jnp.array(step), {}, {}, None)
    return Event(step, state, values, input_seconds, Counter(dict(counts)))


def logged(writers, *, every, saved=()):
    return LogMetrics(writers, Throughput(16, WORK, jax.devices()), every, lambda: saved)


class Clock:
    def __init__(self, monkeypatch):
        self.now = 100.0
        monkeypatch.setattr(metrics.time, "perf_counter", lambda: self.now)


class Collector:
    def __init__(self):
        self.lines = []

    def write(self, step, numbers):
        self.lines.append((step, numbers))

    def close(self):
        raise AssertionError("it is not for the log to close what others opened")


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


def test_speed_is_work_by_time_since_the_last_reading(clock, monkeypatch):
    monkeypatch.setattr(metrics, "peak_flops", lambda device: 1e6)
    throughput = Throughput(16, WORK, jax.devices()[:4])
    for step in (1, 2):
        throughput.count(make_event(step, input_seconds=0.25))
    clock.now += 2.0
    assert throughput.read() == {
        "pairs_per_second": 16.0,
        "text_tokens_per_second": 128.0,
        "input_wait": 0.25,
        "model_tflops": pytest.approx(3_000 / 1e12),
        "mfu": pytest.approx(3_000 / 4e6),
    }
    throughput.count(make_event(3))
    clock.now += 0.5
    assert throughput.read()["pairs_per_second"] == 32.0


def test_work_is_that_of_the_inputs_which_somebody_reads():
    def pairs(model, triples=None, **others):
        ids = jnp.zeros((16, 2), int)
        image = Images(jnp.zeros((16, 16, 16, 3), jnp.uint8))
        text = Texts((jnp.zeros((8, 8), int), jnp.zeros((8, 32), int)), triples)
        negatives = Texts((jnp.zeros((16, 2, 8), int),), triples)
        batch = {"captions": Pairs(image, text, ids, negatives, None, None)}
        read = {"captions/image", "captions/text"}
        more = {*read, "captions/negatives"}
        return step_work(model, batch, read, **others), step_work(model, batch, more)

    some, more = pairs(MODEL)
    forward = 16 * image_flops(MODEL) + 8 * (text_flops(MODEL, 8) + text_flops(MODEL, 32))
    assert some == (3 * forward, 8 * 8 + 8 * 32)
    assert more == (3 * (forward + 32 * text_flops(MODEL, 8)), 8 * 8 + 8 * 32 + 32 * 8)
    knowledge = spec.KnowledgeEncoder(MODEL.text.transformer)
    model = dataclasses.replace(MODEL, knowledge=knowledge)
    triples = Triples(jnp.zeros(()), jnp.zeros(()))
    assert pairs(model, triples)[1].flops - more.flops == 3 * (16 + 32) * knowledge_flops(model)
    assert pairs(model)[1] == more  # texts without triples
    teachers = [(MODEL, {"captions/image"}), (MODEL, {"captions/text"})]
    assert pairs(MODEL, heads=5, teachers=teachers)[0].flops == 3 * (forward + 5) + forward


def test_matrix_products_are_counted_in_loops_and_nested_functions():
    x, w = jnp.ones((3, 4)), jnp.ones((5, 4, 4))

    @jax.jit
    def blocks(x, w):
        block = jax.checkpoint(lambda x, w: (jnp.einsum("bi,io->bo", x, w) * 2, None))
        return jax.lax.scan(block, x, w)[0]

    def function(x, w):
        return jnp.einsum("bd,cd->bc", blocks(x, w), x) + jnp.sum(x)

    counted = matrix_flops(jax.make_jaxpr(function)(x, w).jaxpr)
    assert counted == 5 * 2 * 3 * 4 * 4 + 2 * 3 * 3 * 4
    fusion = jax.make_jaxpr(lambda x, y: jnp.einsum("bhd,bkd->bhk", x, y))
    both = fusion(jnp.ones((2, 6, 8)), jnp.ones((2, 7, 8)))
    assert matrix_flops(both.jaxpr) == 2 * 2 * 6 * 7 * 8


def test_a_device_of_unknown_peak_has_no_mfu_and_a_reading_of_nothing_no_speed(clock):
    throughput = Throughput(16, WORK, jax.devices())
    clock.now += 5
    assert throughput.read() == {}
    throughput.count(make_event(1))
    clock.now += 1
    numbers = throughput.read()
    assert numbers["pairs_per_second"] == 16  # the five seconds before are not part of it
    assert "mfu" not in numbers


def test_a_step_without_work_for_towers_has_no_share_of_a_peak(clock, monkeypatch):
    monkeypatch.setattr(metrics, "peak_flops", lambda device: 1e6)
    throughput = Throughput(16, WORK._replace(flops=0), jax.devices())
    throughput.count(make_event(1))
    clock.now += 1
    assert throughput.read().keys() == {"pairs_per_second", "text_tokens_per_second", "input_wait"}


class Device:
    def __init__(self, stats):
        self.memory_stats = lambda: stats


def test_memory_is_that_of_the_fullest_device_or_else_of_the_process(monkeypatch):
    assert peak_memory().keys() == {"peak_host_memory"}  # CPUs count nothing
    assert 0.05 < peak_memory()["peak_host_memory"] < 200
    full = [Device({"peak_bytes_in_use": gib * 2**30, "bytes_in_use": 1}) for gib in (2, 3)]
    monkeypatch.setattr(jax, "local_devices", lambda: [*full, Device(None)])
    assert peak_memory() == {"peak_device_memory": 3.0}


def test_metrics_are_written_one_step_late_and_the_last_ones_at_the_end(clock):
    writer = Collector()
    log = logged([writer], every=2)
    written = []
    for step in range(1, 5):
        log.after_step(make_event(step))
        written.append([step for step, _ in writer.lines])
        clock.now += 4.0
    assert written == [[], [], [2], [2]]
    log.close()
    (first, numbers), (second, _) = writer.lines
    assert (first, second) == (2, 4)
    assert numbers["loss"] == 2.0
    assert numbers["pairs_per_second"] == 4.0  # step 1 compiles and does not count


def test_a_first_step_that_is_logged_has_no_speed(clock):
    writer = Collector()
    log = logged([writer], every=10)
    log.after_step(make_event(10))
    log.close()
    ((step, numbers),) = writer.lines
    assert (step, numbers.keys()) == (10, {"loss", "peak_host_memory"})


def test_a_loss_that_is_not_finite_ends_the_run_and_names_the_newest_checkpoint():
    writer = Collector()
    log = logged([writer], every=1, saved=(4, 6))
    log.after_step(make_event(7, loss=float("nan")))
    with pytest.raises(DivergedError, match="at step 7; the checkpoint of step 6 is the newest"):
        log.after_step(make_event(8))
    assert writer.lines == []
    log = logged([writer], every=1)
    log.after_step(make_event(1, loss=float("inf")))
    with pytest.raises(DivergedError, match="none is saved yet"):
        log.close()


def bad(**reasons):
    return {("bad record", reason): count for reason, count in reasons.items()}


def test_records_are_counted_by_reason_over_all_sessions():
    records = RecordCounts([("bad record", "torn", 2), ("text", "cut", 5)], rows=100, limit=0.05)
    records.after_step(make_event(1))
    named = {("bad record", "torn", name): 1 for name in ("a.jpg", "b.jpg")}
    records.after_step(make_event(2, counts=named | bad(empty=1) | {("text", "cut"): 2}))
    assert records.of("bad record") == {"torn": 4, "empty": 1}
    assert records.to_json() == [
        ("bad record", "empty", 1),
        ("bad record", "torn", 4),
        ("text", "cut", 7),
    ]
    assert records.examples == {"torn": "a.jpg"}
    records.close()


def test_a_share_of_bad_records_above_the_limit_stops_the_run():
    records = RecordCounts([], rows=100, limit=0.5)
    records.after_step(make_event(1, counts=bad(torn=100)))  # too few to judge by
    with pytest.raises(DataError, match=r"101 of 200 records .*bad_share \(50%\): 101 x torn"):
        records.after_step(make_event(2, counts=bad(torn=1)))
    seldom = RecordCounts([], rows=100, limit=0.5, every=3)
    seldom.after_step(make_event(2, counts={("bad record", "torn", "a.jpg"): 200}))
    with pytest.raises(DataError, match=r"200 of 300 records .*: 200 x torn \(a\.jpg\)$"):
        seldom.after_step(make_event(3))
    patient = RecordCounts([("bad record", "torn", 499)], rows=100, limit=0.5)
    patient.after_step(make_event(10, counts={**bad(torn=1), ("text", "cut"): 900}))
    with pytest.raises(DataError, match="501 of 1000"):
        patient.after_step(make_event(10, counts=bad(torn=1)))


@pytest.mark.parametrize("terminal", [True, False])
def test_the_display_shows_steps_and_numbers(terminal, tmp_path):
    with (tmp_path / "screen").open("w+") as file:
        console = Console(file=file, force_terminal=terminal, width=120)
        display = Display(console, 0, 10)
        display.write(1, {"loss": 1.25})
        display.after_step(make_event(1))
        display.close()
        file.seek(0)
        assert "loss 1.250" in file.read()
    numbers = {"loss": 1.25, "pairs_per_second": 1234.4, "input_wait": 0.125}
    with (tmp_path / "screen").open("w+") as file:
        display = Display(Console(file=file, force_terminal=terminal, width=120), 0, 10)
        display.write(1, numbers)
        display.after_step(make_event(1))
        display.close()
        file.seek(0)
        shown = file.read()
    assert "loss 1.250  1,234 pairs/s  input wait 12%" in shown
    assert "1/10" in shown
