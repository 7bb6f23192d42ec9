"""Compare evaluated runs: what each one reaches, and how far the others are from the first.

    python launch/compare.py RUN RUN... [--output=FOLDER]

RUNs are workdirs; runs that differ in their seed alone become one column, the mean over seeds. The
table is printed, and compare.json and compare.html are written to FOLDER (default: the last RUN).
Exit codes: 0 done, 2 bad input.
"""

import sys
from functools import partial
from pathlib import Path

from absl import app

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from kgclip_jax.command_line import define_path, fail, parse_flags
from kgclip_jax.errors import UserError

_OUTPUT = define_path("output", "Folder of compare.json and compare.html.")
_UNFOLDED = 200  # columns; where no terminal folds lines, neither do we


def main(argv: list[str]) -> int:
    """Compare the runs that the arguments name."""
    from rich.console import Console

    from kgclip_jax.files import expanded, write_json
    from kgclip_jax.reporting.comparison import compare, notes, to_json
    from kgclip_jax.reporting.comparison_page import tables, write_comparison
    from kgclip_jax.reporting.runs import read_runs
    from kgclip_jax.reporting.tables import to_terminal
    from kgclip_jax.store.workdir import Workdir

    roots = argv[1:]
    if len(roots) < 2:
        return fail("name two workdirs at least: python launch/compare.py RUN RUN...")
    try:
        comparison = compare([run for root in roots for run in read_runs(root)])
        output = _OUTPUT.value or Path(expanded(roots[-1]))
        Workdir(output).create()
        write_json(output / "compare.json", to_json(comparison))
        write_comparison(output / "compare.html", comparison)
    except UserError as error:
        return fail(error)
    console = Console()
    if not console.is_terminal:
        console = Console(width=_UNFOLDED)
    for table in tables(comparison):
        console.print(to_terminal(table))
    for note in notes(comparison):
        console.print(note, markup=False, highlight=False)
    console.print(f"{output / 'compare.html'}", markup=False, highlight=False, soft_wrap=True)
    return 0


if __name__ == "__main__":
    app.run(main, flags_parser=partial(parse_flags, positional=True))
