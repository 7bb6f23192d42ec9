"""The decisions behind the rows of an evaluation, in a file beside them.

The file is an .npz: "rows" is a JSON list of [task, set name, metric, blind], and "N/values",
"N/clusters" and, for means of groups, "N/groups" are the arrays of row N.
"""

import io
import json
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kgclip_jax.arrays import NO_ARRAY
from kgclip_jax.errors import DataError
from kgclip_jax.evaluation.result import Outcomes, Result
from kgclip_jax.files import parse_json, write_atomically

# What zipfile, zlib, NumPy and json raise on files that are no such archive, or a part of one.
_DAMAGE = (zipfile.BadZipFile, zlib.error, *NO_ARRAY, TypeError, LookupError)


def save_outcomes(path: Path, results: Sequence[Result]) -> None:
    """Write the outcomes of all rows that have some, whole or not at all.

    Raises:
        UserError: the file cannot be written.
    """
    known = [(row, row.outcomes) for row in results if row.outcomes is not None]
    keys = [(row.task, row.set_name, row.metric, row.blind) for row, _ in known]
    arrays: dict[str, Any] = {"rows": np.array(json.dumps(keys))}
    for number, (_, outcomes) in enumerate(known):
        for field, array in outcomes._asdict().items():
            if array is not None:
                arrays[f"{number}/{field}"] = array
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)
    write_atomically(path, content.getvalue())


def read_outcomes(path: Path) -> dict[tuple[str, str, str, bool], Outcomes]:
    """Return outcomes by (task, set name, metric, blind); none where there is no file.

    Raises:
        DataError: the file is damaged.
    """
    if not path.exists():
        return {}
    try:
        arrays = np.load(io.BytesIO(path.read_bytes()), allow_pickle=False)
        rows = parse_json(str(arrays["rows"]), "its list of rows", error=ValueError)
        return {
            (task, set_name, metric, blind): Outcomes(
                arrays[f"{number}/values"],
                arrays[f"{number}/clusters"],
                arrays.get(f"{number}/groups"),
            )
            for number, (task, set_name, metric, blind) in enumerate(rows)
        }
    except _DAMAGE as error:
        raise DataError(f"{path} is damaged ({error}); evaluate again") from error
