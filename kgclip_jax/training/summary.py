"""How each parameter is shaped, trained and sharded, as a table for people and for golden files."""

import jax
from rich.table import Table

from kgclip_jax.models.flops import parameter_count
from kgclip_jax.training.paths import leaves_by_path
from kgclip_jax.training.setup import Setup

Row = tuple[str, str, str, str, str]


def parameter_rows(setup: Setup) -> list[Row]:
    """Return (path, shape, learning-rate factor, weight decay, sharding) of each parameter."""
    rows = []
    for path, leaf in leaves_by_path(setup.abstract.params).items():
        treatment = setup.plan[path]
        rate = "frozen" if treatment.frozen else f"{treatment.learning_rate:g}"
        decay = "-" if treatment.frozen else f"{treatment.weight_decay:g}"
        shape = " x ".join(map(str, leaf.shape)) or "scalar"
        axes = [str(axis or "-") for axis in leaf.sharding.spec]
        rows.append((path, shape, rate, decay, ", ".join(axes) or "replicated"))
    return rows


def parameter_table(setup: Setup) -> Table:
    """The rows under their headings, with the mesh and the number of parameters in the title."""
    millions = parameter_count(setup.abstract.params) / 1e6
    device = setup.mesh.devices.flat[0].device_kind
    axes = " x ".join(f"{axis} {size}" for axis, size in setup.mesh.shape.items())
    title = f"{millions:.2f} M parameters on {jax.process_count()} host(s), {device}, {axes}"
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for heading in ("parameter", "shape", "lr x", "decay", "sharding"):
        table.add_column(heading, no_wrap=True)
    for row in parameter_rows(setup):
        table.add_row(*row)
    return table
