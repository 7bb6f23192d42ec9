"""Numbers to MLflow, by a stub of its library."""

import sys

import pytest

from kgclip_jax.errors import UserError
from kgclip_jax.writers.mlflow_writer import MlflowConfig
from kgclip_jax.writers.writer import WriterOpening
from tests.writers.stubs import Calls, install, some


class Refusal(Exception):
    pass


@pytest.fixture
def client(monkeypatch):
    """The one client, which knows no experiment."""
    made = Calls(
        create_experiment="7", create_run=some(info=some(run_id="run-1")), log_batch=Calls()
    )
    metric = some(Metric=lambda *parts: parts)
    install(
        monkeypatch,
        "mlflow",
        MlflowClient=lambda uri: made,
        MlflowException=Refusal,
        entities=metric,
    )
    return made


def opening(root, start=0):
    return WriterOpening(root, start, {"seed": 3})


def test_a_run_is_made_once_in_its_experiment_and_continued(client, tmp_path):
    for start in (0, 4):
        MlflowConfig(experiment="mine").open(opening(tmp_path, start))
    assert client.of("create_experiment") == [(("mine",), {})]
    assert client.of("create_run") == [(("7",), {"run_name": tmp_path.name})]
    assert client.of("update_run") == [(("run-1",), {"status": "RUNNING"})] * 2
    assert client.of("log_dict")[0][0] == ("run-1", {"seed": 3}, "config.json")


def test_numbers_go_in_the_background_under_names_that_mlflow_takes(client, tmp_path):
    writer = MlflowConfig().open(opening(tmp_path))
    writer.write(5, {"a/loss": 0.5, "evaluation/retrieval: x (own graphs)/R@1": 0.25})
    writer.close()
    ((run,), named) = client.of("log_batch")[0]
    assert (run, named["synchronous"]) == ("run-1", False)
    names, values, _, steps = zip(*named["metrics"], strict=True)
    assert names == ("a/loss", "evaluation/retrieval- x -own graphs-/R-1")
    assert (values, steps) == ((0.5, 0.25), (5, 5))
    assert client.log_batch().of("wait") == [((), {})]
    assert client.of("set_terminated") == [(("run-1",), {})]


def test_what_is_missing_or_refused_is_said(client, tmp_path, monkeypatch):
    def refuse(uri):
        raise Refusal("no such server")

    sys.modules["mlflow"].MlflowClient = refuse
    with pytest.raises(UserError, match=r"^config\.writers\.mlflow: no such server$"):
        MlflowConfig().open(opening(tmp_path))
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(UserError, match=r"config\.writers\.mlflow: pip install mlflow-skinny"):
        MlflowConfig().open(opening(tmp_path))
