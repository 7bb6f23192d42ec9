"""Evaluate a run on its held-out sets.

    python launch/evaluate.py --workdir=runs/quickstart [--step=N] [--average]

Prints the table, with chance and blind rows, and writes evaluation.json. Exit codes: 0 done, 2 bad
input.
"""

import sys
from pathlib import Path

from absl import app, flags

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the run.", required=True)
_STEP = flags.DEFINE_integer("step", None, "Step of the checkpoint; the newest by default.")
_AVERAGE = flags.DEFINE_bool("average", False, "Use the moving average of the parameters.")


def main(argv: list[str]) -> int:
    """Evaluate the run that the flags name."""
    del argv
    from rich.console import Console

    from kgclip_jax.errors import UserError
    from kgclip_jax.quiet import silence_libraries
    from kgclip_jax.training.outcome import evaluate_workdir
    from kgclip_jax.workdir import Workdir

    silence_libraries()
    try:
        table = evaluate_workdir(
            Workdir(Path(_WORKDIR.value)), step=_STEP.value, averaged=_AVERAGE.value
        )
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    Console().print(table)
    return 0


if __name__ == "__main__":
    app.run(main)
