"""Rows of a batch on a mesh, joined and dealt out without moving between devices.

A block's rows are cut over the mesh axes `data` and `fsdp`, each device holding as many. To join
blocks plainly would interleave their devices; here blocks are cut into equally many groups of rows,
and joined group by group. The greatest number of groups that divides all blocks is a multiple of
the number of devices, whichever mesh it is, so that the order of rows depends on no mesh.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec
from jaxtyping import Array, Float, Shaped

ROW_AXES = ("data", "fsdp")


def constrain_rows(x: Shaped[Array, "r ..."]) -> Shaped[Array, "r ..."]:
    """Keep an array cut by its rows alone; without a mesh (`jax.set_mesh`) it stays as it is.

    Left to itself, the partitioner cuts activations along the features where parameters are cut by
    `fsdp`, and then reduces every norm and product over the devices instead of gathering weights.
    """
    mesh = jax.sharding.get_abstract_mesh()
    if not {*ROW_AXES} <= {*mesh.axis_names}:
        return x
    return jax.lax.with_sharding_constraint(x, PartitionSpec(ROW_AXES))


def constrain_table(table: Float[Array, "entries d"]) -> Float[Array, "entries d"]:
    """Gather what `fsdp` cuts of a table, to look up entries; without a mesh it stays as it is.

    Where features are cut, each device would look up a part of the entries of all rows of the
    batch. Over the axis `tensor` entries stay cut, if it divides them.
    """
    mesh = jax.sharding.get_abstract_mesh()
    if "tensor" not in mesh.axis_names:
        return table
    axis = None if len(table) % mesh.shape["tensor"] else "tensor"
    return jax.lax.with_sharding_constraint(table, PartitionSpec(axis))


def concat_rows(arrays: Sequence[Shaped[Array, "_ ..."]]) -> Shaped[Array, "_ ..."]:
    """Put the rows of several blocks side by side, device by device.

    With g the greatest common divisor of the blocks' rows, the result is the first 1/g of each
    block, then the second 1/g of each, and so on.
    """
    if len(arrays) == 1:
        return arrays[0]
    groups = math.gcd(*map(len, arrays))
    parts = [array.reshape(groups, -1, *array.shape[1:]) for array in arrays]
    joined = jnp.concatenate(parts, axis=1)
    return joined.reshape(-1, *joined.shape[2:])


def split_rows(joined: Shaped[Array, "_ ..."], rows: Sequence[int]) -> list[Shaped[Array, "_ ..."]]:
    """Undo `concat_rows` of blocks of so many rows."""
    if len(rows) == 1:
        return [joined]
    groups = math.gcd(*rows)
    parts = joined.reshape(groups, -1, *joined.shape[1:])
    bounds = [sum(rows[:end]) // groups for end in range(1, len(rows))]
    return [part.reshape(-1, *part.shape[2:]) for part in jnp.split(parts, bounds, axis=1)]


def map_microbatches(function: Callable[[Any], Any], tree: Any, count: int) -> Any:
    """Apply a row-wise function to `count` parts of all rows, one after another.

    Groups of rows are dealt out like cards, so that each part has rows of every device, and rows of
    several blocks that belong together stay so. The backward pass computes each part again (Gao et
    al. 2021, GradCache). A block of the result may have any multiple of its part's rows.

    Args:
        function: from a tree whose leaves have rows in front to another one.
        tree: its leaves may have different numbers of rows, each divisible by `count`.
        count: parts; 1 calls the function as it is.
    """
    if count == 1:
        return function(tree)
    groups = math.gcd(*map(len, jax.tree.leaves(tree)))

    def deal(leaf: Array) -> Array:
        parts = leaf.reshape(groups // count, count, -1, *leaf.shape[1:])
        parts = jnp.moveaxis(parts, 1, 0)
        return parts.reshape(count, -1, *leaf.shape[1:])

    def gather(parts: Array) -> Array:
        whole = parts.reshape(count, groups // count, -1, *parts.shape[2:])
        return jnp.moveaxis(whole, 0, 1).reshape(-1, *parts.shape[2:])

    checkpointed = jax.checkpoint(function, prevent_cse=False)
    return jax.tree.map(gather, jax.lax.map(checkpointed, jax.tree.map(deal, tree)))
