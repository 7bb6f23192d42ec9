"""Files are read with errors that name the line, and written whole or not at all."""

import json
import os
import socket
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgclip_jax.errors import ConfigError, DataError, UserError
from kgclip_jax.files import (
    abandoned_paths,
    atomic_file,
    read_json,
    read_json_object,
    read_text,
    temporary_path,
    write_atomically,
    write_json,
    writing,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("files") / "file.json"


@settings(max_examples=30, deadline=None)
@given(value=JSON)
def test_values_are_read_as_they_were_written(path, value):
    write_json(path, value)
    assert read_json(path) == value
    assert names(path.parent) == ["file.json"]


def test_half_surrogates_and_byte_order_marks(path):
    write_json(path, "\ud800")
    assert read_json(path) == "\ud800"
    path.write_bytes(b"\xef\xbb\xbf[1]")
    assert read_json(path) == [1]
    assert read_text(path) == "[1]"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[1,\n2,\n", "line 3, column 1: not valid JSON (Expecting value)"),
        (b"[1,\n\n 2" + b"0" * 5000 + b"]", "line 3, column 2: not valid JSON (a number of 5001"),
        (
            b'["' + b"7" * 6000 + b'",\n' + b"1" * 5000 + b"]",
            "line 2, column 1: not valid JSON (a ",
        ),
        (b"{}\n" * 2, "line 2, column 1: not valid JSON (Extra data)"),
        (b"[1,\n" + b"[" * 100_000, "line 2, column 100000: not valid JSON (nested too deeply)"),
        (b'["[[",\n' + b"[" * 5000 + b"]" * 5001, "line 2, column 5000: not valid JSON (nested"),
        (b'{"a":\n"\xff"}', "line 2: byte 7 (0xff) is not UTF-8; convert the file"),
        (b'{"a":\n"\0"}', "line 2: a NUL byte"),
        ("[1]".encode("utf-16"), "line 1: byte 0 (0xff) is not UTF-8"),
        (b"", "line 1, column 1: not valid JSON (Expecting value)"),
    ],
)
def test_the_place_of_a_fault_is_named(tmp_path, content, message):
    path = tmp_path / "a.json"
    path.write_bytes(content)
    for error in (DataError, ConfigError):
        with pytest.raises(error) as caught:
            read_json(path, error)
        assert str(caught.value).startswith(f"{path}, {message}")


def test_long_numbers_that_python_reads_are_no_fault(path):
    path.write_text(f"[{'1' * 4000}, 0.{'1' * 5000}, {'1' * 5000}e-5000]")
    assert read_json(path)[0] == int("1" * 4000)


def test_what_is_no_file_or_no_object(tmp_path):
    for name, message in (("none", "No such file"), ("", "Is a directory"), ("a\0b", "null byte")):
        with pytest.raises(DataError, match=message):
            read_text(tmp_path / name)
    write_json(tmp_path / "list.json", [])
    with pytest.raises(ConfigError, match=r"list\.json: expected a JSON object"):
        read_json_object(tmp_path / "list.json", ConfigError)


def test_a_write_that_fails_halfway_leaves_the_old_file_alone(tmp_path, monkeypatch):
    path = tmp_path / "file.json"
    write_json(path, {"version": 1})

    def refuse(*arguments):
        raise OSError(28, os.strerror(28))

    for name in ("replace", "fsync"):
        with monkeypatch.context() as patch:
            patch.setattr(os, name, refuse)
            message = r"cannot write .*file\.json: No space left on device"
            with pytest.raises(UserError, match=message):
                write_json(path, {"version": 2})
    with pytest.raises(IsADirectoryError), atomic_file(path) as temporary:
        (temporary.write_text("half"), tmp_path.read_bytes())
    assert names(tmp_path) == ["file.json"]
    assert json.loads(path.read_text()) == {"version": 1}


def test_folders_that_a_file_system_cannot_sync_are_no_error(tmp_path, monkeypatch):
    real = os.fsync

    def fsync(descriptor):
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):
            raise OSError(22, os.strerror(22))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    write_atomically(tmp_path / "file", b"bytes")
    assert (tmp_path / "file").read_bytes() == b"bytes"


def test_a_folder_that_vanished_is_an_error(tmp_path):
    with pytest.raises(UserError, match="No such file or directory"):
        write_atomically(tmp_path / "gone" / "file", "text")


def test_errors_of_libraries_are_errors_of_the_disk_where_that_is_asked_for(tmp_path):
    with pytest.raises(UserError, match=r"cannot write .*: full"), writing(tmp_path, RuntimeError):
        raise RuntimeError("full")
    with pytest.raises(RuntimeError), writing(tmp_path):
        raise RuntimeError("bug")


def test_many_writers_of_one_file_do_not_disturb_each_other(tmp_path):
    path = tmp_path / "file"
    texts = [str(number) * 10_000 for number in range(8)]
    threads = [
        threading.Thread(
            target=lambda text: [write_atomically(path, text) for _ in range(10)], args=(text,)
        )
        for text in texts
    ]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        assert not path.exists() or path.read_text() in texts
        assert not abandoned_paths(tmp_path)
    assert path.read_text() in texts
    assert names(tmp_path) == ["file"]


def test_only_what_dead_processes_left_is_abandoned(tmp_path):
    ours = temporary_path(tmp_path / "a")
    host = socket.gethostname()
    alive = tmp_path / f".a.{host}-{os.getppid()}-0123abcd-0.partial"
    elsewhere = tmp_path / ".a.elsewhere-99999999-0123abcd-0.partial"
    before = tmp_path / f".a.{host}-{os.getpid()}-0123abcd-0.partial"
    dead = tmp_path / f".b.{host}-99999999-0123abcd-0.partial"
    for path in (ours, alive, elsewhere, before, dead, tmp_path / "a", tmp_path / ".partial"):
        path.touch()
    assert sorted(abandoned_paths(tmp_path)) == [before, dead]
    assert abandoned_paths(tmp_path, "a") == [before]
