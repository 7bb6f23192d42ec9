import json
from collections import defaultdict

import numpy as np
import pytest

from kgclip_jax.data.images import Box, image_size
from kgclip_jax.data.lazy_pictures import EvaluationTransform
from kgclip_jax.data.photographs import Photographs, retrieval_set
from kgclip_jax.data.readers.visual_genome import open_regions, picture_id
from kgclip_jax.data.records import Record
from kgclip_jax.errors import DataError
from kgclip_jax.random import generator
from tests.array_pictures import all_images
from tests.data.readers.layouts import Picture, drawn, encode, write_files

URL = "https://cs.stanford.edu/people/rak248/VG_100K{}/{}.jpg"


def region(number, box=(3, 4, 10, 20), phrase="the clock is green"):
    top, left, height, width = box
    place = {"x": left, "y": top, "width": width, "height": height}
    return {"region_id": number, "image_id": 1, "phrase": phrase, **place}


def write(folder, regions, images=None):
    """Write pictures 1 and 2 of 30 x 40 pixels, each in a folder of its own."""
    for number, (picture, part) in enumerate(zip(drawn(2), ("", "_2"), strict=True), 1):
        write_files(folder / f"VG_100K{part}", [Picture(f"{number}.jpg", picture.content, [])])
    size = {"width": 40, "height": 30}
    images = images or [
        {"image_id": 1, "url": URL.format("", 1), "coco_id": None} | size,
        {"image_id": 2, "url": URL.format("_2", 2)} | size,
    ]
    entries = [{"id": number, "regions": regions[number]} for number in regions]
    (folder / "image_data.json").write_text(json.dumps(images))
    (folder / "region_descriptions.json").write_text(json.dumps(entries))
    return folder


def test_every_region_is_a_record(tmp_path):
    regions = {1: [region(11), region(12, phrase="a wall")], 2: [region(21, (0, 0, 30, 40))]}
    records = open_regions(write(tmp_path, regions))
    assert records.name == f"{tmp_path.name}/regions"
    assert [records.record(index) for index in range(3)] == [
        Record("1/11", ["the clock is green"], Box(3, 4, 10, 20)),
        Record("1/12", ["a wall"], Box(3, 4, 10, 20)),
        Record("2/21", ["the clock is green"], Box(0, 0, 30, 40)),
    ]
    contents = [picture.content for picture in drawn(2)]
    assert [records.encoded(i) for i in range(3)] == [contents[0], contents[0], contents[1]]


def test_old_files_say_id(tmp_path):
    old = {**region(11), "id": 7}
    del old["region_id"]
    images = [{"id": 1, "url": URL.format("", 1), "width": 40, "height": 30}]
    records = open_regions(write(tmp_path, {1: [old]}, images))
    assert records.record(0).key == "1/7"


@pytest.mark.parametrize("key", ["17/1382", "17.jpg", "17", "VG_100K_2/17.jpg", "a/3/17.png"])
def test_keys_name_their_picture(key):
    assert picture_id(key) == "17"


@pytest.mark.parametrize("key", ["dog.jpg", "17/b", "17/dog.jpg", "17a.jpg", "", "17.jpg/"])
def test_keys_without_a_picture_are_refused(key):
    with pytest.raises(DataError, match=f"the record '{key}' is no picture of Visual Genome"):
        picture_id(key)


def test_boxes_are_cut_to_their_picture(tmp_path):
    boxes = [(-5, -6, 20, 20), (20, 30, 99, 99), (30, 0, 5, 5), (0, 0, 0, 9), (-9, 0, 9, 9)]
    regions = {1: [region(number, box) for number, box in enumerate(boxes)]}
    with pytest.raises(DataError, match=r"box outside of its image: 3 of 5.*: 1/2, 1/3, 1/4$"):
        open_regions(write(tmp_path, regions))
    records = open_regions(tmp_path, bad_share=0.6)
    assert records.skipped == {"box outside of its image": 3}
    assert [records.record(i).box for i in range(2)] == [Box(0, 0, 15, 14), Box(20, 30, 10, 10)]


@pytest.mark.parametrize(
    ("regions", "message"),
    [
        ([region(1), region(1)], r"several records have the id '1/1'"),
        ([{**region(1), "phrase": None}], r"\[0\]\.regions\[0\] has no 'phrase' of type str"),
        ([{**region(1), "x": "4"}], r"\[0\]\.regions\[0\] has no 'x' of type int"),
        ([{**region(1), "y": float("nan")}], r"\[0\]\.regions\[0\] has no 'y' of type int"),
        ([{**region(1), "region_id": "1"}], r"\[0\]\.regions\[0\] has no 'region_id' of type int"),
        (None, r"expected a list under '\[0\]\.regions'"),
        ([region(1, phrase=" ")], r"empty caption: 1 of 1, .*: 1/1$"),
    ],
)
def test_malformed_regions_are_named(tmp_path, regions, message):
    with pytest.raises(DataError, match=rf"region_descriptions\.json.*{message}"):
        open_regions(write(tmp_path, {1: regions}))


IMAGE = {"image_id": 1, "url": URL.format("", 1), "width": 40, "height": 30}


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ([IMAGE, IMAGE], r"image_data\.json: \[1\] repeats the image id 1"),
        ([{**IMAGE, "image_id": 5}], r"\[0\] has the image id 1, not in image_data\.json"),
        ([{**IMAGE, "width": None}], r"image_data\.json: \[0\] has no 'width' of type int"),
        ([{**IMAGE, "url": URL.format("", 9)}], r"missing image: 1 of 1.*VG_100K/9\.jpg"),
    ],
)
def test_malformed_images_are_named(tmp_path, images, message):
    with pytest.raises(DataError, match=message):
        open_regions(write(tmp_path, {1: [region(1)]}, images))


def test_a_file_that_is_cut_off(tmp_path):
    write(tmp_path, {1: [region(1)]})
    path = tmp_path / "region_descriptions.json"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DataError, match=r"region_descriptions\.json, line 1: entry 0 .* whole\?"):
        open_regions(tmp_path)


def test_a_picture_that_is_smaller_than_the_file_says(tmp_path):
    """The box is cut to what there is, and when nothing is left the record is bad."""
    regions = {1: [region(1, (10, 10, 20, 20)), region(2, (20, 20, 10, 20))]}
    write(tmp_path, regions)
    small = np.full((18, 18, 3), 77, np.uint8)
    (tmp_path / "VG_100K" / "1.jpg").write_bytes(encode(small, "png"))
    result = retrieval_set(open_regions(tmp_path), EvaluationTransform(8), bad_share=0.5)
    readable = [good for _, batch in result.pictures.batches() for good in batch]
    assert readable == [True, False]


def test_regions_of_real_photographs(shared_data, tmp_path):
    """Boxes that people drew: the crop of training is what they hold."""
    folder = shared_data / "coco_mini" / "annotations"
    images = json.loads((folder / "captions_train2017.json").read_text())["images"]
    things = json.loads((folder / "instances_train2017_boxes_partial.json").read_text())
    (tmp_path / "VG_100K").symlink_to(shared_data / "coco_mini" / "train2017")
    entries, shrunk = [], {}  # the files are smaller than the annotated pictures
    for image in images:
        name = image["file_name"]
        height, width = image_size((tmp_path / "VG_100K" / name).read_bytes())
        shrunk[image["id"]] = width / image["width"]
        url = URL.format("", name.removesuffix(".jpg"))
        entries.append({"image_id": image["id"], "url": url, "width": width, "height": height})
    boxes = [a for a in things["annotations"] if min(a["bbox"][2:]) > 60][:20]
    regions = defaultdict(list)
    for number, annotation in enumerate(boxes):
        factor = shrunk[annotation["image_id"]]
        left, top, width, height = (round(edge * factor) for edge in annotation["bbox"])
        about = region(number, (top, left, height, width), f"thing {number}")
        regions[annotation["image_id"]].append(about)
    (tmp_path / "image_data.json").write_text(json.dumps(entries))
    (tmp_path / "region_descriptions.json").write_text(
        json.dumps([{"id": image, "regions": about} for image, about in regions.items()])
    )
    records = open_regions(tmp_path)
    training = Photographs(records, size=24, scale=(1.0, 1.0))
    images = all_images(retrieval_set(records, EvaluationTransform(24, "squash")).pictures)
    assert len(training) == len(images) == len(boxes) == 20
    differences = [
        np.abs(images[i].mean((0, 1)) - training.image(i, generator(0, "x")).mean((0, 1)))
        for i in range(20)
    ]
    assert np.median(differences) < 6
