import json

import pytest

from kgclip_jax.data.readers.folders import load_captions, read_folder
from kgclip_jax.errors import DataError

COCO = {
    "images": [{"id": 9, "file_name": "b.jpg"}, {"id": 7, "file_name": "a.jpg"}],
    "annotations": [
        {"id": 1, "image_id": 7, "caption": "a cat"},
        {"id": 2, "image_id": 9, "caption": "a dog"},
        {"id": 3, "image_id": 7, "caption": "the cat"},
    ],
}


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


class TestCsv:
    def test_commas_quotes_blank_lines_and_bom(self, tmp_path):
        path = write(
            tmp_path / "captions.txt",
            '\ufeffimage,caption\r\na.jpg,"one , ""two"" and three"\r\n\r\n'
            "b.jpg,été 猫\r\na.jpg, x\r\n",
        )
        assert load_captions(path) == {
            "a.jpg": ['one , "two" and three', " x"],
            "b.jpg": ["été 猫"],
        }

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (
                "name;text\n",
                r"captions\.txt, line 1: expected a column of pictures .*got 'name;text'",
            ),
            (
                "image,caption\na.jpg,x\nb.jpg,y,z\n",
                r"line 3: 3 fields between ',', and 2 in the header; put a caption",
            ),
            ("image,caption\na.jpg,x\nb.jpg\n", r"line 3: 1 fields between ',', and 2"),
            ('image,caption\na.jpg,x\nb.jpg,"y" z\n', r"line 3: not valid CSV"),
            ('image,caption\na.jpg,"x\ny\n', r"line 2: not valid CSV"),
            (b"image,caption\na.jpg,x\nb.jpg,caf\xe9\n", r"line 3: byte 31 \(0xe9\) is not UTF-8"),
        ],
    )
    def test_malformed_file_is_refused_by_line(self, tmp_path, content, message):
        path = write(tmp_path / "captions.txt", content)
        with pytest.raises(DataError, match=message):
            load_captions(path)


class TestCoco:
    def test_captions_by_file_in_the_order_of_images(self, tmp_path):
        captions = load_captions(write(tmp_path / "c.json", json.dumps(COCO)))
        assert list(captions.items()) == [("b.jpg", ["a dog"]), ("a.jpg", ["a cat", "the cat"])]

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ('{"images": [\n}', r"c\.json, line 2, column 1: not valid JSON"),
            ("[]", "expected an object"),
            ({"images": []}, "expected a list under 'annotations'"),
            ({**COCO, "images": [{"id": 1}]}, r"images\[0\] has no 'file_name' of type str"),
            ({**COCO, "images": ["a.jpg"]}, r"images\[0\] is not an object"),
            ({**COCO, "images": COCO["images"][:1]}, r"annotations\[0\] has image_id 7, not in"),
            ({**COCO, "annotations": [{"image_id": 7, "caption": None}]}, r"annotations\[0\]"),
            (
                {**COCO, "images": [*COCO["images"], {"id": 7, "file_name": "c.jpg"}]},
                r"images\[2\] repeats the id 7",
            ),
        ],
    )
    def test_malformed_file_is_refused_by_key(self, tmp_path, content, message):
        text = content if isinstance(content, str) else json.dumps(content)
        with pytest.raises(DataError, match=message):
            load_captions(write(tmp_path / "c.json", text))


class TestFolder:
    def test_flickr_split(self, tmp_path):
        write(tmp_path / "captions.txt", "image,caption\na.jpg,x\nb.jpg,y\n")
        write(tmp_path / "splits.json", '{"train": ["b.jpg"], "dev": ["a.jpg", "c.jpg"]}')
        (tmp_path / "Images").mkdir()
        images, captions = read_folder(tmp_path, "dev")
        assert images == tmp_path / "Images"
        assert captions == {"a.jpg": ["x"], "c.jpg": ()}
        assert list(read_folder(tmp_path, None).captions) == ["a.jpg", "b.jpg"]

    @pytest.mark.parametrize("split", ["val", "val2017"])
    @pytest.mark.parametrize("images", ["val2017", "images/val2017", "images"])
    def test_coco_split(self, tmp_path, split, images):
        for name in ("train2017", "val2017", "val2017_extra"):
            write(tmp_path / f"annotations/captions_{name}.json", json.dumps(COCO))
        (tmp_path / images).mkdir(parents=True)
        folder = read_folder(tmp_path, split)
        assert folder.images == tmp_path / images
        assert list(folder.captions) == ["b.jpg", "a.jpg"]

    @pytest.mark.parametrize(
        ("files", "split", "message"),
        [
            (
                {},
                "train",
                r"no captions; looked for captions\.txt, .*annotations/.*a \.txt beside",
            ),
            ({"captions.txt": "image,caption\n"}, "train", r"splits\.json: not found"),
            (
                {"captions.txt": "image,caption\n", "results.csv": "image,caption\n"},
                None,
                r"captions\.txt and results\.csv may be meant; set file",
            ),
            (
                {"a.jpg": "", "a.txt": "one\ntwo"},
                None,
                r"1 of 1 \.txt files have several lines: set caption_per_line",
            ),
            (
                {"captions.txt": "image,caption\n", "splits.json": '{"train": []}'},
                "trian",
                "did you mean train",
            ),
            (
                {"captions.txt": "image,caption\n", "splits.json": '{"train": "a.jpg"}'},
                "train",
                "'train' is not a list of image file names",
            ),
            (
                {
                    "annotations/captions_val2014.json": "{}",
                    "annotations/captions_val2017.json": "{}",
                },
                "val",
                "several captions files .* choose one of 'val2014', 'val2017'",
            ),
            ({"annotations/captions_val2017.json": "{}"}, "train", "choose one of 'val2017'"),
        ],
    )
    def test_what_is_not_there_is_named(self, tmp_path, files, split, message):
        for name, content in files.items():
            write(tmp_path / name, content)
        with pytest.raises(DataError, match=message):
            read_folder(tmp_path, split)

    def test_a_text_that_cannot_be_read_is_no_caption(self, tmp_path):
        for name, content in {"a": b"\xff", "b": b"one\n", "d/c": b""}.items():
            write(tmp_path / f"{name}.jpg", b"")
            write(tmp_path / f"{name}.txt", content)
        write(tmp_path / "e.png", b"")
        captions = read_folder(tmp_path, None).captions
        assert captions == {"a.jpg": [], "b.jpg": ["one"], "e.png": [], "d/c.jpg": [""]}

    def test_missing_folder(self, tmp_path):
        with pytest.raises(DataError, match="no such folder"):
            read_folder(tmp_path / "nowhere", "train")
