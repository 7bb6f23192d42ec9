"""Numbers to Weights & Biases."""

import uuid
from dataclasses import dataclass
from typing import Any, Literal

from kgclip_jax.errors import UserError
from kgclip_jax.writers.writer import Numbers, WriterOpening

STEP = "training_step"
"""The axis of all numbers. W&B's own only grows, and a run may go back to an earlier checkpoint."""


@dataclass(frozen=True)
class WandbConfig:
    """A run of W&B, which a continued run continues. Its environment variables hold here too.

    Attributes:
        project: where it is listed.
        entity: user or team; None for the default of whoever is logged in.
        name: what it is called there; None for the workdir's name.
    """

    kind: Literal["wandb"] = "wandb"
    project: str = "kgclip_jax"
    entity: str | None = None
    name: str | None = None

    def open(self, opening: WriterOpening) -> "WandbWriter":
        """Start the run, or go on with it. Raises UserError."""
        try:
            import wandb
        except ImportError as error:
            raise UserError("config.writers.wandb: pip install wandb") from error
        try:
            run = wandb.init(
                project=self.project,
                entity=self.entity,
                name=self.name or opening.root.resolve().name,
                id=opening.kept("wandb_run", lambda: uuid.uuid4().hex[:12]),
                resume="allow",
                dir=str(opening.root),
                config=dict(opening.config),
                settings=wandb.Settings(console="off"),  # the progress bar is no log
            )
        except wandb.Error as error:
            raise UserError(f"config.writers.wandb: {error}") from error
        return WandbWriter(run)


class WandbWriter:
    """Writes to a run of W&B, which sends in a process of its own."""

    def __init__(self, run: Any) -> None:
        self._run = run
        run.define_metric("*", step_metric=STEP)

    def write(self, step: int, numbers: Numbers) -> None:
        """Log the numbers of a step."""
        self._run.log({STEP: step, **numbers})

    def close(self) -> None:
        """Wait until all is sent."""
        self._run.finish()
