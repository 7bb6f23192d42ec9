"""Decisions behind the rows of an evaluation, kept beside its table."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Float32, Int64

Key: TypeAlias = tuple[str, str, str, bool]


class Outcomes(NamedTuple):
    """The decisions that a rate is the mean of, and the cluster of each, resampled as a whole."""

    values: Float32[np.ndarray, " decisions"]  # 1.0 right, 0.0 wrong
    clusters: Int64[np.ndarray, " decisions"]


def write_outcomes(path: Path, outcomes: Mapping[Key, Outcomes]) -> None:
    """Write the decisions of rows by (task, set name, metric, blind)."""
    arrays = {
        json.dumps([*key, part]): array
        for key, found in outcomes.items()
        for part, array in found._asdict().items()
    }
    with path.open("wb") as file:
        np.savez_compressed(file, **arrays)


def read_outcomes(path: Path) -> dict[Key, Outcomes]:
    """Return the decisions of rows by (task, set name, metric, blind); {} without a file."""
    if not path.exists():
        return {}
    with np.load(path) as arrays:
        found: dict[Key, dict[str, np.ndarray]] = {}
        for name in arrays.files:
            *key, part = json.loads(name)
            found.setdefault((key[0], key[1], key[2], key[3]), {})[part] = arrays[name]
    return {key: Outcomes(**parts) for key, parts in found.items()}
