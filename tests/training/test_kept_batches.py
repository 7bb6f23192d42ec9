"""Batches put aside: they are those of the step, few, and small."""

import numpy as np

from kgclip_jax.errors import DataError
from kgclip_jax.paths import leaves_by_path
from kgclip_jax.training import kept_batches
from kgclip_jax.training.kept_batches import MOST, KeptBatches
from tests.training.made_up_streams import MadeUpStream, made_up_pairs

UNITS = {"captions": range(4)}


def kept(folder, stream=None):
    stream = stream or MadeUpStream(made_up_pairs, units=4)
    return KeptBatches(folder, {"captions": stream}, UNITS), stream


def test_a_batch_is_kept_as_the_step_had_it(tmp_path):
    batches, stream = kept(tmp_path / "spikes")
    path = tmp_path / "spikes" / "step_7.npz"
    assert batches.keep(7) == f"{path} has its batch"
    wanted = leaves_by_path({"captions": stream.load(6, UNITS["captions"]).blocks})
    with np.load(path, allow_pickle=False) as found:
        assert {*found} == {*wanted} >= {"captions/image/pixels", "captions/ids"}
        for name, array in wanted.items():
            np.testing.assert_array_equal(found[name], array)


def test_a_large_batch_is_cut_to_whole_parts_of_it(tmp_path, monkeypatch):
    batches, stream = kept(tmp_path)
    size = sum(leaf.nbytes for leaf in leaves_by_path(stream.abstract()).values())
    monkeypatch.setattr(kept_batches, "LARGEST", 6 * size // 10)
    assert batches.keep(3) == f"{tmp_path / 'step_3.npz'} has 2 of 4 parts of its batch"
    with np.load(tmp_path / "step_3.npz") as found:
        first = stream.load(2, range(2)).blocks
        np.testing.assert_array_equal(found["captions/image/pixels"], first.image.pixels)
    monkeypatch.setattr(kept_batches, "LARGEST", 1)
    assert "1 of 4 parts" in batches.keep(4)


def test_only_so_many_are_kept(tmp_path):
    batches, _ = kept(tmp_path)
    said = [batches.keep(step) for step in range(1, MOST + 3)]
    assert len(list(tmp_path.iterdir())) == MOST
    assert said[MOST:] == [f"{tmp_path} is full, so its batch is not kept"] * 2


def test_training_goes_on_without_a_batch_that_cannot_be_kept(tmp_path):
    def torn(step, units):
        raise DataError("the disk is gone")

    batches, stream = kept(tmp_path)
    stream.load = torn
    kept_again = KeptBatches(tmp_path / "file" / "in the way", {"captions": stream}, UNITS)
    assert batches.keep(1) == "its batch cannot be kept: the disk is gone"
    (tmp_path / "file").write_text("")
    del stream.load
    assert "cannot write" in kept_again.keep(1)
