"""What a writer of numbers is, and the kinds that a config can ask for."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from kgclip_jax.files import read_text, write_atomically
from kgclip_jax.schema import Registry

_ROOM = "kgclip_jax.writers"
WRITERS = Registry(
    "writer",
    {
        "mlflow": f"{_ROOM}.mlflow_writer:MlflowConfig",
        "wandb": f"{_ROOM}.wandb_writer:WandbConfig",
    },
)

Numbers = dict[str, float]


@runtime_checkable
class Writer(Protocol):
    """Somewhere that numbers go."""

    def write(self, step: int, numbers: Numbers) -> None:
        """Take the numbers of a step."""
        ...

    def close(self) -> None:
        """Called once at the end."""
        ...


@dataclass(frozen=True)
class WriterOpening:
    """What writers are opened with, besides their own settings.

    Attributes:
        root: the workdir.
        start: steps that the run has taken; 0 for a fresh one.
        config: the run's, resolved.
    """

    root: Path
    start: int
    config: Mapping[str, Any]

    def kept(self, name: str, make: Callable[[], str]) -> str:
        """Return what a service calls the run: made once, and kept in a file of the workdir."""
        file = self.root / name
        if not self.start or not file.is_file():
            write_atomically(file, make())
        return read_text(file)


@runtime_checkable
class WriterConfig(Protocol):
    """A frozen dataclass that is a writer's entry in a config."""

    @property
    def kind(self) -> str:
        """Its name in `WRITERS`."""
        ...

    def open(self, opening: WriterOpening) -> Writer:
        """Connect. Raises UserError when what is needed is not installed, or refuses."""
        ...


class Writers:
    """Several writers as one, all of which are closed, even when one of them fails."""

    def __init__(self, writers: Sequence[Writer]) -> None:
        self._writers = writers

    def write(self, step: int, numbers: Numbers) -> None:
        """Give the numbers to each."""
        for writer in self._writers:
            writer.write(step, numbers)

    def close(self) -> None:
        """Close each."""
        with ExitStack() as stack:
            for writer in self._writers:
                stack.callback(writer.close)


class Forgiving:
    """A writer to a service that may fail, which ends no run: it is told once, and left alone then.

    Args:
        name: of its entry in the config.
        writer: to the service.
        tell: says what went wrong.
    """

    def __init__(self, name: str, writer: Writer, tell: Callable[[str], None]) -> None:
        self._name = name
        self._writer = writer
        self._tell = tell
        self._failed = False

    def write(self, step: int, numbers: Numbers) -> None:
        """Hand the numbers on, unless it has failed before."""
        self._try(lambda: self._writer.write(step, numbers))

    def close(self) -> None:
        """Close it, unless it has failed before."""
        self._try(self._writer.close)

    def _try(self, call: Callable[[], None]) -> None:
        if self._failed:
            return
        try:
            call()
        except Exception as error:  # each service has errors of its own
            self._failed = True
            reason = f"{type(error).__name__}: {error}"
            self._tell(f"config.writers.{self._name} is sent nothing more ({reason})")
