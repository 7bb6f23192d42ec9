import json

import pytest

from kgclip_jax.data.readers.shard_manifest import (
    MANIFEST,
    Manifest,
    Shard,
    read_manifest,
    write_manifest,
)
from kgclip_jax.errors import DataError

SHARDS = (Shard("a.arrayrecord", 3, 1000, "ab"), Shard("b.arrayrecord", 2, 500, "cd"))
WHOLE = Manifest({"short_side": 256, "source": {"kind": "x"}}, SHARDS, 5, 1500, {"bad": 1})


def test_what_is_written_is_read(tmp_path):
    write_manifest(tmp_path, WHOLE)
    assert read_manifest(tmp_path) == WHOLE
    assert [path.name for path in tmp_path.iterdir()] == [MANIFEST]


def without(key):
    return lambda content: content.pop(key)


def shard(**fields):
    return lambda content: content["shards"][1].update(fields)


def top(**fields):
    return lambda content: content.update(fields)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without("shards"), r"manifest\.json\.shards is not set"),
        (without("skipped"), r"manifest\.json\.skipped is not set"),
        (top(records=6), "records must be 5, the sum of the shards'"),
        (top(bytes=1499), "bytes must be 1500"),
        (top(extra=1), r"manifest\.json\.extra is no setting"),
        (top(settings=[]), "settings must be a dict"),
        (top(skipped={"bad": "many"}), r"skipped\.bad must be a int"),
        (shard(file="a.arrayrecord"), "shards names a file twice"),
        (shard(file="../b.arrayrecord"), r"'\.\./b\.arrayrecord' must be a plain name"),
        (shard(records=-2), r"b\.arrayrecord: counts must not be negative"),
        (shard(records=True), r"shards\[1\]\.records must be a int, not True"),
        (shard(sha256=7), r"shards\[1\]\.sha256 must be a str"),
    ],
)
def test_a_wrong_manifest_is_refused_by_name(tmp_path, change, message):
    write_manifest(tmp_path, WHOLE)
    content = json.loads((tmp_path / MANIFEST).read_text())
    change(content)
    (tmp_path / MANIFEST).write_text(json.dumps(content))
    with pytest.raises(DataError, match=message):
        read_manifest(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", "manifest.json: expected a JSON object"),
        ("{", "line 1, column 2: not valid JSON"),
        (b"\xff\xff", "line 1: .*not UTF-8"),
    ],
)
def test_a_malformed_manifest(tmp_path, content, message):
    path = tmp_path / MANIFEST
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError, match=message):
        read_manifest(tmp_path)


def test_no_manifest(tmp_path):
    with pytest.raises(DataError, match=r"manifest\.json: not found; let .* shards` finish"):
        read_manifest(tmp_path)
