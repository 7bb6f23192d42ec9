"""Evaluation of runs, written to evaluation.json and report.html."""

import json
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import jax

from kgclip_jax import config
from kgclip_jax.cache import Cache
from kgclip_jax.convert.hub import with_commit
from kgclip_jax.data.evaluation_sets import EvaluationSet, RetrievalSet
from kgclip_jax.data.streams.graph_stream import GraphStream
from kgclip_jax.errors import ConfigError
from kgclip_jax.evaluation.encoder import Encoder
from kgclip_jax.evaluation.examples import retrieval_examples
from kgclip_jax.evaluation.outcomes import save_outcomes
from kgclip_jax.evaluation.result import Result, from_json, to_json
from kgclip_jax.evaluation.tasks import asks_heads, evaluate
from kgclip_jax.files import read_json_object, write_json
from kgclip_jax.held_out import Graphs, held_out_sets
from kgclip_jax.inference import ClipEncoder, load
from kgclip_jax.loading import starting_point
from kgclip_jax.locks import sole_use
from kgclip_jax.model_inputs import preprocessing_for
from kgclip_jax.models.dual_encoder import Model
from kgclip_jax.reporting.report import NextStep, write_report
from kgclip_jax.reporting.runs import outcomes_file
from kgclip_jax.store.workdir import Workdir
from kgclip_jax.training.hosts import is_first

EXAMPLES = 6


def record_evaluation(
    workdir: Workdir, step: int, results: Sequence[Result], *, graphs: Graphs = "own"
) -> None:
    """Write evaluation.json: the step and the table's rows.

    The outcomes behind the rows go to evaluation.npz, those with averaged parameters to
    evaluation_average.npz. An evaluation with other graphs than the run's own goes to
    evaluation_parsed.* or evaluation_none.* instead.
    """
    path = workdir.evaluation
    if graphs != "own":
        path = path.with_stem(f"{path.stem}_{graphs}")
    for weights in dict.fromkeys(row.weights for row in results):
        rows = [row for row in results if row.weights == weights]
        save_outcomes(outcomes_file(path, weights), rows)
    write_json(path, {"step": step, "results": to_json(results)})


def evaluate_workdir(
    workdir: Workdir,
    *,
    step: int | None = None,
    graphs: Graphs = "own",
    settings: Mapping[str, Any] | None = None,
) -> list[Result]:
    """Evaluate a checkpoint of a run, write down its rows (see `record_evaluation`), return them.

    The moving average of the parameters is evaluated too where the run keeps one. Nobody else may
    write to the workdir meanwhile. Of several processes each evaluates, and the first writes.

    Args:
        workdir: of the run.
        step: of the checkpoint; the newest by default.
        settings: the run's config with changes that are safe, for data that lie elsewhere now;
            None for the run's own.
        graphs: which scene graphs a knowledge encoder gets for the held-out texts.

    Raises:
        UserError: when there is no such run or checkpoint, it is still being trained, or there is
            nothing to evaluate on.
    """
    saved = workdir.read_config()
    experiment = config.experiment(saved if settings is None else settings)
    config.check_resumable(saved, experiment)
    _check_graphs(graphs, experiment, f"the model of {workdir.root}")
    with sole_use(workdir.root) if is_first() else nullcontext():
        sets = held_out_sets(experiment, graphs, Cache(workdir.cache, keep=is_first()))
        heads = asks_heads(sets)
        encoder = load(workdir.root, step=step, heads=heads)
        results = evaluate(encoder, sets, weights="raw")
        if experiment.optimizer.ema_decay is not None:
            averaged = load(workdir.root, step=encoder.step, averaged=True, heads=heads)
            results += evaluate(averaged, sets, weights="average")
        if is_first():
            record_evaluation(workdir, encoder.step, results, graphs=graphs)
    return results


def evaluate_pretrained(
    experiment: config.Experiment, *, graphs: Graphs = "own", output: Path | None = None
) -> list[Result]:
    """Evaluate the model that an experiment would start from, on its held-out sets.

    Args:
        experiment: names the model and the sets.
        graphs: which scene graphs a knowledge encoder gets for the held-out texts.
        output: where to write the rows down, as JSON; None: nowhere.

    Raises:
        UserError: when there is no such model, or nothing to evaluate on.
    """
    if experiment.init_from is None:
        raise ConfigError("config.init_from names no model to evaluate")
    _check_graphs(graphs, experiment, experiment.init_from)
    reading = preprocessing_for(experiment.model, experiment.tokenizers)
    start = starting_point(
        experiment.init_from,
        experiment.model,
        experiment.tokenizers,
        resize=experiment.resize_positions,
    )
    model = Model(experiment.model, experiment.execution.on(jax.default_backend()))
    params = jax.device_put(start.read(), jax.local_devices()[0])
    encoder = ClipEncoder(model, params, reading, step=0)
    results = evaluate(encoder, held_out_sets(experiment, graphs))
    if output is not None and is_first():
        source = {"init_from": with_commit(experiment.init_from, start.origin), "graphs": graphs}
        write_json(output, {**source, "results": to_json(results)})
    return results


def _check_graphs(graphs: Graphs, experiment: config.Experiment, model: str) -> None:
    if graphs != "own" and experiment.model.knowledge is None:
        raise ConfigError(f"--graphs={graphs}: {model} reads no scene graphs")


def write_run_report(
    workdir: Workdir,
    encoder: Encoder,
    sets: Sequence[EvaluationSet],
    streams: Mapping[str, object],
) -> None:
    """Write report.html: the files of the workdir, examples by `encoder`, graphs of streams.

    Of several processes all look for the examples, and the first writes.
    """
    graphs = {
        each.fingerprint(): each.graph for each in streams.values() if isinstance(each, GraphStream)
    }
    retrieval = next((data for data in sets if isinstance(data, RetrievalSet)), None)
    examples = None if retrieval is None else retrieval_examples(encoder, retrieval, EXAMPLES)
    if not is_first():
        return
    results = []
    if workdir.evaluation.exists():
        results = from_json(read_json_object(workdir.evaluation)["results"])
    write_report(
        workdir.report,
        title=f"kgclip_jax: {workdir.root.name}",
        metrics=workdir.read_metrics(),
        evaluations=workdir.read_evaluations(),
        sessions=workdir.read_sessions(),
        results=results,
        examples=examples,
        graphs=list(graphs.values()),
        config=json.dumps(workdir.read_config(), indent=2),
        next_steps=next_steps(workdir),
    )


def next_steps(workdir: Workdir) -> list[NextStep]:
    """What to do with a finished run."""
    root = workdir.root
    return [
        NextStep(
            "Use the model from Python",
            f"import kgclip_jax; model = kgclip_jax.load({str(root)!r}); "
            "model.similarity(images, texts)",
        ),
        NextStep(
            "Give it to PyTorch users",
            f"python launch/export.py --workdir={root} --format=huggingface --output=FOLDER",
        ),
        NextStep("Evaluate it again", f"python launch/evaluate.py --workdir={root}"),
        NextStep("Watch its curves", f"pip install tensorboard && tensorboard --logdir={root}"),
        NextStep(
            "Train on photographs",
            "python launch/train.py --config=configs/flickr8k.py --config.data.path=FOLDER",
        ),
    ]
