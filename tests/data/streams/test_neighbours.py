"""Every second row is a neighbour of the one before it, drawn anew each epoch."""

import numpy as np
import pytest

from kgclip_jax.data.streams.neighbours import NONE, Neighbours, open_neighbours
from kgclip_jax.data.streams.texts import Draw
from kgclip_jax.errors import ConfigError, DataError
from tests.data.streams.made_up_sources import Numbers, stream

NEAREST = np.array([[(n + 1) % 40, (n + 2) % 40, (n + 3) % 40] for n in range(40)], np.int32)


def values(pairs):
    return pairs.image.pixels[:, -1, 0, 0].astype(int)


def test_rows_are_records_and_their_neighbours():
    beside = Neighbours({"numbers": NEAREST}, 3)
    paired, plain = stream(Numbers(), rows=8, neighbours=beside), stream(Numbers(), rows=8)
    assert (paired.rows, plain.rows) == (16, 8)
    away = set()
    for step in range(10):
        units = [paired.load(step, [unit]).blocks for unit in range(2)]
        # Slots sort the rows of a unit, so that a record and its neighbour need not stay together.
        rows = np.concatenate([values(unit) for unit in units]).tolist()
        for record in values(plain.load(step, [0]).blocks).tolist():
            rows.remove(record)
            found = [n for n in NEAREST[record].tolist() if n in rows]
            assert found
            away |= {(n - record) % 40 for n in found}
        assert len(rows) == 8
    assert away == {1, 2, 3}
    assert paired.abstract().image.pixels.shape[0] == 16


def test_a_record_without_neighbours_comes_twice():
    none = Neighbours({"numbers": np.full((40, 3), NONE, np.int32)}, 3)
    draw = Draw("numbers", 0, 7)
    assert none.beside([draw]) == [draw, draw]


def test_files_of_other_records_are_refused(tmp_path):
    sources = {"numbers": Numbers()}
    path = tmp_path / "x.npy"
    np.save(path, NEAREST)
    draws = [Draw("numbers", 0, 39)]
    assert open_neighbours({"numbers": path}, sources, 3).beside(draws)[1].record in (0, 1, 2)
    for wrong, message in [
        (NEAREST[:39], "those of 39 records, and the source has 40"),
        (NEAREST + 1, "and the source has 40"),
        (NEAREST.astype(float), "expected rows of int32 numbers"),
        (np.array([{}]), "holds a pickle"),
    ]:
        np.save(path, wrong)
        with pytest.raises(DataError, match=message):
            open_neighbours({"numbers": path}, sources, 3)
    with pytest.raises(DataError, match=r"absent.npy"):
        open_neighbours({"numbers": tmp_path / "absent.npy"}, sources, 3)
    with pytest.raises(ConfigError, match="files of letters, and the sources are numbers"):
        open_neighbours({"letters": path}, sources, 3)
