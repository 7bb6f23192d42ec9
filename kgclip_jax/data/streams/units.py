"""Steps in units of rows, which are made together: large ones, and whole ones for each host."""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Int64

LARGEST_UNIT = 256  # rows


def units_of(rows: Sequence[int], hosts: int) -> int:
    """Return into how many equal units the blocks of a step are cut.

    Units are as large as they may: of up to LARGEST_UNIT rows over all blocks, and whole ones for
    each host where rows divide so; where they do not, placing them says what is wrong.
    """
    groups = math.gcd(*rows)
    dividing = [units for units in range(1, groups + 1) if groups % units == 0]
    shared = [units for units in dividing if units % math.gcd(hosts, groups) == 0]
    small = [units for units in shared if sum(rows) // units <= LARGEST_UNIT]
    return small[0] if small else shared[-1]


def rows_in(units: Sequence[int], size: int) -> Int64[np.ndarray, " some"]:
    """Return which ones of a block's rows of a step some units have, each of `size` rows."""
    return (np.array(units, np.int64)[:, None] * size + np.arange(size)).ravel()
