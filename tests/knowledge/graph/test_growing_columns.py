import io

import numpy as np
import pytest

from kgclip_jax.errors import UserError
from kgclip_jax.knowledge.graph.growing_columns import growing_columns

TYPES = {"a": np.int32, "b": np.float32}


@pytest.mark.parametrize("lengths", [(), (0,), (3,), (1, 0, 2, 100_000)])
def test_files_are_those_of_numpy(tmp_path, lengths):
    parts = [np.arange(length) for length in lengths]
    with growing_columns(tmp_path, TYPES) as append:
        for part in parts:
            append({"a": part})
            append({"b": part.astype(np.float64)})
    for name, dtype in TYPES.items():
        whole = io.BytesIO()
        np.save(whole, np.concatenate([np.zeros(0, dtype), *parts]).astype(dtype))
        assert (tmp_path / f"{name}.npy").read_bytes() == whole.getvalue()


def test_what_was_interrupted_leaves_nothing(tmp_path):
    (tmp_path / "a.npy").write_bytes(b"older")

    def interrupted():
        with growing_columns(tmp_path, TYPES) as append:
            append({"a": np.ones(3)})
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a.npy", b"older")]


def test_a_disk_that_refuses_is_named(tmp_path):
    with (
        pytest.raises(UserError, match=r"cannot write .*: No space left"),
        growing_columns(tmp_path, TYPES),
    ):
        raise OSError(28, "No space left on device")
