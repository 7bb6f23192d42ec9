"""Train a dual encoder.

    python launch/train.py --config=configs/quickstart.py
    python launch/train.py --config=configs/flickr8k.py --config.data.path=FOLDER --workdir=DIR

The same command again continues an interrupted run. `--from-step=N` goes back to the checkpoint of
step N, where the learning rate may change; later ones are put aside. On several hosts the same
command on each is one run, see `kgclip_jax.cluster`. Exit codes: 0 done, 2 bad input, 143 stopped
by a signal after saving; 1 when another process of the run is gone.
"""

import sys
from contextlib import nullcontext
from pathlib import Path

from absl import app, flags

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from kgclip_jax.command_line import define_config, define_path, fail, parse_flags
from kgclip_jax.errors import UserError

_CONFIG = define_config("Experiment: configs/NAME.py[:args].", required=True)
_WORKDIR = define_path("workdir", "Folder of the run; default runs/NAME.")
_FROM_STEP = flags.DEFINE_integer("from-step", None, "Checkpoint to go back to.")


def main(argv: list[str]) -> int:
    """Run the experiment that the flags describe."""
    del argv
    from rich.console import Console

    from kgclip_jax import config
    from kgclip_jax.cluster import joined
    from kgclip_jax.library_logging import silence_libraries
    from kgclip_jax.locks import sole_use
    from kgclip_jax.run import Run
    from kgclip_jax.store.workdir import Workdir
    from kgclip_jax.training.hosts import is_first

    silence_libraries()
    try:
        with joined():
            console = Console()
            experiment = config.experiment(_CONFIG.value.values)
            workdir = Workdir(_WORKDIR.value or Path("runs", _CONFIG.value.name))
            workdir.create()
            # The processes of a run share its workdir; the first of them holds it for all.
            with sole_use(workdir.root) if is_first() else nullcontext():
                run = Run(experiment, workdir, console, from_step=_FROM_STEP.value)
                finished = run.execute()
            if not finished:
                console.print("stopped and saved; the same command continues")
    except UserError as error:
        return fail(error)
    return 0 if finished else 143


if __name__ == "__main__":
    app.run(main, flags_parser=parse_flags)
