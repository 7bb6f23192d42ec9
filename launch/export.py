"""Write a trained model as a folder that PyTorch libraries load.

    python launch/export.py --workdir=runs/quickstart --format=huggingface --output=exports/mine
    python launch/export.py ... --format=open_clip [--step=N | --best="SET, METRIC"] [--ema] \
        [--license=ID] [--force]
    python launch/export.py ... --wise_ft=SOURCE --alpha=0.5

huggingface: `CLIPModel` or `SiglipModel.from_pretrained(OUT)`, `AutoProcessor.from_pretrained(OUT)`
open_clip:   `open_clip.create_model_and_transforms("local-dir:OUT")`
openai:      `clip.load("OUT/model.pt")`; to write this one torch is needed

A knowledge encoder lies beside each of them as a module of torch, see the folder's README.md.
A folder is there whole or not at all. Exit codes: 0 done, 2 bad input, 143 stopped by a signal.
"""

import signal
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from absl import app, flags

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from kgclip_jax.command_line import define_path, fail, parse_flags
from kgclip_jax.errors import UserError

if TYPE_CHECKING:  # jax is imported after the signals are handled
    from kgclip_jax.convert.export import Exported
    from kgclip_jax.store.trained import Trained

_WORKDIR = define_path("workdir", "Folder of the run.", required=True)
_FORMAT = flags.DEFINE_enum(
    "format",
    None,
    ["huggingface", "open_clip", "openai"],
    "Whose libraries read it.",
    required=True,
)
_OUTPUT = define_path("output", "Folder to make.", required=True)
_STEP = flags.DEFINE_integer("step", None, "Step of the checkpoint; the newest by default.")
_BEST = flags.DEFINE_string(
    "best", None, "Set and metric: the step that was best by it on the way, as of evaluate.py."
)
_EMA = flags.DEFINE_bool("ema", False, "Export the moving average of the parameters.")
_FORCE = flags.DEFINE_bool("force", False, "Replace the folder if it is an earlier export.")
_LICENSE = flags.DEFINE_string(
    "license", "unknown", "Licence of the weights, as the Hugging Face hub calls it: mit, cc-by-4.0"
)
_WISE_FT = flags.DEFINE_string(
    "wise_ft", None, "Mix with this model: a workdir, folder, file or hub id."
)
_ALPHA = flags.DEFINE_float("alpha", None, "Share of the run's own weights in that mixture.")

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def main(argv: list[str]) -> int:
    """Export the run that the flags name."""
    del argv
    for number in _SIGNALS:
        signal.signal(number, _interrupt)
    try:
        from kgclip_jax.cluster import joined
        from kgclip_jax.library_logging import silence_libraries

        silence_libraries()
        with joined():
            export_run()
    except UserError as error:
        return fail(error)
    except KeyboardInterrupt:
        print("stopped; nothing half-written is left")
        return 143
    return 0


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    """Stop; a further signal does not disturb the clearing up."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def export_run() -> None:
    """Read the run, mix it with another model if asked to, write the folder, say what was done."""
    from kgclip_jax import config, loading
    from kgclip_jax.best_step import best_step
    from kgclip_jax.convert.export import export
    from kgclip_jax.convert.exported_files import check_free
    from kgclip_jax.convert.hub import with_commit
    from kgclip_jax.convert.interpolate import interpolate
    from kgclip_jax.errors import ConfigError
    from kgclip_jax.files import read_json
    from kgclip_jax.reporting.model_card import Card, model_card
    from kgclip_jax.store.workdir import Workdir
    from kgclip_jax.training.hosts import is_first

    workdir, output = Workdir(_WORKDIR.value), _OUTPUT.value
    check_free(output, replace=_FORCE.value)
    if (_WISE_FT.value is None) != (_ALPHA.value is None):
        raise ConfigError("--wise_ft and --alpha go together: give both or none")
    if not workdir.holds_run():
        raise ConfigError(f"{workdir.root} holds no run")
    if None not in (_STEP.value, _BEST.value):
        raise ConfigError("give --step or --best")
    step = _STEP.value
    if _BEST.value is not None:
        step = best_step(workdir, _BEST.value, averaged=_EMA.value)
    experiment = config.experiment(workdir.read_config())
    tokenizers = workdir.own_tokenizers(experiment.tokenizers)
    trained = loading.open_trained(workdir.root, step=step, averaged=_EMA.value)
    measured = workdir.evaluation
    card = Card(
        name=output.resolve().name,
        step=trained.step,
        config=workdir.read_config(),
        evaluation=read_json(measured) if measured.exists() else None,
        averaged=_EMA.value,
        license=_LICENSE.value,
    )
    params, shape = trained.read(), trained.shape
    if _WISE_FT.value is not None:
        base = loading.starting_point(
            _WISE_FT.value, shape, tokenizers, resize=experiment.resize_positions
        )
        card = replace(card, mixed_with=(with_commit(_WISE_FT.value, base.origin), _ALPHA.value))
        params = interpolate(base.read(), params, _ALPHA.value)
    if not is_first():  # of several processes, which have all read
        return
    exported = export(
        params,
        shape,
        tokenizers,
        output,
        format=_FORMAT.value,
        card=partial(model_card, card),
        parser=card.parser,
        force=_FORCE.value,
    )
    print(f"wrote {output}: {exported.family}, step {trained.step:,}")
    _tell_what_lies_beside(exported, trained, output)


def _tell_what_lies_beside(exported: "Exported", trained: "Trained", output: Path) -> None:
    """Say where the parts of a model are that the format cannot hold, and its heads."""
    from kgclip_jax.convert.export import EXTRA_FILE
    from kgclip_jax.convert.knowledge import MODULE

    if trained.shape.knowledge is not None:
        print(
            f"{exported.family} does not know the knowledge encoder, which is in {output / MODULE} "
            f"and {output / EXTRA_FILE}; the model card shows its use"
        )
    if exported.left_out:
        print(
            f"{exported.family} cannot hold these parameters, which are in {output / EXTRA_FILE}: "
            + ", ".join(exported.left_out)
        )
    if trained.heads:
        names = ", ".join(trained.heads)
        print(f"heads are no part of the model, and stay in {trained.origin}: {names}")


if __name__ == "__main__":
    app.run(main, flags_parser=parse_flags)
