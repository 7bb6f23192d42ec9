import json
import logging

import pytest

from kgclip_jax.data.readers.tar_samples import TarLayout
from kgclip_jax.data.readers.webdataset import TarPictures, expand
from kgclip_jax.errors import BadRecord, DataError
from tests.data.readers.layouts import drawn, webdataset, write_tar

IMAGE = drawn(1)[0].content


def captions_of(root, files, **options):
    """Write one archive of pictures and other files; return sample -> captions, and skips."""
    write_tar(root / "0.tar", files)
    records = TarPictures(root, **options)
    found = [records.record(index) for index in range(len(records))]
    return {record.key: list(record.captions) for record in found}, records.skipped


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"txt": b" one \n"}, ["one"]),
        ({"json": b'{"caption": "one"}'}, ["one"]),
        ({"json": b'{"caption": ["one", "two", "one"]}'}, ["one", "two"]),
        ({"json": b'["one", " two"]'}, ["one", "two"]),
        ({"txt": b"one", "json": b'{"caption": "one", "url": 3}'}, ["one"]),
        ({"txt": b"one", "json": b'{"caption": ["two", "one"]}'}, ["one", "two"]),
        ({"txt": b"one", "json": b'{"caption": null}'}, ["one"]),
        ({"txt": b"one", "json": b'{"url": 3}'}, ["one"]),
        ({"txt": "\ufeffété 猫".encode()}, ["été 猫"]),
        ({"TXT": b"one", "parquet": b"\xff", "cls": b"7"}, ["one"]),
    ],
)
def test_captions_are_found_where_they_are(tmp_path, files, expected):
    files = [("d/000000012.jpg", IMAGE), *((f"d/000000012.{s}", files[s]) for s in files)]
    assert captions_of(tmp_path, files) == ({"0.tar/d/000000012": expected}, {})


def test_pictures_are_told_by_their_suffix(tmp_path):
    suffixes = ("jpg", "jpeg", "JPG", "png", "webp")
    files = [(f"{i}.{suffix}", IMAGE) for i, suffix in enumerate(suffixes)]
    texts = [(f"{i}.txt", b"one") for i in range(len(suffixes))]
    captions, skipped = captions_of(tmp_path, files + texts)
    assert captions == {f"0.tar/{i}": ["one"] for i in range(len(suffixes))}
    assert skipped == {}


def test_the_field_of_captions_can_be_chosen(tmp_path):
    about = json.dumps({"caption": "alt text", "recaption": "a long text"}).encode()
    files = [("a.jpg", IMAGE), ("a.json", about)]
    captions, _ = captions_of(tmp_path, files, layout=TarLayout(caption_field="recaption"))
    assert captions == {"0.tar/a": ["a long text"]}


LINES = [("a.jpg", IMAGE), ("a.txt", b"one\ntwo\n\nthree\n"), ("b.jpg", IMAGE), ("b.txt", b"x")]


def test_lines_are_captions_or_none_as_is_said(tmp_path):
    each, _ = captions_of(tmp_path, LINES, layout=TarLayout(caption_per_line=True))
    assert each == {"0.tar/a": ["one", "two", "three"], "0.tar/b": ["x"]}
    whole = {"0.tar/a": ["one two three"], "0.tar/b": ["x"]}
    assert captions_of(tmp_path, LINES, layout=TarLayout(caption_per_line=False))[0] == whole
    assert captions_of(tmp_path, LINES)[0] == whole  # not most of them: a caption with a break
    with pytest.raises(DataError, match=r"1 of 1 \.txt files have several lines: set caption_per"):
        captions_of(tmp_path, LINES[:2])


def test_names_with_more_dots(tmp_path):
    files = [(f"photo.{n}.{s}", c) for n in (1, 2) for s, c in (("jpg", IMAGE), ("txt", b"one"))]
    with pytest.raises(DataError, match=r"photo \(has \.1\.jpg, \.1\.txt, .*; see key_dot\)"):
        captions_of(tmp_path, files)
    found, _ = captions_of(tmp_path, files, layout=TarLayout(key_dot="last"))
    assert found == {"0.tar/photo.1": ["one"], "0.tar/photo.2": ["one"]}


def test_members_of_a_sample_need_not_follow_each_other(tmp_path):
    files = [("a.txt", b"A"), ("b.txt", b"B"), ("b.jpg", IMAGE + b"b"), ("a.jpg", IMAGE + b"a")]
    write_tar(tmp_path / "0.tar", files)
    records = TarPictures(tmp_path)
    for index, key in enumerate("ab"):
        assert list(records.record(index).captions) == [key.upper()]
        assert records.encoded(index) == IMAGE + key.encode()


BAD = {
    "no caption": ([("x.jpg", IMAGE)], {"image without caption": 1}),
    "blank": (
        [("x.jpg", IMAGE), ("x.txt", b" \n")],
        {"image without caption": 1, "empty caption": 1},
    ),
    "no image": ([("x.txt", b"text"), ("x.json", b"{}")], {"sample without image": 1}),
    "not UTF-8": (
        [("x.jpg", IMAGE), ("x.txt", b"\xff\xff")],
        {"unreadable caption file": 1, "image without caption": 1},
    ),
    "not JSON": (
        [("x.jpg", IMAGE), ("x.txt", b"text"), ("x.json", b'{"caption')],
        {"unreadable caption file": 1},
    ),
    "deep JSON": (
        [("x.jpg", IMAGE), ("x.txt", b"text"), ("x.json", b"[" * 100_000)],
        {"unreadable caption file": 1},
    ),
    "a number": (
        [("x.jpg", IMAGE), ("x.txt", b"text"), ("x.json", b'{"caption": 7}')],
        {"unreadable caption file": 1},
    ),
    "numbers": (
        [("x.jpg", IMAGE), ("x.txt", b"text"), ("x.json", b'{"caption": [7]}')],
        {"unreadable caption file": 1},
    ),
    "huge": (
        [("x.jpg", IMAGE), ("x.txt", b"text " * 2**18)],
        {"unreadable caption file": 1, "image without caption": 1},
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_samples_are_counted_up_to_a_share(tmp_path, caplog, name):
    bad, counts = BAD[name]
    good = [(f"{i}.{s}", c) for i in range(9) for s, c in (("jpg", IMAGE), ("txt", b"good"))]
    with caplog.at_level(logging.WARNING):
        captions, skipped = captions_of(tmp_path, good + bad, bad_share=0.1)
    assert skipped == counts
    assert [captions[f"0.tar/{i}"] for i in range(9)] == [["good"]] * 9
    assert captions.get("0.tar/x", ["text"]) == ["text"]
    assert str(skipped) in caplog.text
    reason = next(iter(skipped))
    with pytest.raises(DataError, match=rf"{reason}: 1 of 10, .*: 0\.tar/x"):
        TarPictures(tmp_path, bad_share=0.09)


def test_members_without_a_name_are_passed_over(tmp_path):
    (picture,) = drawn(1)
    files = [("/", b"x"), ("a.jpg", picture.content), ("a.txt", b"a picture")]
    assert len(TarPictures(write_tar(tmp_path / "a.tar", files).parent)) == 1


def test_a_file_that_is_there_twice(tmp_path):
    files = [("a.jpg", IMAGE), ("a.txt", b"one"), ("a.jpg", IMAGE)]
    with pytest.raises(DataError, match=r"0\.tar: 'a\.jpg' is in the archive twice"):
        captions_of(tmp_path, files)


def test_equal_names_in_two_archives_are_two_records(tmp_path):
    for number in range(2):
        write_tar(tmp_path / f"{number}.tar", [("a.jpg", IMAGE), ("a.txt", b"text")])
    records = TarPictures(tmp_path)
    assert [records.record(i).key for i in range(2)] == ["0.tar/a", "1.tar/a"]


def test_a_truncated_archive_is_named_with_its_last_whole_member(tmp_path):
    webdataset(tmp_path, drawn(8))
    path = tmp_path / "00001.tar"
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b"000010003.png") + 700])
    message = (
        r"damaged archive: 1 of 2.*00001\.tar: ends within '000010003\.png'.*'000010002\.json'"
    )
    with pytest.raises(DataError, match=message):
        TarPictures(tmp_path)
    records = TarPictures(tmp_path, bad_share=0.5)
    assert records.skipped == {"damaged archive": 1}
    # the last sample with whole members is left out too: more of it may have followed
    assert len(records) == 4 + 2
    for index, picture in enumerate(drawn(8)[:6]):
        assert records.encoded(index) == picture.content


def test_an_archive_that_shrinks_later_gives_bad_records(tmp_path):
    webdataset(tmp_path, drawn(4))
    records = TarPictures(tmp_path)
    path = tmp_path / "00001.tar"
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(BadRecord, match=r"00001\.tar: has become shorter"):
        records.encoded(3)
    path.unlink()
    with pytest.raises(BadRecord, match=r"00001\.tar: No such file"):
        records.encoded(3)
    assert records.encoded(0)


def test_archives_are_chosen_by_pattern(tmp_path):
    for number in range(12):
        (tmp_path / f"{number:03}.tar").touch()
    assert expand(tmp_path, "00*.tar") == [f"00{number}.tar" for number in range(10)]
    assert expand(tmp_path, "{008..011}.tar") == ["008.tar", "009.tar", "010.tar", "011.tar"]
    assert expand(tmp_path, "0{0..1}{0..1}.tar") == ["000.tar", "001.tar", "010.tar", "011.tar"]
    with pytest.raises(DataError, match=r"012\.tar: no such files"):
        expand(tmp_path, "{008..012}.tar")
    with pytest.raises(DataError, match=r"\*\.zip: no such files"):
        expand(tmp_path, "*.zip")


def test_no_usable_picture_at_all(tmp_path):
    with pytest.raises(DataError, match="no usable pictures in 1 archives"):
        captions_of(tmp_path, [])
