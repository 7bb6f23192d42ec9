import json
import logging
import pickle

import pytest

from kgclip_jax.data.packed_texts import PackedTexts
from kgclip_jax.data.readers.folders import open_folder
from kgclip_jax.data.readers.picture_files import Entry, PictureFiles
from kgclip_jax.data.readers.record_table import RecordTable
from kgclip_jax.data.records import Record
from kgclip_jax.data.skips import EMPTY_CAPTION, NO_CAPTION, Skips
from kgclip_jax.errors import BadRecord, DataError
from tests.data.readers.layouts import Picture, drawn, flickr


def write(root, captions, present=None):
    """Write a Flickr folder: all captions, and the pictures that are `present` (None: all)."""
    pictures = [
        Picture(name, picture.content, texts)
        for (name, texts), picture in zip(captions.items(), drawn(len(captions)), strict=True)
    ]
    flickr(root, pictures)
    for name in captions:
        if present is not None and name not in present:
            (root / "images" / name).unlink()
    return root


def numbered(count):
    return {f"{i}.jpg": [f"picture {i} text {c}" for c in range(2)] for i in range(count)}


def test_splits_choose_pictures(tmp_path):
    write(tmp_path, numbered(4))
    (tmp_path / "splits.json").write_text('{"train": ["3.jpg", "0.jpg"], "dev": ["1.jpg"]}')
    train, dev = (open_folder(tmp_path, split) for split in ("train", "dev"))
    assert [train.record(i).key for i in range(len(train))] == ["3.jpg", "0.jpg"]
    assert [dev.file(i) for i in range(len(dev))] == [tmp_path / "images" / "1.jpg"]
    assert (train.name, dev.name) == (f"{tmp_path.name}/train", f"{tmp_path.name}/dev")


def test_missing_pictures_and_empty_captions_are_counted(tmp_path, caplog):
    captions = numbered(30)
    captions["4.jpg"] = ["", "kept"]
    captions["5.jpg"] = [" \t"]
    write(tmp_path, captions, present=set(captions) - {"7.jpg"})
    with caplog.at_level(logging.WARNING):
        records = open_folder(tmp_path)
    assert records.skipped == {
        "missing image": 1,
        "image without caption": 1,
        "empty caption": 2,
    }
    assert len(records) == 28
    assert records.record(4) == Record("4.jpg", ["kept"])
    assert records.record(5).key == "6.jpg"
    assert len(caplog.records) == 1
    assert str(records.skipped) in caplog.text


def test_too_many_missing_pictures_are_named(tmp_path):
    captions = numbered(30)
    write(tmp_path, captions, present=set(captions) - {"7.jpg", "9.jpg"})
    with pytest.raises(DataError, match=r"missing image: 2 of 30.*0\.05.*7\.jpg, 9\.jpg$"):
        open_folder(tmp_path)
    assert len(open_folder(tmp_path, bad_share=0.1)) == 28


def test_too_many_empty_captions_are_refused(tmp_path):
    write(tmp_path, numbered(10) | {"3.jpg": ["", " ", "left"]})
    with pytest.raises(DataError, match=r"empty caption: 2 of 21.*3\.jpg"):
        open_folder(tmp_path)


@pytest.mark.parametrize(("captions", "share"), [({}, 0.05), (numbered(3), 1.0)])
def test_no_pictures_at_all(tmp_path, captions, share):
    write(tmp_path, captions, present=[])
    with pytest.raises(DataError, match="no usable pictures"):
        open_folder(tmp_path, bad_share=share)


def test_a_picture_that_has_gone_is_a_bad_record_that_names_the_file(tmp_path):
    records = open_folder(write(tmp_path, numbered(2)))
    (tmp_path / "images" / "1.jpg").unlink()
    with pytest.raises(BadRecord, match=r"images/1\.jpg: No such file"):
        records.encoded(1)
    assert records.encoded(0)


def test_repeated_ids_are_refused(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"")
    entries = [Entry(Record(key, ("text",)), "a.jpg") for key in ("x", "y", "z", "y")]
    with pytest.raises(DataError, match=r"list\.json: several records have the id 'y'"):
        PictureFiles(
            entries, name="n", folder=tmp_path, listing=tmp_path / "list.json", bad_share=0.0
        )


def test_flaws_are_counted_as_a_share_of_the_entries(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"")
    entries = [
        Entry(Record(str(i), ("text",)), "a.jpg", "strange" if i == 2 else None) for i in range(10)
    ]
    options = {"name": "n", "folder": tmp_path, "listing": tmp_path}
    assert PictureFiles(entries, bad_share=0.1, **options).skipped == {"strange": 1}
    with pytest.raises(DataError, match=r"strange: 1 of 10.*: 2$"):
        PictureFiles(entries, bad_share=0.09, **options)


def test_texts_of_any_kind_are_packed_tightly(tmp_path):
    strange = ["", "été 猫", "\ud800 half a pair", "line\nline", "🙂" * 50]
    texts = pickle.loads(pickle.dumps(PackedTexts(strange)))
    assert [texts[i] for i in range(5)] == strange
    texts = PackedTexts(["a caption of ordinary length, about fifty letters"] * 10_000)
    assert len(pickle.dumps(texts)) < 10_000 * 60
    with pytest.raises(IndexError):
        texts[10_000]


def test_captions_are_cleaned_and_those_of_nothing_but_entities_are_blank():
    table, skips = RecordTable(), Skips()
    assert table.add(Record("1.jpg", ["A DOG &amp;amp; A CAT", " &nbsp; ", "A  Dog"]), skips)
    assert table[0].captions == ["a dog & a cat", "A Dog"]
    assert not table.add(Record("2.jpg", ["&nbsp;"]), skips)
    assert skips.counts == {EMPTY_CAPTION: 2, NO_CAPTION: 1}


def test_captions_of_coco_that_are_no_valid_unicode(tmp_path):
    pictures = drawn(1)
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / pictures[0].name).write_bytes(pictures[0].content)
    (tmp_path / "annotations").mkdir()
    content = {
        "images": [{"id": 1, "file_name": pictures[0].name}],
        "annotations": [{"image_id": 1, "caption": "\ud800 half a pair"}],
    }
    (tmp_path / "annotations" / "captions_val.json").write_text(json.dumps(content))
    records = open_folder(tmp_path, "val")
    assert list(records.record(0).captions) == ["\ufffd half a pair"]
