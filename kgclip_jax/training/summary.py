"""How each parameter is shaped, trained and sharded, as a table for people and for golden files."""

import jax
import numpy as np
from rich.table import Table

from kgclip_jax.models.flops import parameter_count
from kgclip_jax.paths import leaves_by_path
from kgclip_jax.training.setup import Setup
from kgclip_jax.training.sharding import partition
from kgclip_jax.training.tuning import Factor

Row = tuple[str, str, str, str, str]


def parameter_rows(setup: Setup) -> list[Row]:
    """Return (path, shape, learning-rate factor, weight decay, sharding) of each parameter."""
    rows = []
    for path, leaf in leaves_by_path(setup.abstract.params).items():
        group = setup.groups[path]
        rate = _rate(group.learning_rate)
        decay = "-" if group.frozen else f"{group.weight_decay:g}"
        shape = " x ".join(map(str, leaf.shape)) or "scalar"
        axes = [str(axis or "-") for axis in leaf.sharding.spec]
        rows.append((path, shape, rate, decay, ", ".join(axes) or "replicated"))
    return rows


def uncut(setup: Setup) -> list[str]:
    """Say what the mesh was to cut and cannot, one line each."""
    found = []
    for path, leaf in leaves_by_path(setup.abstract.params).items():
        if reason := partition(f"params/{path}", leaf.shape, setup.mesh).uncut:
            found.append(f"{path} is not cut as config.mesh has it: {reason}")
    shape, tensor = setup.model.shape, setup.mesh.shape["tensor"]
    for tower, blocks in (("vision", shape.vision.transformer), ("text", shape.text.transformer)):
        if blocks.heads % tensor:
            found.append(
                f"model/{tower} is not cut between heads: tensor {tensor} does not divide "
                f"{blocks.heads}, so attention moves data between devices"
            )
    return found


def _rate(factor: Factor) -> str:
    """Say a factor in a few words: "1", "frozen", "8 frozen, then 0.75 .. 1"."""
    each = factor if isinstance(factor, tuple) else (factor,)
    trained = [f"{rate:g}" for rate in each if rate]
    span = " .. ".join(dict.fromkeys((trained[0], trained[-1]))) if trained else "frozen"
    frozen = len(each) - len(trained)
    return f"{frozen} frozen, then {span}" if trained and frozen else span


def trained_count(setup: Setup) -> int:
    """Number of scalars that are trained."""
    return sum(
        leaf.size * int(np.count_nonzero(rate)) // int(np.size(rate))
        for path, leaf in leaves_by_path(setup.abstract.params).items()
        for rate in [setup.groups[path].learning_rate]
    )


def parameter_table(setup: Setup) -> Table:
    """The rows under their headings, mesh and number of parameters above them, the uncut below."""
    total, trained = parameter_count(setup.abstract.params), trained_count(setup)
    count = f"{total / 1e6:.2f} M parameters"
    if trained < total:
        count += f", {trained / 1e6:.2f} M of them trained,"
    device = setup.mesh.devices.flat[0].device_kind
    axes = " x ".join(f"{axis} {size}" for axis, size in setup.mesh.shape.items())
    title = f"{count} on {jax.process_count()} host(s), {device}, {axes}"
    caption = "\n".join(uncut(setup)) or None
    table = Table(title=title, caption=caption, box=None, pad_edge=False)
    table.title_justify = table.caption_justify = "left"
    for heading in ("parameter", "shape", "lr x", "decay", "sharding"):
        table.add_column(heading, no_wrap=True)
    for row in parameter_rows(setup):
        table.add_row(*row)
    return table
