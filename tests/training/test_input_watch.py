"""Waiting for data: said once, with what to do."""

from kgclip_jax.training.input_watch import InputWatch


def said(waits):
    told = []
    watch = InputWatch(2, told.append)
    for step, wait in enumerate(waits, 1):
        watch.write(step, {} if wait is None else {"input_wait": wait})
    watch.close()
    return told


def test_a_run_that_waits_is_told_once_what_to_try():
    (line,) = said([None, *[0.2] * 20])
    assert line.startswith("step 6: 20% of the time goes by in waiting for batches. Try another")
    assert "config.data.workers (2 now; " in line


def test_single_waits_and_short_ones_are_not_spoken_of():
    assert said([0.9, 0.9, 0.01, 0.02, 0.01, 0.9, 0.01, 0.02]) == []
    assert said([0.05] * 20) == []
