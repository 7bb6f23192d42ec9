"""A run from its settings to its report: builds every part and hands them to the loop."""

from collections.abc import Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import replace
from functools import partial

import jax
from rich.console import Console

from kgclip_jax import config, schema
from kgclip_jax.cache import Cache
from kgclip_jax.convert.hub import with_commit
from kgclip_jax.data.pipeline import host_batches
from kgclip_jax.data.streams.stream import Stream, StreamOpening
from kgclip_jax.errors import CheckpointError, ConfigError, DivergedError, UserError
from kgclip_jax.evaluation.result import Result, to_json
from kgclip_jax.evaluation.tasks import check_sets, evaluate
from kgclip_jax.files import write_json
from kgclip_jax.frozen_teachers import open_teachers
from kgclip_jax.held_out import held_out_sets
from kgclip_jax.inference import ClipEncoder
from kgclip_jax.loading import Start, find_start
from kgclip_jax.model_inputs import preprocessing_for
from kgclip_jax.models.dual_encoder import Params
from kgclip_jax.objectives.walk import Walks
from kgclip_jax.observers import Observers
from kgclip_jax.rehearsal import rehearse
from kgclip_jax.reporting.tables import results_table, to_terminal
from kgclip_jax.run_evaluation import next_steps, record_evaluation, write_run_report
from kgclip_jax.store.checkpoints import Checkpoints, saved_steps
from kgclip_jax.store.description import check_same, describe
from kgclip_jax.store.workdir import Workdir
from kgclip_jax.training import hosts, sharding
from kgclip_jax.training.goodput import Goodput
from kgclip_jax.training.hooks import Event, Every, Hook, Latest, SaveCheckpoints, all_finite
from kgclip_jax.training.loop import Interruption, train
from kgclip_jax.training.metrics import RecordCounts
from kgclip_jax.training.optimizer import changed_rate
from kgclip_jax.training.placement import Placement
from kgclip_jax.training.promises import check_promises, promises
from kgclip_jax.training.setup import Setup, set_up
from kgclip_jax.training.step import TrainState, checkpoint_items, from_checkpoint_items
from kgclip_jax.training.summary import parameter_table

ENCODED_AT_ONCE = 128  # inputs of an evaluation, rounded to what the devices can share


class Run:
    """One run in its workdir; continues from a checkpoint, if there is one.

    Args:
        experiment: the settings.
        workdir: where everything is written.
        console: where progress is shown.
        from_step: go back to this checkpoint instead of the newest; later ones are put aside, and
            the learning rate may change.

    Raises:
        UserError: when settings, data or workdir are at fault; nothing is lost by it.
    """

    def __init__(
        self,
        experiment: config.Experiment,
        workdir: Workdir,
        console: Console,
        *,
        from_step: int | None = None,
    ) -> None:
        if not experiment.objectives:
            raise ConfigError("config.objectives names nothing to train for")
        self.goodput = Goodput()
        self.experiment = experiment
        self.workdir = workdir
        self.console = console
        self.tokenizers = experiment.tokenizers
        self.changed_rate: str | None = None
        self.step = self._first_step(from_step)
        if self.step:
            self._go_on(() if from_step is None else ("optimizer.learning_rate",))
        self.reading = preprocessing_for(experiment.model, self.tokenizers)
        workdir.create()
        steps = saved_steps(workdir.checkpoints)
        self.later = [step for step in steps if step > self.step]
        hosts.check_shared(workdir.root)
        hosts.check_agreement({"config": schema.to_dict(experiment), "steps": steps})
        self.cache = Cache(workdir.cache, console.out, keep=hosts.is_first())
        self.checkpoints = Checkpoints(workdir.checkpoints, experiment.checkpoints.keep)
        self.progress = self.checkpoints.progress(self.step) if self.step else {}
        self.streams = self._open_streams()
        self.rows = {name: stream.rows for name, stream in self.streams.items()}
        execution = experiment.execution.on(jax.default_backend())
        self.promises = promises(self.streams, execution.dtype)
        hosts.check_agreement(self.promises)
        if self.step:
            check_promises(self.progress["promises"], self.promises)
        copies = workdir.root / "teachers"
        teachers = open_teachers(experiment.teachers, copies, self.reading, execution)
        self.setup: Setup = set_up(experiment, self.streams, teachers=teachers)
        self.placement = Placement(self.streams, self.setup.mesh)
        self.description = describe(
            experiment.model,
            self.tokenizers,
            adapters=experiment.tuning.adapters,
            heads=experiment.heads,
            parser=experiment.data.parser,
            execution=experiment.execution,
        )
        self.start = None if self.step else self._find_start()
        self.sets = held_out_sets(experiment, cache=self.cache)
        check_sets(self.sets)

    def _first_step(self, from_step: int | None) -> int:
        """Return the step to continue from, 0 for a fresh run."""
        steps, directory = saved_steps(self.workdir.checkpoints), self.workdir.checkpoints
        if from_step is not None and from_step not in steps:
            known = ", ".join(map(str, steps)) or "none"
            raise CheckpointError(f"--from-step={from_step}: {directory} has: {known}")
        step = from_step if from_step is not None else steps[-1] if steps else 0
        if step > self.experiment.total_steps:
            raise CheckpointError(
                f"{directory} is at step {step} already, beyond config.total_steps "
                f"{self.experiment.total_steps}"
            )
        return step

    def _go_on(self, freed: Sequence[str]) -> None:
        """Take from the workdir what it keeps; refuse to go on as another run."""
        saved = self.workdir.read_config()
        self._started_from(saved.get("init_from"))
        config.check_resumable(saved, self.experiment, also_safe=freed)
        # They are with the run, wherever it was moved.
        self.tokenizers = self.workdir.own_tokenizers(self.tokenizers)
        lengths = saved["total_steps"], self.experiment.total_steps
        self.changed_rate = changed_rate(self.experiment.optimizer, self.step, *lengths)

    def _started_from(self, source: str | None) -> None:
        """Write into the settings which commit of the hub the run started from, if it is of one."""
        init_from = self.experiment.init_from
        if init_from is not None and source is not None:
            init_from = with_commit(init_from, source)
            self.experiment = replace(self.experiment, init_from=init_from)

    def _open_streams(self) -> dict[str, Stream]:
        settings = self.experiment
        mesh = sharding.make_mesh(settings.mesh)
        resolved = self.progress.get("promises", {}).get("streams", {})
        opening = partial(
            StreamOpening,
            settings.data,
            self.reading,
            settings.seed,
            parts=sharding.row_shards(mesh) * settings.execution.microbatches,
            hosts=jax.process_count(),
            cache=self.cache,
        )
        return {
            name: stream.open(name, opening(resolved=resolved.get(name, {}).get("resolved")))
            for name, stream in settings.streams.items()
        }

    def _find_start(self) -> Start | None:
        settings = self.experiment
        start = find_start(
            settings.model,
            self.tokenizers,
            seed=settings.seed,
            init_from=settings.init_from,
            knowledge_init_from=settings.knowledge_init_from,
            resize=settings.resize_positions,
        )
        if start is not None:
            self._started_from(start.init_from)
        return start

    def execute(self) -> bool:
        """Train, evaluate and report. Returns False when a signal ended it early."""
        start, stop = self.step, self.experiment.total_steps
        if start < stop:
            rehearse(self.experiment, self.sets, self.cache)
        state = self._restore() if self.step else self._fresh_state()
        if hosts.is_first():
            write_json(self.workdir.config, schema.to_dict(self.experiment))
            self.workdir.forget_after(start)
        self.console.print(parameter_table(self.setup))
        self._tell_notes()
        observers = Observers(self.experiment, self.workdir, self.console, self.goodput, start)
        with closing(observers):
            if start < stop:
                state = self._train(state, start, stop, observers)
            reached = int(jax.device_get(state.step))
            if reached == stop:
                self._evaluate(stop, state, observers)
            observers.finish(reached)
        if reached < stop:
            return False
        write_run_report(self.workdir, self._encoder(stop, state.params), self.sets, self.streams)
        self.console.out(f"report: {self.workdir.report}")
        for step in next_steps(self.workdir):
            self.console.out(f"{step.text}: {step.command}")
        return True

    def _tell_notes(self) -> None:
        for name, stream in self.streams.items():
            for note in stream.notes:
                self.console.out(f"{name}: {note}")
        for path in self.setup.unread:
            self.console.out(f"batch: no objective reads {path}, so no tower sees it")
        for name, objective in self.experiment.objectives.items():
            if isinstance(objective, Walks):
                rows = self.streams[objective.stream].abstract()
                self.console.out(f"{name}: {objective.walk(rows, self.setup.mesh.shape)}")
        if self.changed_rate is not None:
            self.console.out(self.changed_rate)

    def _restore(self) -> TrainState:
        saved = self.checkpoints.description(self.step)
        check_same(str(self.workdir.checkpoints / str(self.step)), saved, self.description)
        self.console.out(f"continuing from step {self.step} in {self.workdir.root}")
        if self.later:
            self.checkpoints.close()
            if hosts.is_first():
                aside = self.workdir.put_aside(self.later)
                self.console.out(f"later checkpoints lie in {aside} now")
            hosts.wait_for_all("later checkpoints are put aside")
            self.checkpoints = Checkpoints(
                self.workdir.checkpoints, self.experiment.checkpoints.keep
            )
        items = self.checkpoints.restore(self.step, checkpoint_items(self.setup.abstract))
        state = from_checkpoint_items(items)
        if not all_finite(state):
            raise DivergedError(self.step, self.checkpoints.steps())
        return state

    def _fresh_state(self) -> TrainState:
        if hosts.is_first():
            self.workdir.keep_tokenizers(self.tokenizers)
        if self.start is None:
            return self.setup.initialise()
        for line in self.start.origins:
            self.console.out(line)
        return self.setup.start_from(self.start.read())

    def _train(self, state: TrainState, start: int, stop: int, observers: Observers) -> TrainState:
        settings = self.experiment
        counted, rows = self.progress.get("records", ()), sum(self.rows.values())
        records = RecordCounts(counted, rows, settings.data.bad_share, settings.log_every)
        saver = SaveCheckpoints(
            self.checkpoints,
            self.description,
            lambda: {"records": records.to_json(), "promises": self.promises},
            settings.checkpoints.every,
            partial(self.goodput.during, "checkpoint"),
        )
        latest = Latest()
        # A step is remembered with its counts before anything can fail.
        looking = observers.hooks(self.setup, self.streams, self.placement, stop)
        hooks: list[Hook] = [latest, records, *looking, saver]
        if settings.evaluate_every is not None:
            on_the_way = partial(self._evaluate_on_the_way, observers)
            hooks.append(Every(settings.evaluate_every, on_the_way))
        with ExitStack() as stack:
            interruption = stack.enter_context(Interruption())  # until all is closed
            for hook in hooks:
                stack.enter_context(closing(hook))
            units, counted = self.placement.units, self.placement.counted
            workers = settings.data.workers
            batches = host_batches(
                self.streams, units, counted=counted, start=start, workers=workers
            )
            stack.enter_context(closing(batches))
            self.goodput.begin_steps()
            try:
                state = train(
                    state,
                    lambda state, batch: self.setup.step(state, batch, self.setup.fixed),
                    batches,
                    self.placement,
                    hooks,
                    start=start,
                    stop=stop,
                    interrupted=lambda step: hosts.agreed_stop(
                        step, interruption.requested, settings.log_every
                    ),
                )
            except (DivergedError, CheckpointError):  # nothing to save, or nowhere
                raise
            except Exception:
                self._rescue(latest.event(), saver)
                raise
            saver.save(int(jax.device_get(state.step)), state)
        for line in records.summary():
            self.console.out(line)
        return state

    def _rescue(self, newest: Event | None, saver: SaveCheckpoints) -> None:
        """Save the newest step, if it still can be, before an error ends the run."""
        alone = jax.process_count() == 1  # others would wait for this host in vain, or it for them
        if alone and newest is not None:
            with suppress(UserError):  # the error that is on its way says more
                saver.save(newest.step, newest.state)
                self.console.out(f"step {newest.step} is saved")

    def _evaluate_on_the_way(self, observers: Observers, step: int, state: TrainState) -> None:
        if step < self.experiment.total_steps:  # the end is evaluated in any case
            self._evaluate(step, state, observers)

    def _evaluate(self, step: int, state: TrainState, observers: Observers) -> None:
        """Evaluate the parameters and, where there is one, their moving average."""
        if not self.sets:
            return
        jax.block_until_ready(state)  # steps under way are no part of an evaluation
        with self.goodput.during("evaluation"):
            results = self._measure(step, state)
            if hosts.is_first():
                self.workdir.add_evaluation(step, to_json(results))
                record_evaluation(self.workdir, step, results)
        observers.evaluated(step, results)
        self.console.print(to_terminal(results_table(results)))

    def _measure(self, step: int, state: TrainState) -> list[Result]:
        results: list[Result] = []
        for weights, params in {"raw": state.params, "average": state.average}.items():
            if params is not None:
                encoder = self._encoder(step, params)
                results += evaluate(encoder, self.sets, weights=weights)
        return results

    def _encoder(self, step: int, params: Params) -> ClipEncoder:
        parts = sharding.row_shards(self.setup.mesh)
        return ClipEncoder(
            self.setup.model,
            self.setup.model_params(params),
            self.reading,
            step=step,
            batch_size=parts * max(1, ENCODED_AT_ONCE // parts),
            sharding=sharding.batch_sharding(self.setup.mesh),
            heads=self.experiment.heads,
            head_params=params["heads"],
        )
