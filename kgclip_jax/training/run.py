"""A run from its settings to its report: builds every part and hands them to the loop."""

from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import jax
from rich.console import Console

from kgclip_jax import config, schema
from kgclip_jax.data.pipeline import Batches, summarise, training_batches
from kgclip_jax.data.texts import TextMaker, count_vocabulary
from kgclip_jax.data.tokenization.settings import TokenizerSettings, make_tokenizer
from kgclip_jax.data.triples import triple_tokenizer
from kgclip_jax.errors import CheckpointError, ConfigError
from kgclip_jax.evaluation.result import render_table
from kgclip_jax.evaluation.tasks import check_sets, evaluate
from kgclip_jax.inference import ClipEncoder
from kgclip_jax.knowledge.hierarchy import read_hierarchy
from kgclip_jax.knowledge.negatives import NegativeSettings
from kgclip_jax.knowledge.vocabulary import Vocabulary
from kgclip_jax.loading import own_tokenizers
from kgclip_jax.sources import training_sources
from kgclip_jax.training import sharding
from kgclip_jax.training.checkpoints import Checkpoints, describe, saved_steps
from kgclip_jax.training.display import Display
from kgclip_jax.training.hooks import Every, Hook, SaveCheckpoints
from kgclip_jax.training.loop import Interruption, train
from kgclip_jax.training.metrics import (
    BadRecords,
    JsonLines,
    LogMetrics,
    NegativesMade,
    TensorBoard,
    Throughput,
)
from kgclip_jax.training.outcome import (
    held_out_sets,
    next_steps,
    record_evaluation,
    write_run_report,
)
from kgclip_jax.training.setup import Setup, set_up
from kgclip_jax.training.start import find_start
from kgclip_jax.training.step import TrainState
from kgclip_jax.training.summary import parameter_table
from kgclip_jax.workdir import Workdir, write_json

ENCODED_AT_ONCE = 128  # inputs of an evaluation, rounded to what the devices can share


class Run:
    """One run in its workdir; continues from the newest checkpoint, if there is one.

    Args:
        experiment: the settings.
        workdir: where everything is written.
        console: where progress is shown.

    Raises:
        UserError: when settings, data or workdir are at fault; nothing is lost by it.
    """

    def __init__(self, experiment: config.Experiment, workdir: Workdir, console: Console) -> None:
        self.experiment = experiment
        self.workdir = workdir
        self.console = console
        self.continues = bool(saved_steps(workdir.checkpoints))
        if self.continues:
            config.check_resumable(workdir.read_config(), experiment)
        self.setup: Setup = set_up(experiment)
        text, settings, elements = experiment.model.text, *self._tokenizer_settings()
        self.tokenizer = make_tokenizer(settings, text.context_length)
        config.check_tokenizer(text, self.tokenizer)
        self.triples = triple_tokenizer(experiment.model.knowledge, settings, elements)
        if not experiment.data.sources:
            raise ConfigError("config.data.sources names no source to train on")
        self.sources = training_sources(experiment.data, experiment.model.vision.image_size)
        self.start = None if self.continues else find_start(experiment, self.tokenizer)
        workdir.create()
        pieces = None if elements is None or self.triples is None else self.triples.tokenizer
        self.checkpoints = Checkpoints(
            workdir.checkpoints,
            describe(
                experiment.model,
                self.tokenizer.fingerprint,
                None if pieces is None else pieces.fingerprint,
            ),
            experiment.checkpoints.keep,
        )
        self.sets = held_out_sets(experiment)
        check_sets(self.sets)

    def execute(self) -> bool:
        """Train, evaluate and report. Returns False when a signal ended it early."""
        state, progress = self._restore_or_initialise()
        start, stop = int(progress["data_position"]), self.experiment.total_steps
        if not self.continues:
            self._keep_tokenizers()
        write_json(self.workdir.config, schema.to_dict(self.experiment))
        self.workdir.forget_metrics_after(start)
        self.console.print(parameter_table(self.setup))
        if start < stop:
            state, finished = self._train(state, progress, start, stop)
            if not finished:
                return False
        self._evaluate(stop, state)
        write_run_report(self.workdir, self._encoder(stop, state), self.sets)
        self.console.out(f"report: {self.workdir.report}")
        for step in next_steps(self.workdir):
            self.console.out(f"{step.text}: {step.command}")
        return True

    def _tokenizer_settings(self) -> tuple[TokenizerSettings, TokenizerSettings | None]:
        """A run that continues has its tokenizers with it, wherever it was moved."""
        if self.continues:
            return own_tokenizers(self.experiment, self.workdir)
        return self.experiment.tokenizer, self.experiment.element_tokenizer

    def _keep_tokenizers(self) -> None:
        self.workdir.keep_tokenizer(self.experiment.tokenizer)
        if self.experiment.element_tokenizer is not None:
            self.workdir.keep_tokenizer(self.experiment.element_tokenizer, "element_tokenizer")

    def _restore_or_initialise(self) -> tuple[TrainState, dict[str, Any]]:
        steps = saved_steps(self.workdir.checkpoints)
        if not steps:
            return self._fresh_state(), {"data_position": 0, "bad_records": {}}
        if steps[-1] > self.experiment.total_steps:
            raise CheckpointError(
                f"{self.workdir.checkpoints} is at step {steps[-1]} already, beyond "
                f"config.total_steps {self.experiment.total_steps}"
            )
        self.console.out(f"continuing from step {steps[-1]} in {self.workdir.root}")
        return self.checkpoints.restore(steps[-1], self.setup.abstract)

    def _fresh_state(self) -> TrainState:
        if self.start is None:
            return self.setup.initialise()
        for line in self.start.origins:
            self.console.out(line)
        return self.setup.adopt(self.start.read(self.setup.model))

    def _train(
        self, state: TrainState, progress: dict[str, Any], start: int, stop: int
    ) -> tuple[TrainState, bool]:
        bad_records = BadRecords(
            progress["bad_records"], self.experiment.batch_size, self.experiment.data.bad_share
        )
        saver = SaveCheckpoints(
            self.checkpoints, bad_records.counts, self.experiment.checkpoints.every
        )
        negatives = NegativesMade()
        hooks = [*self._observers(start, stop), bad_records, negatives, saver]
        if (
            self.experiment.evaluate_every is not None
        ):  # after the saver, lest its failure lose work
            hooks.append(Every(self.experiment.evaluate_every, self._evaluate_on_the_way))
        with ExitStack() as stack:
            for hook in hooks:
                stack.enter_context(closing(hook))
            batches = stack.enter_context(closing(self._batches(start)))
            interruption = stack.enter_context(Interruption())
            state = train(
                state,
                self.setup.step,
                batches,
                self.setup.place,
                hooks,
                start=start,
                stop=stop,
                interrupted=lambda: interruption.requested,
            )
            reached = int(jax.device_get(state.step))
            saver.save(reached, state)
        for (kind, outcome), count in negatives.counts.most_common():
            self.console.out(f"negatives: {count:,} x {kind}: {outcome}")
        if bad_records.counts:
            total = bad_records.counts.total()
            self.console.out(f"replaced {total} bad records: {summarise(bad_records.counts)}")
        return state, reached == stop

    def _observers(self, start: int, stop: int) -> list[Hook]:
        """Hooks that only look: the progress bar and metrics."""
        settings = self.experiment
        json_lines = JsonLines(self.workdir.metrics)
        tensorboard = TensorBoard(self.workdir.root, start)
        display = Display(self.console, start, stop)
        devices = list(self.setup.mesh.devices.flat)
        wanted = settings.data.negatives
        count = 0 if wanted is None else wanted.count
        throughput = Throughput(settings.model, settings.batch_size, devices, count)
        log = LogMetrics([json_lines, tensorboard, display], throughput, settings.log_every)
        return [display, log]

    def _batches(self, start: int) -> Batches:
        settings = self.experiment
        wanted = settings.data.negatives
        vocabulary = None
        if wanted is not None and wanted.needs_vocabulary:
            vocabulary = self._vocabulary(wanted)
        return training_batches(
            TextMaker(
                tuple(self.sources),
                self.tokenizer,
                settings.seed,
                settings=wanted,
                vocabulary=vocabulary,
                triples=self.triples,
            ),
            [source.weight for source in settings.data.sources.values()],
            batch_size=settings.batch_size,
            buckets=settings.data.text_buckets,
            start=start,
            workers=settings.data.workers,
            host=jax.process_index(),
            hosts=jax.process_count(),
        )

    def _vocabulary(self, wanted: NegativeSettings) -> Vocabulary:
        data = self.experiment.data
        hierarchy = None
        if wanted.hierarchy is not None:
            hierarchy = read_hierarchy(Path(data.path) / wanted.hierarchy)
        vocabulary = count_vocabulary(self.sources, self.experiment.seed, hierarchy)
        self.console.out(
            f"negatives: {len(vocabulary):,} words to put in the place of others, "
            f"{vocabulary.with_siblings:,} names with siblings"
        )
        return vocabulary

    def _evaluate_on_the_way(self, step: int, state: TrainState) -> None:
        if step < self.experiment.total_steps:  # the end is evaluated in any case
            self._evaluate(step, state)

    def _evaluate(self, step: int, state: TrainState) -> None:
        if self.sets:
            results = evaluate(self._encoder(step, state), self.sets)
            record_evaluation(self.workdir, step, results)
            self.console.print(render_table(results))

    def _encoder(self, step: int, state: TrainState) -> ClipEncoder:
        parts = self.setup.mesh.shape["data"] * self.setup.mesh.shape["fsdp"]
        return ClipEncoder(
            self.setup.model,
            self.setup.merge(state.params),
            self.tokenizer,
            self.triples,
            step=step,
            batch_size=parts * max(1, ENCODED_AT_ONCE // parts),
            sharding=sharding.batch_sharding(self.setup.mesh),
        )
