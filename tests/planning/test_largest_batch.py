"""The largest batch that fits."""

import pytest

from kgclip_jax.planning.largest_batch import largest_fitting


@pytest.mark.parametrize("rows", [256, 1024, 16_384])
@pytest.mark.parametrize("square", [0, 1e-3])
def test_found_whatever_is_begun_with(rows, square):
    """Memory of a step: parameters, activations, and a little that grows with the square."""
    asked = []

    def memory(count):
        asked.append(count)
        return int(1000 + 3 * count + square * count**2)

    limit = memory(4096)
    found = largest_fitting(rows, 64, limit, memory, tries=6)
    assert 0.9 * 4096 <= found <= 4096
    assert len(asked) <= 8


def test_none_where_the_fewest_rows_are_too_many():
    assert largest_fitting(64, 64, 10, lambda rows: 1000 + rows) is None


def test_what_was_not_seen_to_fit_is_not_told():
    """Few tries: the answer may be too small, never too large."""
    found = largest_fitting(256, 64, 2000, lambda rows: 1000 + rows + rows**3 // 10**6, tries=1)
    assert 1000 + found + found**3 // 10**6 <= 2000
