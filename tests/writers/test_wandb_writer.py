"""Numbers to Weights & Biases, by a stub of its library."""

import sys

import pytest

from kgclip_jax.errors import UserError
from kgclip_jax.writers.wandb_writer import WandbConfig
from kgclip_jax.writers.writer import WriterOpening
from tests.writers.stubs import Calls, install


class Refusal(Exception):
    pass


@pytest.fixture
def service(monkeypatch):
    """What `wandb.init` was called with, and the runs that it returned."""
    inits, runs = [], []

    def init(**settings):
        inits.append(settings)
        runs.append(Calls())
        return runs[-1]

    install(monkeypatch, "wandb", init=init, Error=Refusal, Settings=dict)
    return inits, runs


def opening(root, start=0):
    return WriterOpening(root, start, {"seed": 3})


def test_a_run_is_named_configured_and_continued(service, tmp_path):
    inits, _ = service
    for start in (0, 4):
        WandbConfig(project="mine").open(opening(tmp_path / ".", start))
    first, second = inits
    assert (first["project"], first["name"], first["config"]) == (
        "mine",
        tmp_path.name,
        {"seed": 3},
    )
    assert first["resume"] == "allow"
    assert first["id"] == second["id"] == (tmp_path / "wandb_run").read_text()
    WandbConfig().open(opening(tmp_path))
    assert inits[-1]["id"] != first["id"]


def test_steps_may_go_back_since_they_are_an_axis_of_our_own(service, tmp_path):
    writer = WandbConfig().open(opening(tmp_path))
    for step in (8, 5):
        writer.write(step, {"loss": 0.5})
    writer.close()
    (run,) = service[1]
    assert run.of("define_metric") == [(("*",), {"step_metric": "training_step"})]
    assert [arguments[0] for arguments, _ in run.of("log")] == [
        {"training_step": step, "loss": 0.5} for step in (8, 5)
    ]
    assert run.made[-1][0] == "finish"


def test_what_is_missing_or_refused_is_said(service, tmp_path, monkeypatch):
    def refuse(**settings):
        raise Refusal("not logged in")

    sys.modules["wandb"].init = refuse
    with pytest.raises(UserError, match=r"^config\.writers\.wandb: not logged in$"):
        WandbConfig().open(opening(tmp_path))
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(UserError, match=r"config\.writers\.wandb: pip install wandb"):
        WandbConfig().open(opening(tmp_path))
