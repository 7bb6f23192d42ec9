"""Rows joined, taken apart and dealt out, without a move between devices."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from kgclip_jax import config
from kgclip_jax.models.rows import (
    ROW_AXES,
    concat_rows,
    constrain_rows,
    constrain_table,
    map_microbatches,
    split_rows,
)
from kgclip_jax.training.sharding import make_mesh


def numbered(rows, start=0):
    return start + jnp.arange(rows * 3).reshape(rows, 3)


@pytest.mark.parametrize("rows", [[5], [8, 8], [16, 8, 24], [176, 72, 8]])
def test_split_undoes_concat(rows):
    blocks = [numbered(count, 1000 * i) for i, count in enumerate(rows)]
    joined = concat_rows(blocks)
    assert len(joined) == sum(rows)
    for block, part in zip(blocks, split_rows(joined, rows), strict=True):
        np.testing.assert_array_equal(block, part)


def test_blocks_are_joined_group_by_group():
    joined = concat_rows([jnp.array([0, 1, 2, 3]), jnp.array([10, 11])])
    assert joined.tolist() == [0, 1, 10, 2, 3, 11]


@pytest.mark.parametrize("mesh", [config.Mesh(8, 1, 1), config.Mesh(2, 4, 1), config.Mesh(2, 2, 2)])
def test_nothing_moves_between_devices(mesh):
    mesh = make_mesh(mesh)
    sharding = NamedSharding(mesh, PartitionSpec(ROW_AXES))
    blocks = [jax.device_put(numbered(rows), sharding) for rows in (16, 8, 24)]

    def work(blocks):
        joined = concat_rows(blocks) * 2
        parts = split_rows(joined, [16, 8, 24])
        return map_microbatches(lambda tree: [part + 1 for part in tree], parts, 1)

    compiled = jax.jit(work, out_shardings=sharding).lower(blocks).compile().as_text()
    assert not re.findall(r"(all|collective)-\w+\(", compiled)


@pytest.mark.parametrize("count", [1, 2, 4])
def test_microbatches_give_what_the_whole_gives(count):
    tree = {"a": numbered(16), "b": numbered(8, 100)}

    def work(part):
        joined = concat_rows([part["a"], part["b"]])
        return {"sum": jnp.sin(joined), "b": part["b"] * 2}

    whole, parts = work(tree), map_microbatches(work, tree, count)
    np.testing.assert_allclose(whole["sum"], parts["sum"])
    np.testing.assert_array_equal(whole["b"], parts["b"])


def test_rows_that_belong_together_are_dealt_together():
    """The slots of a block, joined in a part, meet their rows of the other blocks."""
    slots = (numbered(48), numbered(16, 1000))
    tree = {"slots": slots, "ids": concat_rows(slots)}

    def same(part):
        return {"same": concat_rows(part["slots"]) == part["ids"]}

    assert map_microbatches(same, tree, 4)["same"].all()


def test_without_a_mesh_nothing_is_constrained():
    x = jnp.ones((6, 3))
    assert constrain_rows(x) is x
    assert constrain_table(x) is x


@pytest.mark.parametrize("entries", [512, 511])
def test_entries_of_a_table_are_looked_up_by_those_who_need_them(entries):
    """Rather than a part of all entries by every device, where features are cut."""
    mesh = make_mesh(config.Mesh(2, 2, 2))
    cut = PartitionSpec("tensor" if entries == 512 else None, "fsdp")
    table = jax.device_put(
        jnp.arange(32.0 * entries).reshape(entries, 32), NamedSharding(mesh, cut)
    )
    rows = NamedSharding(mesh, PartitionSpec(ROW_AXES))
    tokens = jax.device_put(7 * jnp.arange(64 * 6).reshape(64, 6) % entries, rows)

    def compiled(constrain):
        with jax.sharding.use_abstract_mesh(mesh.abstract_mesh):
            work = jax.jit(lambda table, tokens: constrain_rows(constrain(table)[tokens]))
            return work.lower(table, tokens).compile()

    found = compiled(constrain_table)
    np.testing.assert_array_equal(found(table, tokens), table[tokens])
    whole = re.compile(r"f32\[64,6,\d+\]")  # rows of all devices
    assert not whole.search(found.as_text())
    assert whole.search(compiled(lambda table: table).as_text())
