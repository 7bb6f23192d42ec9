"""All that looks at a run and changes nothing in it: hooks beside the steps, writers of numbers."""

from collections.abc import Mapping, Sequence
from functools import partial

from rich.console import Console

from kgclip_jax import config, schema
from kgclip_jax.data.streams.stream import Stream
from kgclip_jax.evaluation.result import Result, metric_label, set_label
from kgclip_jax.store.checkpoints import saved_steps
from kgclip_jax.store.workdir import Workdir
from kgclip_jax.training.collapse import CollapseWatch
from kgclip_jax.training.display import Display
from kgclip_jax.training.goodput import Goodput, told
from kgclip_jax.training.hooks import Hook
from kgclip_jax.training.hosts import is_first
from kgclip_jax.training.input_watch import InputWatch
from kgclip_jax.training.kept_batches import KeptBatches
from kgclip_jax.training.memory import peak_memory
from kgclip_jax.training.metrics import LogMetrics, Throughput
from kgclip_jax.training.placement import Placement
from kgclip_jax.training.profiler import ProfileSteps
from kgclip_jax.training.setup import Setup
from kgclip_jax.training.spikes import SpikeWatch
from kgclip_jax.training.stalls import StallWatch
from kgclip_jax.writers.json_lines import JsonLines
from kgclip_jax.writers.tensorboard import TensorBoard
from kgclip_jax.writers.writer import Forgiving, Numbers, Writer, WriterOpening, Writers


class Observers:
    """The observers of one session of a run. They must be closed.

    Args:
        experiment: its settings.
        workdir: where they write.
        console: where they speak.
        goodput: where the time goes; others say what begins and ends.
        start: steps taken before the session.

    Raises:
        UserError: a writer cannot be opened, or the disk refuses.
    """

    def __init__(
        self,
        experiment: config.Experiment,
        workdir: Workdir,
        console: Console,
        goodput: Goodput,
        start: int,
    ) -> None:
        self._experiment, self._workdir, self._console = experiment, workdir, console
        self._goodput, self._start = goodput, start
        # What all processes know is written by the first of them.
        self._logs = Writers(self._open_logs() if is_first() else [])
        self._metrics = Writers([JsonLines(workdir.metrics)] if is_first() else [])

    def _open_logs(self) -> list[Writer]:
        """Open what takes the numbers of training and evaluations alike."""
        settings, tell = self._experiment, self._console.out
        opening = WriterOpening(self._workdir.root, self._start, schema.to_dict(settings))
        services = [
            Forgiving(name, writer.open(opening), tell) for name, writer in settings.writers.items()
        ]
        return [TensorBoard(self._workdir.root, self._start), *services]

    def hooks(
        self, setup: Setup, streams: Mapping[str, Stream], placement: Placement, stop: int
    ) -> list[Hook]:
        """Return those beside the steps up to `stop`, in the order in which they are called."""
        settings, root, tell = self._experiment, self._workdir.root, self._console.out
        rows = {name: stream.rows for name, stream in streams.items()}
        display = Display(self._console, self._start, stop)
        batches = KeptBatches(root / "spikes", streams, placement.units)
        hooks: list[Hook] = [display, SpikeWatch(settings.objectives, batches.keep, tell)]
        hooks.append(self._log_metrics(setup, rows, display))
        if settings.stall_seconds is not None:
            hooks.append(StallWatch(root, settings.stall_seconds, self._goodput, tell))
        if settings.profile is not None:
            first, last = settings.profile.first, settings.profile.last
            hooks.append(ProfileSteps(root / "profile", first, last, self._start, tell))
        return [*hooks, self._goodput]

    def _log_metrics(self, setup: Setup, rows: Mapping[str, int], display: Display) -> LogMetrics:
        settings, tell = self._experiment, self._console.out
        throughput = Throughput(sum(rows.values()), setup.work, list(setup.mesh.devices.flat))
        collapse = CollapseWatch(
            settings.objectives,
            rows,
            settings.model.max_logit_scale,
            settings.optimizer.schedule.warmup_steps,
            tell,
        )
        waits = InputWatch(settings.data.workers, tell)
        writers: list[Writer] = [self._metrics, self._logs, display, collapse, waits]
        saved = partial(saved_steps, self._workdir.checkpoints)
        return LogMetrics(writers, throughput, settings.log_every, saved)

    def evaluated(self, step: int, results: Sequence[Result]) -> None:
        """Write the rates of an evaluation."""
        self._logs.write(step, rates(results))

    def finish(self, step: int) -> None:
        """Write where the time of the session went, which ends after `step`."""
        seconds, memory = self._goodput.seconds(), peak_memory()
        shares = {f"goodput/{part}": s / sum(seconds.values()) for part, s in seconds.items()}
        self._logs.write(step, shares | memory)
        if is_first():
            self._workdir.add_session(self._start, step, seconds, memory)
        self._console.out(f"time: {told(seconds)}")

    def close(self) -> None:
        """Close the writers."""
        Writers([self._metrics, self._logs]).close()


def rates(results: Sequence[Result]) -> Numbers:
    """Name the rates of an evaluation as writers show them."""
    return {f"evaluation/{set_label(row)}/{metric_label(row)}": row.value for row in results}
