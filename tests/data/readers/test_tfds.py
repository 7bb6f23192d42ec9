import json
import pickle
import shutil
import subprocess
import sys

import pytest

from kgclip_jax.data.readers.tfds import TfdsPictures
from kgclip_jax.errors import BadRecord, DataError
from tests.data.readers.layouts import THUMBNAIL, Picture, drawn, tfds

# TFDS reads descriptions in a way that protobuf 6 (of apache-beam) warns of, 7 does not.
pytestmark = pytest.mark.filterwarnings(r"ignore:label\(\) is deprecated:DeprecationWarning")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("tfds")
    pictures = [*drawn(5), Picture("blank.jpg", drawn(6)[5].content, ["  ", ""])]
    tfds(root, pictures)
    return root


@pytest.fixture
def blank(folder):
    """The number of the example without a caption."""
    titles = TfdsPictures(folder, "tiny", "train", captions="about.title")
    return [list(titles.record(i).captions) for i in range(6)].index(["blank.jpg"])


def test_a_feature_of_one_text(folder):
    records = TfdsPictures(folder, "tiny", "train", captions="about.title")
    titles = sorted(text for i in range(6) for text in records.record(i).captions)
    assert titles == sorted([*(picture.name for picture in drawn(5)), "blank.jpg"])


def test_a_feature_of_several_texts(folder, blank):
    records = TfdsPictures(folder, "tiny", "train", captions="texts")
    expected = TfdsPictures(folder, "tiny", "train")
    for index in set(range(6)) - {blank}:
        assert records.record(index) == expected.record(index)


def test_a_nested_picture(folder):
    records = TfdsPictures(folder, "tiny", "train", image="about.thumbnail")
    assert {records.encoded(index) for index in range(6)} == {THUMBNAIL}


def test_features_of_other_kinds(folder):
    records = TfdsPictures(folder, "tiny", "train", captions="captions.id")
    with pytest.raises(DataError, match=r"the feature 'captions\.id' is no text"):
        records.record(0)
    for image in ("captions", "about.title"):
        with pytest.raises(DataError, match=f"the feature '{image}' is no picture"):
            TfdsPictures(folder, "tiny", "train", image=image)


def test_an_example_without_a_caption_is_a_bad_record(folder, blank):
    records = TfdsPictures(folder, "tiny", "train")
    with pytest.raises(BadRecord, match=rf"tiny/train: example {blank}: no caption"):
        records.record(blank)
    assert records.encoded(blank) == drawn(6)[5].content


def test_a_part_of_a_split_and_an_exact_version(folder):
    for name in ("tiny/1.0.0", "tiny:1.0.0"):
        records = TfdsPictures(folder, name, "train[:2]", captions="about.title")
        assert len(records) == 2
        assert records.record(1).key == "train[:2]/1"


@pytest.mark.parametrize(
    ("dataset", "split", "features", "message"),
    [
        ("tinny", "train", {}, r"tinny: no data set; make it by tfds build tinny --data_dir=.*"),
        ("tiny/2.0.0", "train", {}, r"tiny/2\.0\.0: no data set"),
        ("coco_captions", "train", {}, "no data set; make it by tfds build coco_captions"),
        ("tiny", "test", {}, r"tiny/test: no such examples .*'test'.*; there are train"),
        ("tiny", "train[", {}, r"train\[: no such examples"),
        ("tiny", "train[:0]", {}, r"train\[:0\]: no such examples"),
        ("tiny", "train", {"image": "picture"}, "no feature 'picture', .*there are .*image"),
        ("tiny", "train", {"captions": "captions.txt"}, "'txt' is missing; there are .*text"),
        ("tiny", "train", {"captions": "about.title.text"}, "'text' is missing; there are none"),
    ],
)
def test_what_is_not_there_is_named(folder, dataset, split, features, message):
    with pytest.raises(DataError, match=message):
        TfdsPictures(folder, dataset, split, **features)


def test_several_versions_must_be_told_apart(folder, tmp_path):
    for version in ("1.0.0", "1.1.0"):
        (tmp_path / "tiny" / "2014" / version).mkdir(parents=True)
        (tmp_path / "tiny" / "2014" / version / "dataset_info.json").touch()
    with pytest.raises(DataError, match=r"choose one of tiny/2014/1\.0\.0, tiny/2014/1\.1\.0"):
        TfdsPictures(tmp_path, "tiny", "train")


@pytest.mark.parametrize("name", ["dataset_info.json", "features.json"])
def test_a_malformed_description(folder, tmp_path, name):
    shutil.copytree(folder / "tiny" / "1.0.0", tmp_path / "tiny")
    (tmp_path / "tiny" / name).write_text("{")
    with pytest.raises(DataError, match=r"tiny: not a data set that TFDS can read"):
        TfdsPictures(tmp_path, "tiny", "train")


def test_files_that_cannot_be_read_at_random(folder, tmp_path):
    shutil.copytree(folder / "tiny" / "1.0.0", tmp_path / "tiny")
    info = tmp_path / "tiny" / "dataset_info.json"
    info.write_text(json.dumps(json.loads(info.read_text()) | {"fileFormat": "tfrecord"}))
    with pytest.raises(DataError, match=r"read at random; build .* --file_format=array_record"):
        TfdsPictures(tmp_path, "tiny", "train")


def test_damaged_files_give_bad_records(folder, tmp_path):
    shutil.copytree(folder / "tiny" / "1.0.0", tmp_path / "tiny")
    (shard,) = (tmp_path / "tiny").glob("*.array_record-*")
    content = bytearray(shard.read_bytes())
    content[1500] ^= 255
    shard.write_bytes(content)
    records = TfdsPictures(tmp_path, "tiny", "train")
    bad = []
    for index in range(6):
        try:
            records.encoded(index)
        except BadRecord as error:
            bad.append(str(error))
    assert len(bad) == 1
    assert "hash mismatch" in bad[0]


def test_neither_tensorflow_nor_its_pictures_are_loaded(folder):
    """A worker gets a copy, opens the files itself, and needs no TensorFlow."""
    script = (
        "import pickle, sys\n"
        "records = pickle.loads(sys.stdin.buffer.read())\n"
        "assert 'tensorflow_datasets' not in sys.modules\n"
        "assert len(records) == 6\n"
        "print(len(records.encoded(0)))\n"
        "assert 'tensorflow' not in sys.modules\n"
    )
    records = TfdsPictures(folder, "tiny", "train")
    done = subprocess.run(
        [sys.executable, "-c", script], input=pickle.dumps(records), capture_output=True, check=True
    )
    assert int(done.stdout) == len(records.encoded(0))


def test_the_extra_package_is_named_where_it_is_missing(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(DataError, match=r"pip install -r requirements-tfds\.txt"):
        TfdsPictures(tmp_path, "tiny", "train")
