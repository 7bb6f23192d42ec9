"""The best step of a run is found by the rows of its evaluations on the way."""

from dataclasses import replace

import pytest

from kgclip_jax.best_step import best_step
from kgclip_jax.errors import CheckpointError, ConfigError
from kgclip_jax.evaluation.result import Result, to_json
from kgclip_jax.store.workdir import Workdir

RECALL = Result("retrieval", "COCO val", "text-to-image R@1", 0.2, 0.1, 0.3, 100, 0.01)
MEASURE = "COCO val, text-to-image R@1"


@pytest.fixture
def workdir(tmp_path):
    """Of a run whose second and third of four steps are the best; the last two are saved."""
    workdir = Workdir(tmp_path)
    workdir.create()
    for step, value in ((10, 0.2), (20, 0.4), (30, 0.4), (40, 0.3)):
        average = replace(RECALL, value=1 - value, weights="average")
        blind = replace(RECALL, value=step / 100, blind=True)
        workdir.add_evaluation(step, to_json([replace(RECALL, value=value), blind, average]))
    return workdir


def save(workdir, *steps):
    for step in steps:
        (workdir.checkpoints / str(step)).mkdir(parents=True)


def test_the_first_of_the_best_steps_is_found(workdir):
    save(workdir, 10, 20, 30, 40)
    assert best_step(workdir, MEASURE) == 20
    assert best_step(workdir, MEASURE, averaged=True) == 10


def test_a_best_step_that_was_not_kept_is_an_error_and_not_the_second_best(workdir):
    save(workdir, 30, 40)
    with pytest.raises(CheckpointError, match=r"step 20 is the best .* was not kept"):
        best_step(workdir, MEASURE)


def test_an_unknown_measure_is_an_error_that_lists_the_known_ones(workdir):
    with pytest.raises(ConfigError, match=r"no 'R@1'; .*COCO val, text-to-image R@1"):
        best_step(workdir, "R@1")
