"""What holds for the records of every reader."""

import pickle
import struct
import zlib

import numpy as np
import pytest

from kgclip_jax.data.images import evaluation_transform
from kgclip_jax.data.lazy_pictures import EvaluationTransform
from kgclip_jax.data.photographs import Photographs, retrieval_set
from kgclip_jax.data.records import Records, Source
from kgclip_jax.errors import BadRecord
from kgclip_jax.knowledge.clean_captions import clean_caption
from kgclip_jax.random import generator
from tests.array_pictures import all_images
from tests.data.readers.layouts import LAYOUTS, Picture, drawn, encode, photographs

# TFDS reads descriptions in a way that protobuf 6 (of apache-beam) warns of, 7 does not.
pytestmark = pytest.mark.filterwarnings(r"ignore:label\(\) is deprecated:DeprecationWarning")


def bomb():
    """A picture whose header promises 80 million pixels."""
    content = encode(np.zeros((1, 1, 3), np.uint8))
    header = b"IHDR" + struct.pack(">II", 20_000, 4_000) + content[24:29]
    content = content[:12] + header + struct.pack(">I", zlib.crc32(header)) + content[33:]
    return Picture("bomb.png", content, ["x"])


@pytest.fixture(scope="module", params=LAYOUTS)
def written(request, tmp_path_factory):
    root = tmp_path_factory.mktemp(request.param)
    pictures = drawn(7)
    return LAYOUTS[request.param](root, pictures), root, pictures


@pytest.fixture
def records(written):
    settings, root, _ = written
    return settings.records(root)


@pytest.fixture
def pictures(written, records):
    """The pictures in the order of the records: TFDS shuffles."""
    by_content = {picture.content: picture for picture in written[2]}
    return [by_content[records.encoded(index)] for index in range(len(records))]


def test_captions_and_pictures_belong_together(records, pictures):
    assert isinstance(records, Records)
    assert sorted(pictures) == drawn(7)
    assert records.skipped == {}
    for index, picture in enumerate(pictures):
        record = records.record(index)
        assert list(record.captions) == picture.captions
        assert record.box is None


def test_keys_tell_records_apart_and_stay(records, written):
    keys = [records.record(index).key for index in range(len(records))]
    assert len(set(keys)) == 7
    again = written[0].records(written[1])
    assert keys == [again.record(index).key for index in range(7)]


def test_a_copy_for_a_worker_is_small_and_gives_the_same(records):
    records.encoded(0)  # opens files
    pickled = pickle.dumps(records)
    assert len(pickled) < 3000
    copy = pickle.loads(pickled)
    assert copy.name == records.name
    for index in range(len(records)):
        assert copy.record(index) == records.record(index)
        assert copy.encoded(index) == records.encoded(index)


def test_there_are_no_other_records(records):
    for index in (-1, 7):
        with pytest.raises(IndexError):
            records.record(index)


def test_they_can_be_trained_on(records, pictures):
    source = Photographs(records, size=16)
    assert isinstance(source, Source)
    assert (source.name, len(source)) == (records.name, 7)
    for index, picture in enumerate(pictures):
        assert source.caption(index, generator(0, "caption", index)).text in picture.captions
        pixels = source.image(index, generator(0, "image", index))
        expected = evaluation_transform(picture.content, 16).mean((0, 1))
        np.testing.assert_allclose(pixels.mean((0, 1)), expected, atol=2)


def test_they_can_be_evaluated_on(records, pictures):
    result = retrieval_set(records, EvaluationTransform(16))
    assert result.name == records.name
    assert list(result.captions) == [text for p in pictures for text in p.captions]
    np.testing.assert_array_equal(result.owners, np.repeat(np.arange(7), 2))
    for image, picture in zip(all_images(result.pictures), pictures, strict=True):
        np.testing.assert_array_equal(image, evaluation_transform(picture.content, 16))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_image_of_huge_dimensions_is_a_bad_record(layout, tmp_path):
    records = LAYOUTS[layout](tmp_path, [*drawn(3), bomb()]).records(tmp_path)
    (index,) = (i for i in range(4) if records.encoded(i) == bomb().content)
    with pytest.raises(BadRecord, match="20000 x 4000 pixels, more than"):
        Photographs(records, size=16).image(index, generator(0, "x"))
    data = retrieval_set(records, EvaluationTransform(16), bad_share=0.25)
    readable = [good for _, batch in data.pictures.batches() for good in batch]
    assert (len(readable), sum(readable)) == (4, 3)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_real_photographs(layout, shared_data, tmp_path):
    originals = photographs(shared_data / "coco_mini", 12)
    records = LAYOUTS[layout](tmp_path, originals).records(tmp_path)
    result = retrieval_set(records, EvaluationTransform(64))
    images = all_images(result.pictures)
    by_caption = {clean_caption(picture.captions[0]): picture for picture in originals}
    assert len(by_caption) == len(images) == 12
    for index, image in enumerate(images):
        texts = np.array(result.captions)[result.owners == index]
        picture = by_caption[texts[0]]
        assert texts.tolist() == list(map(clean_caption, picture.captions))
        np.testing.assert_array_equal(image, evaluation_transform(picture.content, 64))
