import json

import pytest
from array_record.python.array_record_module import ArrayRecordReader, ArrayRecordWriter

from kgclip_jax.data.readers.array_records import ArrayRecords, pack_record, unpack_record
from kgclip_jax.data.readers.shard_manifest import Manifest, Shard, read_manifest, write_manifest
from kgclip_jax.data.records import Record
from kgclip_jax.errors import BadRecord, DataError
from tests.data.readers.layouts import array_record, drawn


@pytest.fixture
def folder(tmp_path):
    array_record(tmp_path, drawn(6))
    return tmp_path


def write_shard(path, records):
    writer = ArrayRecordWriter(str(path), "group_size:1,uncompressed")
    for record in records:
        writer.write(record)
    writer.close()
    return path.stat().st_size


def test_a_picture_is_two_records(folder):
    reader = ArrayRecordReader(str(folder / "shard-1.arrayrecord"))
    picture = drawn(6)[1]
    assert reader.num_records() == 6
    text, image = reader.read([0, 1])
    reader.close()
    assert json.loads(text) == {"key": picture.name, "captions": picture.captions}
    assert image == picture.content


@pytest.mark.parametrize("key", ["a.jpg", "été/猫", "\ud800 half a pair", ""])
def test_any_text_is_kept(key):
    text, image = pack_record(key, (f"one {key}", "two"), b"\0\xff")
    assert unpack_record(text) == Record(key, [f"one {key}", "two"])
    assert image == b"\0\xff"


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"[]", b'{"key": 1, "captions": ["a"]}', b'{"key": "a"}']
    + [b'{"key": "a", "captions": %s}' % c for c in (b"[]", b'"a"', b"[1]", b'["a", 1]')]
    + [b"[" * 100_000, b"\xff"],
)
def test_a_malformed_text_is_a_bad_record(tmp_path, text):
    size = write_shard(tmp_path / "s", [text, b"image"])
    write_manifest(tmp_path, Manifest({}, (Shard("s", 1, size, ""),), 1, size, {}))
    with pytest.raises(BadRecord, match="record 0: "):
        ArrayRecords(tmp_path).record(0)


def change(folder, **fields):
    """Change what the manifest says of the second shard."""
    manifest = read_manifest(folder)
    shards = (manifest.shards[0], Shard(**(vars(manifest.shards[1]) | fields)))
    records, size = (sum(getattr(s, name) for s in shards) for name in ("records", "bytes"))
    write_manifest(folder, Manifest({}, shards, records, size, {}))


def test_a_manifest_that_counts_otherwise(folder):
    change(folder, records=4)
    message = r"shard-1\.arrayrecord: 6 records, but manifest\.json says 4 pictures of two"
    with pytest.raises(DataError, match=message):
        ArrayRecords(folder)


def test_a_shard_of_another_size(folder):
    change(folder, bytes=9)
    message = r"shard-1\.arrayrecord: \d+ bytes, but manifest\.json says 9; fetch or prepare"
    with pytest.raises(DataError, match=message):
        ArrayRecords(folder)


def test_a_missing_shard(folder):
    (folder / "shard-1.arrayrecord").unlink()
    message = r"shard-1\.arrayrecord: No such file or directory, but manifest\.json lists it"
    with pytest.raises(DataError, match=message):
        ArrayRecords(folder)


@pytest.mark.parametrize("damage", ["cut", "empty", "junk"])
def test_a_shard_that_is_not_whole(folder, damage):
    path = folder / "shard-1.arrayrecord"
    content = path.read_bytes()
    content = {"cut": content[: len(content) // 2], "empty": b"", "junk": b"x" * 99_999}[damage]
    path.write_bytes(content)
    change(folder, bytes=len(content))
    with pytest.raises(DataError, match=r"shard-1\.arrayrecord: not a whole ArrayRecord file"):
        ArrayRecords(folder)


def test_damage_within_a_shard_is_a_bad_record(folder):
    path = folder / "shard-1.arrayrecord"
    content = bytearray(path.read_bytes())
    at = content.index(drawn(6)[3].content[50:90])
    content[at] ^= 255
    path.write_bytes(content)
    records = ArrayRecords(folder)
    assert records.record(4).key == drawn(6)[3].name
    with pytest.raises(BadRecord, match=r"record 4: .*hash mismatch"):
        records.encoded(4)
    assert records.encoded(3) == drawn(6)[1].content


def test_no_records_at_all(tmp_path):
    write_manifest(tmp_path, Manifest({}, (), 0, 0, {"bad": 3}))
    with pytest.raises(DataError, match=r"manifest\.json: no records in its shards"):
        ArrayRecords(tmp_path)


def test_a_shard_without_records_among_others(tmp_path):
    """A source smaller than the number of shards."""
    record = pack_record("k", "c", b"i")
    sizes = [write_shard(tmp_path / "e", []), write_shard(tmp_path / "s", record)]
    shards = (Shard("e", 0, sizes[0], ""), Shard("s", 1, sizes[1], ""))
    write_manifest(tmp_path, Manifest({}, shards, 1, sum(sizes), {}))
    records = ArrayRecords(tmp_path)
    assert len(records) == 1
    assert (records.record(0), records.encoded(0)) == (Record("k", ["c"]), b"i")
