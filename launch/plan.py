"""Plan a run on devices that are not there: memory, work, time, and what would fit.

    python launch/plan.py --config=configs/pretrain.py:ViT-B-32 --topology=v5e:16x16 \
        [--output=plan.json] [--nolargest_batch] [--config.KEY=VALUE ...]

The step is compiled for the target by its own compiler: pip install libtpu (Linux) for v4, v5e,
v5p and v6e; cpu:N, with JAX_NUM_CPU_DEVICES=N, is for trying things out. Pictures need not be
here: a batch of them has one shape whatever it shows. A model of base size takes some minutes for
each of the steps that are compiled: itself, two shallow ones for each tower (their loops are
counted once by the compiler), and three or more for the largest batch. Exit codes: 0 done, 2 bad
input.
"""

import sys
from pathlib import Path

from absl import app, flags

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from kgclip_jax.command_line import define_config, define_path, fail, parse_flags
from kgclip_jax.errors import UserError

_CONFIG = define_config("Experiment: configs/NAME.py[:args].", required=True)
_TOPOLOGY = flags.DEFINE_string("topology", None, "Target, as v5e:16x16.", required=True)
_OUTPUT = define_path("output", "JSON file for the plan.")
_LARGEST = flags.DEFINE_bool("largest_batch", True, "Look for the largest batch that fits.")


def main(argv: list[str]) -> int:
    """Plan the experiment that the flags describe."""
    del argv
    import jax
    from rich.console import Console

    from kgclip_jax import config
    from kgclip_jax.files import write_json
    from kgclip_jax.library_logging import silence_libraries
    from kgclip_jax.planning.planner import Planner
    from kgclip_jax.planning.targets import find_target
    from kgclip_jax.training.summary import parameter_table

    silence_libraries()
    jax.config.update("jax_platforms", "cpu")  # no device is used but to compile
    console = Console()
    try:
        experiment = config.experiment(_CONFIG.value.values)
        plan = Planner(experiment, find_target(_TOPOLOGY.value)).plan(largest=_LARGEST.value)
    except UserError as error:
        return fail(error)
    console.print(parameter_table(plan.setup))
    for line in plan.lines():
        console.out(line)
    if _OUTPUT.value is not None:
        write_json(_OUTPUT.value, plan.to_json())
    return 0


if __name__ == "__main__":
    app.run(main, flags_parser=parse_flags)
