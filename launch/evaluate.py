"""Evaluate a model on held-out sets.

    python launch/evaluate.py --workdir=runs/quickstart [--step=N | --best="SET, METRIC"] \
        [--graphs=parsed|none] [--config.data.path=FOLDER]
    python launch/evaluate.py --config=configs/finetune.py:SOURCE --config.data.path=FOLDER \
        [--graphs=parsed|none] [--output=FILE.json]

The first evaluates a run, and the moving average of its parameters where it keeps one, and writes
its evaluation.json; data and held-out sets may be others than in its config. The second evaluates
the model that a config starts from, before any training, and writes FILE. Both print the table,
with chance and blind rows. A run that is being trained is refused: it evaluates itself. Exit codes:
0 done, 2 bad input.
"""

import sys
from functools import partial
from pathlib import Path

from absl import app, flags

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from kgclip_jax.command_line import define_config, define_path, fail, parse_flags
from kgclip_jax.config_file import LoadedConfig, load_config
from kgclip_jax.errors import UserError

_WORKDIR = define_path("workdir", "Folder of the run.")
_CONFIG = define_config("Experiment with `init_from` set.")
_STEP = flags.DEFINE_integer("step", None, "Step of the checkpoint; the newest by default.")
_BEST = flags.DEFINE_string(
    "best",
    None,
    "Set and metric, as in 'COCO val, text-to-image R@1': the step that was best by it on the way.",
)
_GRAPHS = flags.DEFINE_enum(
    "graphs",
    "own",
    ["own", "parsed", "none"],
    "Scene graphs of the held-out texts, for a knowledge encoder: their own, parsed ones for all, "
    "or none. Of a run, the last two go to evaluation_parsed.json and evaluation_none.json.",
)
_OUTPUT = define_path("output", "With --config: JSON file for the rows of the table.")


def run_config() -> LoadedConfig | None:
    """Return the config of the run that is named, which the command line may change."""
    workdir = _WORKDIR.value
    return None if workdir is None else load_config(str(workdir / "config.json"))


def main(argv: list[str]) -> int:
    """Evaluate what the flags name."""
    del argv
    from rich.console import Console

    from kgclip_jax import config
    from kgclip_jax.best_step import best_step
    from kgclip_jax.cluster import joined
    from kgclip_jax.library_logging import silence_libraries
    from kgclip_jax.reporting.tables import results_table, to_terminal
    from kgclip_jax.run_evaluation import evaluate_pretrained, evaluate_workdir
    from kgclip_jax.store.workdir import Workdir

    if (_WORKDIR.value is None) == (not _CONFIG.present):
        return fail("give either --workdir or --config")
    if _WORKDIR.value is None and {_STEP.value, _BEST.value} != {None}:
        return fail("--step and --best are for --workdir")
    if None not in (_STEP.value, _BEST.value):
        return fail("give --step or --best")
    if _WORKDIR.value is not None and _OUTPUT.value is not None:
        return fail("--output is for --config; a run has its evaluation.json")
    silence_libraries()
    try:
        with joined():
            if _WORKDIR.value is not None:
                workdir = Workdir(_WORKDIR.value)
                changed = _CONFIG.value
                step = _STEP.value if _BEST.value is None else best_step(workdir, _BEST.value)
                results = evaluate_workdir(
                    workdir,
                    step=step,
                    graphs=_GRAPHS.value,
                    settings=None if changed is None else changed.values,
                )
            else:
                experiment = config.experiment(_CONFIG.value.values)
                results = evaluate_pretrained(
                    experiment, graphs=_GRAPHS.value, output=_OUTPUT.value
                )
            Console().print(to_terminal(results_table(results)))
    except UserError as error:
        return fail(error)
    return 0


if __name__ == "__main__":
    app.run(main, flags_parser=partial(parse_flags, default_config=run_config))
