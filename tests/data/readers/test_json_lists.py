import json
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgclip_jax.data.readers import json_lists
from kgclip_jax.errors import DataError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
OBJECTS = st.lists(st.dictionaries(st.text(), JSON, max_size=3), max_size=5)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("json") / "list.json"


@given(entries=OBJECTS, chunk=st.integers(1, 40), indent=st.sampled_from([None, 1]))
def test_streaming_gives_what_reading_all_gives(path, entries, chunk, indent):
    path.write_text(json.dumps(entries, indent=indent, ensure_ascii=False), "utf-8", "ignore")
    expected = json.loads(path.read_text("utf-8"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_lists, "CHUNK", chunk)
        assert list(json_lists.stream_list(path)) == expected


def test_a_list_that_is_cut_anywhere_is_not_taken_for_a_whole_one(path):
    entries = [{"id": 1, "x": [1.5, "é]}"]}, {"id": 22}]
    content = json.dumps(entries, ensure_ascii=False).encode()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(DataError, match=r"list\.json, line 1: entry \d of the list: "):
            list(json_lists.stream_list(path))
    path.write_bytes(b"\xef\xbb\xbf" + content + b"\n ")
    assert list(json_lists.stream_list(path)) == entries


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"a": 1}', "entry 0 of the list: found '{' where '\\[' should be"),
        ('[{"a": 1} {"a": 2}]', "entry 1 of the list: found '{' where '\\]' should be"),
        ('[{"a": 1},]', "entry 1 of the list: expected an object"),
        ('[{"a": 1}, 7]', "entry 1 of the list: expected an object"),
        ('[{"a": 1}, {a: 2}]', "entry 1 of the list: not valid JSON"),
        ("[] []", "text after the end"),
        ('[{"a": 1},\n\n{"a": ' + "7" * 5000 + "}]", "line 3: entry 1 of the list: not valid JSON"),
        ('[{"a": 1},\n{"a": "\0"}]', "line 2: entry 1 of the list: not valid JSON"),
        ("[" + '{"a": [' + "[" * 100_000, "entry 0 of the list: not valid JSON"),
    ],
)
def test_what_is_wrong_is_said(path, content, message):
    path.write_text(content)
    with pytest.raises(DataError, match=message):
        list(json_lists.stream_list(path))


def test_memory_is_that_of_an_entry(path, monkeypatch):
    monkeypatch.setattr(json_lists, "CHUNK", 2**14)
    entry = json.dumps({"regions": [{"phrase": "a man", "x": i} for i in range(100)]})
    path.write_text("[" + ",".join([entry] * 400) + "]")
    assert path.stat().st_size > 1.2e6
    tracemalloc.start()
    count = sum(1 for _ in json_lists.stream_list(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 400
    assert peak < 3e5


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(DataError, match=r"none\.json: No such file"):
        list(json_lists.stream_list(tmp_path / "none.json"))


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        (None, "expected a list under 'images'"),
        ([{"id": 1}, 2], r"images\[1\] is not an object"),
        ([{"id": "1"}], r"images\[0\] has no 'id' of type int"),
        ([{"id": True}], r"images\[0\] has no 'id' of type int"),
        ([{}], r"images\[0\] has no 'id' of type int"),
    ],
)
def test_objects_are_checked(tmp_path, entries, message):
    with pytest.raises(DataError, match=message):
        list(json_lists.objects(tmp_path, "images", entries, {"id": int}))
