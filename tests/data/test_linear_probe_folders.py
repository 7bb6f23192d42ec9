import numpy as np
import pytest
from PIL import Image

from kgclip_jax.data.lazy_pictures import EvaluationTransform
from kgclip_jax.data.linear_probe_folders import LinearProbeFolders
from kgclip_jax.errors import DataError
from tests.array_pictures import all_images

SETTINGS = LinearProbeFolders(
    kind="linear_probe", training_folder="train", folder="test", averaged_as="all"
)


def paint(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (len(name), 0, 0)).save(root / name)


def test_both_folders_have_the_numbers_of_the_classes_to_fit(tmp_path):
    paint(tmp_path, "train/ant/1.png", "train/bee/1.png", "train/bee/22.png", "train/cat/1.png")
    paint(tmp_path, "test/cat/1.png", "test/ant/333.png")
    data = SETTINGS.open("insects", tmp_path, EvaluationTransform(4))
    assert (data.name, data.averaged_as) == ("insects", "all")
    assert data.training_labels.tolist() == [0, 1, 1, 2]
    assert data.labels.tolist() == [0, 2]
    lengths = [len("test/ant/333.png"), len("test/cat/1.png")]
    np.testing.assert_array_equal(all_images(data.pictures)[:, 0, 0, 0], lengths)
    assert len(all_images(data.training)) == 4


def test_a_class_without_pictures_to_fit_is_named(tmp_path):
    paint(tmp_path, "train/ant/1.png", "test/bee/1.png")
    (tmp_path / "train" / "bee").mkdir()
    with pytest.raises(DataError, match=r"train: no pictures of the class 'bee', which .*test has"):
        SETTINGS.open("insects", tmp_path, EvaluationTransform(4))
