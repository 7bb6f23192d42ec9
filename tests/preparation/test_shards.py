"""Shards as pure functions: what they hold, that they repeat, and what stays when they fail."""

import hashlib
import json
import pickle
import resource

import pytest
from array_record.python.array_record_module import ArrayRecordReader
from hypothesis import given
from hypothesis import strategies as st

from kgclip_jax.data.images import Box, image_size
from kgclip_jax.data.records import Record
from kgclip_jax.errors import UserError
from kgclip_jax.preparation.shards import ShardPlan, ShardWriter
from kgclip_jax.preparation.shrink import shrink_picture
from kgclip_jax.schema import parse


def plan(records=10, shards=3, **changes):
    values = {"short_side": 16, "quality": 90, "fingerprint": "", "source": {}} | changes
    return ShardPlan(records=records, shards=shards, **values)


@pytest.fixture
def output(tmp_path):
    (tmp_path / "reports").mkdir()
    return tmp_path


def content(path):
    """Pairs of (text, picture) in a shard."""
    reader = ArrayRecordReader(str(path))
    parts = [reader.read([position])[0] for position in range(reader.num_records())]
    return [(json.loads(text), image) for text, image in zip(parts[::2], parts[1::2], strict=True)]


def files(folder):
    return sorted(path.name for path in folder.iterdir())


@given(st.data(), st.integers(1, 300))
def test_ranges_are_consecutive_and_equally_long(data, records):
    some = plan(records, data.draw(st.integers(1, records)))
    ranges = [some.range(number) for number in range(some.shards)]
    assert [index for part in ranges for index in part] == list(range(records))
    assert max(map(len, ranges)) - min(map(len, ranges)) <= 1


@pytest.mark.parametrize(
    "change", [{"shards": 11}, {"shards": 0}, {"short_side": -1}, {"quality": 0}, {"quality": 101}]
)
def test_plans_that_make_no_sense_are_refused(change):
    with pytest.raises(ValueError, match=next(iter(change))):
        plan(**change)


def test_a_shard_holds_its_records_in_order(make_album, output):
    album = make_album()
    for number, indices in enumerate([range(3), range(3, 6), range(6, 10)]):
        report = ShardWriter(album, plan(), output).write(number)
        path = output / f"shard-0000{number}-of-00003.arrayrecord"
        assert report.records == len(indices)
        assert report.left_out == ()
        for (text, image), index in zip(content(path), indices, strict=True):
            assert text == {"key": f"{index}.jpg", "captions": list(album.record(index).captions)}
            assert image == shrink_picture(album.encoded(index), short_side=16, quality=90)


def test_a_shard_is_the_same_whoever_writes_it_and_its_report_tells_size_and_hash(
    make_album, output
):
    writer = ShardWriter(make_album(), plan(), output)
    path = output / plan().file(1)
    first, bytes_of_first = writer.write(1), path.read_bytes()
    assert pickle.loads(pickle.dumps(writer)).write(1) == first
    assert path.read_bytes() == bytes_of_first
    assert first.bytes == len(bytes_of_first)
    assert first.sha256 == hashlib.sha256(bytes_of_first).hexdigest()
    assert writer.report(1) == first


def test_boxes_are_cut_out(make_album, output):
    record, encoded = Record("0.jpg", ["a corner"], Box(0, 0, 20, 25)), make_album(1).encoded(0)
    ShardWriter(make_album(1, {0: (record, encoded)}), plan(1, 1, short_side=99), output).write(0)
    ((_, image),) = content(output / plan(1, 1).file(0))
    assert image_size(image) == (20, 25)


def test_captions_that_are_no_unicode_are_kept(make_album, output):
    strange = Record("0.jpg", ["half a \ud83d pair", "\x00 🐘 象 &amp;"])
    album = make_album(1, {0: (strange, make_album(1).encoded(0))})
    ShardWriter(album, plan(1, 1), output).write(0)
    ((text, _),) = content(output / plan(1, 1).file(0))
    assert text["captions"] == strange.captions


def test_bad_records_are_left_out_and_reported(make_album, output):
    torn = make_album(1).encoded(0)[:300]
    record = make_album(10).record
    album = make_album(10, {1: (record(1), None), 2: (None, b""), 3: (record(3), torn)})
    first, second = (ShardWriter(album, plan(), output).write(number) for number in range(2))
    assert (first.records, second.records) == (1, 2)
    assert [(entry.key, entry.reason) for entry in first.left_out] == [
        ("1.jpg", "file is gone"),
        ("record 2", "no caption"),
    ]
    ((key, reason),) = [(entry.key, entry.reason) for entry in second.left_out]
    assert key == "3.jpg"
    assert reason.startswith("unreadable image: cannot decode picture")
    assert [text["key"] for text, _ in content(output / plan().file(1))] == ["4.jpg", "5.jpg"]


def test_a_shard_that_is_given_up_leaves_nothing(make_album, output):
    class Enough(Exception):
        pass

    went_by = []

    def after_record():
        went_by.append(files(output))
        if len(went_by) == 3:
            raise Enough

    with pytest.raises(Enough):
        ShardWriter(make_album(), plan(), output).write(2, after_record)
    assert files(output) == ["reports"]
    assert files(output / "reports") == []
    assert all(len(names) == 2 and names[0].endswith(".partial") for names in went_by)


def test_a_full_disk_is_an_error_that_names_the_shard_and_leaves_nothing(make_album, output):
    writer = ShardWriter(make_album(), plan(), output)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        with pytest.raises(UserError, match=r"cannot write .*shard-00000-of-00003.arrayrecord: .*"):
            writer.write(0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert files(output) == ["reports"]
    assert writer.report(0) is None


def test_only_a_report_of_a_shard_that_is_there_counts(make_album, output):
    writer = ShardWriter(make_album(), plan(), output)
    report = writer.write(0)
    shard, file = output / plan().file(0), output / "reports" / "shard-00000.json"
    text, whole = file.read_text(), shard.read_bytes()
    assert parse(type(report), json.loads(text)) == report
    assert writer.report(1) is None
    for damaged in ("", text[:50], "{}", '{"bytes": 3}'):
        file.write_text(damaged)
        assert writer.report(0) is None
    file.write_text(text)
    shard.write_bytes(whole[:-1])
    assert writer.report(0) is None
    shard.unlink()
    assert writer.report(0) is None
    shard.write_bytes(whole)
    assert writer.report(0) == report
