import pytest

from kgclip_jax.data.streams.units import units_of


@pytest.mark.parametrize(
    ("rows", "hosts", "units"),
    [([512], 1, 2), ([512], 4, 4), ([300, 200], 1, 2), ([8], 4, 4), ([6], 4, 2), ([7], 2, 1)],
)
def test_units_are_large_and_whole_for_each_host(rows, hosts, units):
    assert units_of(rows, hosts) == units


@pytest.mark.parametrize(
    ("rows", "size"), [(1, 1), (64, 64), (256, 256), (300, 150), (2048, 256), (257, 1)]
)
def test_units_are_as_large_as_they_may_be(rows, size):
    assert rows // units_of([rows], 1) == size
