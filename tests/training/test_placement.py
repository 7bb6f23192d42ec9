"""Rows on devices: each where it belongs, whatever the parts that they came in."""

import jax
import numpy as np
import pytest

from kgclip_jax import config
from kgclip_jax.data.pipeline import host_batches
from kgclip_jax.training.placement import Placement
from kgclip_jax.training.sharding import batch_sharding, make_mesh
from tests.training.made_up_streams import MadeUpStream


def numbers(rng):
    """A block of six rows, and one of twelve."""
    return rng.random((6, 3)), {"more": rng.random(12)}


@pytest.mark.parametrize(
    ("mesh", "units"),
    [
        (config.Mesh(8, 1, 1), 4),  # devices share units
        (config.Mesh(2, 2, 2), 2),
        (config.Mesh(2, 1, 4), 8),  # a device has several units
    ],
    ids=str,
)
def test_rows_keep_their_order_on_every_mesh(mesh, units):
    streams = {
        "some": MadeUpStream(numbers, name="some", units=units),
        "others": MadeUpStream(numbers, name="others", units=2 * units),
    }
    mesh = make_mesh(mesh)
    place = Placement(streams, mesh)
    assert place.units == {"some": [*range(units)], "others": [*range(2 * units)]}
    batches = host_batches(streams, place.units, start=5)
    host = next(batches)
    batches.close()
    assert len(host.parts) > 1
    placed = place(host.parts)
    for name, stream in streams.items():
        expected = stream.load(5, place.units[name]).blocks
        for mine, reference in zip(*map(jax.tree.leaves, (placed[name], expected)), strict=True):
            np.testing.assert_array_equal(mine, reference.astype(mine.dtype))
            assert mine.sharding.is_equivalent_to(batch_sharding(mesh), mine.ndim)
