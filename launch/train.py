"""Train a dual encoder.

    python launch/train.py --config=configs/quickstart.py
    python launch/train.py --config=configs/flickr8k.py --config.data.path=FOLDER --workdir=DIR

The same command again continues an interrupted run. Exit codes: 0 done, 2 bad input, 143 stopped by
a signal after saving.
"""

import sys
from pathlib import Path

from absl import app, flags
from ml_collections import config_flags

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from kgclip_jax.command_line import fail, parse_flags
from kgclip_jax.errors import UserError

_CONFIG = config_flags.DEFINE_config_file("config", None, "Experiment: configs/NAME.py[:args].")
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the run; default runs/NAME.")


def main(argv: list[str]) -> int:
    """Run the experiment that the flags describe."""
    del argv
    from rich.console import Console

    from kgclip_jax import config
    from kgclip_jax.library_logging import silence_libraries
    from kgclip_jax.training.run import Run
    from kgclip_jax.workdir import Workdir

    silence_libraries()
    console = Console()
    path, _, argument = config_flags.get_config_filename(flags.FLAGS["config"]).partition(":")
    name = "-".join(filter(None, [Path(path).stem, argument]))
    try:
        experiment = config.experiment(_CONFIG.value.to_dict())
        run = Run(experiment, Workdir(Path(_WORKDIR.value or f"runs/{name}")), console)
        finished = run.execute()
    except UserError as error:
        return fail(error)
    if not finished:
        console.print("stopped and saved; the same command continues")
        return 143
    return 0


if __name__ == "__main__":
    flags.mark_flag_as_required("config")
    app.run(main, flags_parser=parse_flags)
