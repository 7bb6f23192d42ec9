"""Numbers to an MLflow server, or to the folder or data base that stands for one."""

import re
import time
from dataclasses import dataclass
from typing import Any, Literal

from kgclip_jax.errors import UserError
from kgclip_jax.writers.writer import Numbers, WriterOpening

_REFUSED = re.compile(r"[^\w\-. /]", re.ASCII)  # in names of metrics


@dataclass(frozen=True)
class MlflowConfig:
    """A run of MLflow, which a continued run continues.

    Attributes:
        experiment: which lists it; made if it is not there.
        uri: of the server; None for that of MLFLOW_TRACKING_URI.
        name: what the run is called there; None for the workdir's name.
    """

    kind: Literal["mlflow"] = "mlflow"
    experiment: str = "kgclip_jax"
    uri: str | None = None
    name: str | None = None

    def open(self, opening: WriterOpening) -> "MlflowWriter":
        """Start the run, or go on with it. Raises UserError."""
        try:
            import mlflow
        except ImportError as error:
            raise UserError("config.writers.mlflow: pip install mlflow-skinny") from error
        try:
            client = mlflow.MlflowClient(self.uri)
            run = opening.kept("mlflow_run", lambda: self._create(client, opening))
            client.update_run(run, status="RUNNING")
            client.log_dict(run, dict(opening.config), "config.json")
        except mlflow.MlflowException as error:
            raise UserError(f"config.writers.mlflow: {error}") from error
        return MlflowWriter(mlflow, client, run)

    def _create(self, client: Any, opening: WriterOpening) -> str:
        known = client.get_experiment_by_name(self.experiment)
        number = known.experiment_id if known else client.create_experiment(self.experiment)
        run = client.create_run(number, run_name=self.name or opening.root.resolve().name)
        return str(run.info.run_id)


class MlflowWriter:
    """Writes to a run of MLflow, whose client sends in a thread of its own."""

    def __init__(self, library: Any, client: Any, run: str) -> None:
        self._metric = library.entities.Metric
        self._client = client
        self._run = run
        self._sent: Any = None

    def write(self, step: int, numbers: Numbers) -> None:
        """Log the numbers of a step; what MLflow refuses in their names becomes a hyphen."""
        now = int(1000 * time.time())
        metrics = [
            self._metric(_REFUSED.sub("-", name), value, now, step)
            for name, value in numbers.items()
        ]
        self._sent = self._client.log_batch(self._run, metrics=metrics, synchronous=False)

    def close(self) -> None:
        """Wait for what was sent last, and say that the run is over."""
        if self._sent is not None:
            self._sent.wait()
        self._client.set_terminated(self._run)
