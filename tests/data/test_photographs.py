import csv
import io
import json
import logging
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kgclip_jax.data.packed_texts import PackedTexts
from kgclip_jax.data.photographs import Photographs, retrieval_set
from kgclip_jax.errors import BadRecord, DataError
from kgclip_jax.random import generator
from kgclip_jax.types import Caption

SIZE = 16


def colour(index):
    """A colour that tells the pictures of a test apart."""
    return np.array([40 + 20 * (index % 10), 200 - 15 * (index % 10), 90], np.uint8)


def write_picture(path, index):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((30, 40, 3), colour(index))).save(path, quality=95)


def write_flickr(folder, captions, present=None):
    """Write a Flickr folder: all captions, and the pictures that are `present` (None: all)."""
    for index, name in enumerate(captions):
        if present is None or name in present:
            write_picture(folder / "images" / name, index)
    table = io.StringIO()
    rows = [(name, text) for name, texts in captions.items() for text in texts]
    csv.writer(table).writerows([("image", "caption"), *rows])
    (folder / "captions.txt").write_text(table.getvalue())
    return folder


def numbered(count, captions_each=2):
    return {
        f"{i}.jpg": [f"picture {i} text {c}" for c in range(captions_each)] for i in range(count)
    }


@pytest.fixture
def shared_data():
    """Folder of the data sets that developers keep outside the repository."""
    default = Path(__file__).parents[3] / "shared" / "data"
    folder = Path(os.environ.get("KGCLIP_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"no real photographs in {folder}; set KGCLIP_DATA")
    return folder


class TestRecords:
    def test_pictures_and_captions_belong_together(self, tmp_path):
        photographs = Photographs(write_flickr(tmp_path, numbered(4)), size=SIZE)
        assert len(photographs) == 4
        assert photographs.skipped == {}
        for index in range(4):
            pixels = photographs.image(index, generator(0, "image", index))
            assert np.abs(pixels.astype(int) - colour(index)).max() <= 3
            caption = photographs.caption(index, generator(0, "caption", index))
            assert caption in [Caption(f"picture {index} text {c}") for c in range(2)]
            assert photographs.captions(index) == numbered(4)[f"{index}.jpg"]

    def test_every_caption_is_chosen_equally_often(self, tmp_path):
        photographs = Photographs(write_flickr(tmp_path, numbered(2, 3)), size=SIZE)
        texts = [photographs.caption(1, generator(0, "caption", i)).text for i in range(600)]
        counts = [texts.count(text) for text in photographs.captions(1)]
        assert sum(counts) == 600
        assert min(counts) > 150

    def test_splits_choose_pictures(self, tmp_path):
        write_flickr(tmp_path, numbered(4))
        (tmp_path / "splits.json").write_text('{"train": ["3.jpg", "0.jpg"], "dev": ["1.jpg"]}')
        train, dev = (Photographs(tmp_path, split, size=SIZE) for split in ("train", "dev"))
        assert [train.file(i).name for i in range(len(train))] == ["3.jpg", "0.jpg"]
        assert [dev.file(i).name for i in range(len(dev))] == ["1.jpg"]
        assert (train.name, dev.name) == (f"{tmp_path.name}/train", f"{tmp_path.name}/dev")

    def test_coco_folder(self, tmp_path):
        content = {
            "images": [{"id": 5, "file_name": "0.jpg"}, {"id": 3, "file_name": "1.jpg"}],
            "annotations": [
                {"image_id": 3, "caption": "one"},
                {"image_id": 5, "caption": "nought"},
            ],
        }
        (tmp_path / "annotations").mkdir()
        (tmp_path / "annotations" / "captions_val2017.json").write_text(json.dumps(content))
        for index in range(2):
            write_picture(tmp_path / "val2017" / f"{index}.jpg", index)
        photographs = Photographs(tmp_path, "val", size=SIZE)
        assert [photographs.captions(i) for i in range(2)] == [["nought"], ["one"]]
        assert (
            np.abs(photographs.image(1, generator(0, "x"))[0, 0].astype(int) - colour(1)).max() < 4
        )

    def test_pickled_source_gives_the_same_and_is_small(self, tmp_path):
        captions = {f"sub/{i}.jpg": ["été 猫 " * 3] for i in range(500)}
        write_flickr(tmp_path, captions, present=["sub/499.jpg"])
        photographs = Photographs(tmp_path, size=SIZE, bad_share=1.0)
        copy = pickle.loads(pickle.dumps(photographs))
        assert copy.captions(0) == ["été 猫 " * 3]
        np.testing.assert_array_equal(
            copy.image(0, generator(0, "x")), photographs.image(0, generator(0, "x"))
        )
        texts = PackedTexts(["a caption of ordinary length, about fifty letters"] * 10_000)
        assert len(pickle.dumps(texts)) < 10_000 * 60
        assert texts[9_999] == texts[0]
        with pytest.raises(IndexError):
            texts[10_000]


class TestBadData:
    def test_missing_pictures_and_empty_captions_are_counted(self, tmp_path, caplog):
        captions = numbered(30)
        captions["4.jpg"] = ["", "kept"]
        captions["5.jpg"] = [" \t"]
        write_flickr(tmp_path, captions, present=set(captions) - {"7.jpg"})
        with caplog.at_level(logging.WARNING):
            photographs = Photographs(tmp_path, size=SIZE)
        counts = {"missing image": 1, "image without caption": 1, "empty caption": 2}
        assert photographs.skipped == counts
        assert len(photographs) == 28
        assert photographs.captions(4) == ["kept"]
        assert len(caplog.records) == 1
        assert str(counts) in caplog.text

    def test_too_many_missing_pictures_are_named(self, tmp_path):
        captions = numbered(30)
        write_flickr(tmp_path, captions, present=set(captions) - {"7.jpg", "9.jpg"})
        with pytest.raises(DataError, match=r"missing image: 2 of 30.*0\.05.*7\.jpg, 9\.jpg"):
            Photographs(tmp_path, size=SIZE)
        assert len(Photographs(tmp_path, size=SIZE, bad_share=0.1)) == 28

    def test_too_many_empty_captions_are_refused(self, tmp_path):
        captions = numbered(10) | {"3.jpg": ["", " ", "left"]}
        with pytest.raises(DataError, match=r"empty caption: 2 of 21.*3\.jpg"):
            Photographs(write_flickr(tmp_path, captions), size=SIZE)

    @pytest.mark.parametrize(("captions", "share"), [({}, 0.05), (numbered(3), 1.0)])
    def test_no_pictures_at_all(self, tmp_path, captions, share):
        write_flickr(tmp_path, captions, present=[])
        with pytest.raises(DataError, match="no usable images"):
            Photographs(tmp_path, size=SIZE, bad_share=share)

    @pytest.mark.parametrize("damage", ["truncate", "delete", "replace"])
    def test_unreadable_picture_is_a_bad_record_that_names_the_file(self, tmp_path, damage):
        photographs = Photographs(write_flickr(tmp_path, numbered(2)), size=SIZE)
        path = tmp_path / "images" / "1.jpg"
        match damage:
            case "truncate":
                path.write_bytes(path.read_bytes()[:-40])
            case "delete":
                path.unlink()
            case "replace":
                path.write_text("<html>404</html>")
        with pytest.raises(BadRecord, match=r"images/1\.jpg: "):
            photographs.image(1, generator(0, "x"))
        photographs.image(0, generator(0, "x"))


class TestRetrievalSet:
    def test_pictures_captions_and_owners(self, tmp_path):
        captions = {"0.jpg": ["a", "b", "c"], "1.jpg": ["d"], "2.jpg": ["e", "f"]}
        result = retrieval_set(Photographs(write_flickr(tmp_path, captions), size=SIZE))
        assert result.images.shape == (3, SIZE, SIZE, 3)
        assert list(result.captions) == list("abcdef")
        np.testing.assert_array_equal(result.owners, [0, 0, 0, 1, 2, 2])
        for index, image in enumerate(result.images):
            assert np.abs(image.astype(int) - colour(index)).max() <= 3

    def test_unreadable_pictures_are_left_out_with_their_captions(self, tmp_path, caplog):
        photographs = Photographs(write_flickr(tmp_path, numbered(4)), size=SIZE, bad_share=0.3)
        (tmp_path / "images" / "1.jpg").write_bytes(b"broken")
        with caplog.at_level(logging.WARNING):
            result = retrieval_set(photographs)
        assert "unreadable image': 1" in caplog.text
        assert len(result.images) == 3
        assert [text[:9] for text in result.captions[::2]] == [
            "picture 0",
            "picture 2",
            "picture 3",
        ]
        np.testing.assert_array_equal(result.owners, [0, 0, 1, 1, 2, 2])

    def test_too_many_unreadable_pictures_are_named(self, tmp_path):
        photographs = Photographs(write_flickr(tmp_path, numbered(4)), size=SIZE)
        (tmp_path / "images" / "1.jpg").write_bytes(b"broken")
        with pytest.raises(DataError, match=r"unreadable image: 1 of 4.*1\.jpg"):
            retrieval_set(photographs)


class TestRealData:
    def test_flickr8k(self, shared_data):
        train = Photographs(shared_data / "flickr8k", "train", size=64)
        dev = Photographs(shared_data / "flickr8k", "dev", size=64)
        assert (len(train), len(dev)) == (6000, 1000)
        assert sum(len(dev.captions(i)) for i in range(1000)) == 5000
        assert train.image(5999, generator(0, "x")).std() > 10

    def test_coco_retrieval_set(self, shared_data):
        result = retrieval_set(Photographs(shared_data / "coco_mini", "train", size=64))
        assert result.images.shape == (130, 64, 64, 3)
        assert len(result.captions) == len(result.owners) == 650
