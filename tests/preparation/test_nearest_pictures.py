"""The nearest pictures, against a sort of all cosines."""

import numpy as np
import pytest
from rich.console import Console

from kgclip_jax.data.lazy_pictures import EvaluationTransform
from kgclip_jax.data.readers.folders import open_folder
from kgclip_jax.errors import ConfigError
from kgclip_jax.preparation import nearest_pictures
from kgclip_jax.preparation.nearest_pictures import nearest_rows, store_nearest
from tests.data.readers.layouts import drawn


def test_the_nearest_rows_are_found_in_any_blocks(monkeypatch):
    vectors = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    readable = np.arange(50) != 7
    monkeypatch.setattr(nearest_pictures, "COSINES_IN_MEMORY", 16 * 50)
    found = nearest_rows(vectors, readable, 3)
    for row in range(50):
        others = [n for n in range(50) if n not in (7, row)]
        wanted = sorted(others, key=lambda n, row=row: -float(vectors[row] @ vectors[n]))[:3]
        assert found[row].tolist() == ([-1] * 3 if row == 7 else wanted)


@pytest.fixture
def album(tmp_path):
    lines = ["image,caption"]
    for picture in drawn(6):
        (tmp_path / picture.name).write_bytes(picture.content)
        lines.append(f"{picture.name},a picture")
    (tmp_path / "captions.txt").write_text("\n".join(lines))
    return tmp_path


def store(album, output, count=2, bad_share=0.0):
    def encode(images):
        means = images.reshape(len(images), -1, 3).mean(axis=1).astype(np.float32) + 1
        return means / np.linalg.norm(means, axis=1, keepdims=True)

    return store_nearest(
        open_folder(album, None),
        output,
        encode,
        EvaluationTransform(8),
        count=count,
        bad_share=bad_share,
        console=Console(quiet=True),
    )


def test_pictures_that_cannot_be_read_have_no_neighbours_and_are_none(album, tmp_path):
    bad = sorted(album.glob("*.*g"))[2]
    bad.write_bytes(b"no picture")
    assert store(album, tmp_path / "x.npy", bad_share=0.5) == (6, 5)
    nearest = np.load(tmp_path / "x.npy")
    assert (nearest.shape, nearest.dtype) == ((6, 2), np.int32)
    (row,) = np.flatnonzero((nearest == -1).all(axis=1))
    assert row not in nearest
    assert all(row not in others for row, others in enumerate(nearest.tolist()))


def test_mistakes_are_refused(album, tmp_path):
    with pytest.raises(ConfigError, match="6 pictures have no 6 neighbours"):
        store(album, tmp_path / "x.npy", count=6)
    with pytest.raises(ConfigError, match=r"must end in .npy"):
        store(album, tmp_path / "x")
