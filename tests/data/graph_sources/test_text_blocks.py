"""Blocks are whole lines; what is wrong in one is named by its line in the file."""

import gzip

import pytest

from kgclip_jax.data.graph_sources import text_blocks as module
from kgclip_jax.data.graph_sources.text_blocks import table_of, text_blocks
from kgclip_jax.errors import DataError

LINES = [f"head {i}\tis\ttail {i}\n".encode() for i in range(50)]
COLUMNS = ("head", "relation", "tail")


@pytest.mark.parametrize("size", [20, 21, 100, 10_000])
@pytest.mark.parametrize("name", ["lines.txt", "lines.txt.gz"])
@pytest.mark.parametrize("end", [b"\n", b""])
def test_blocks_are_whole_lines(tmp_path, monkeypatch, size, name, end):
    monkeypatch.setattr(module, "BLOCK_BYTES", size)
    content = b"".join(LINES).removesuffix(b"\n") + end
    path = tmp_path / name
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    blocks = list(text_blocks(path))
    assert b"".join(block.content for block in blocks) == content
    line = 1
    for block in blocks:
        assert block.line == line
        assert block is blocks[-1] or block.content.endswith(b"\n")
        line += block.content.count(b"\n")
        assert len(block.content) < 2 * size + 20
    assert sum(len(table_of(block, COLUMNS)) for block in blocks) == 50


def test_an_empty_file_has_no_blocks(tmp_path):
    (tmp_path / "empty").write_bytes(b"")
    assert list(text_blocks(tmp_path / "empty")) == []


def test_a_line_that_is_too_long_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "BLOCK_BYTES", 20)
    (tmp_path / "long").write_bytes(b"short\n" + b"x" * 50)
    with pytest.raises(DataError, match=r"long, line 2: longer than 20 bytes"):
        list(text_blocks(tmp_path / "long"))


@pytest.mark.parametrize(
    "content", [b"no gzip", gzip.compress(b"x" * 10_000, mtime=0)[:-12]], ids=["none", "cut"]
)
def test_broken_gzip_is_named(tmp_path, content):
    (tmp_path / "broken.gz").write_bytes(content)
    with pytest.raises(DataError, match=r"broken\.gz, after line 1: cannot be read on: "):
        list(text_blocks(tmp_path / "broken.gz"))


def table(tmp_path, content):
    (tmp_path / "table").write_bytes(content)
    (block,) = text_blocks(tmp_path / "table")
    return table_of(block, COLUMNS).to_pydict()


def test_quotes_line_ends_and_empty_lines_mean_nothing(tmp_path):
    found = table(tmp_path, b'\xef\xbb\xbf"a\tb"\tNA\r\n\r\n\nnull\t\tc\n')
    assert found == {"head": ['"a', "null"], "relation": ['b"', ""], "tail": ["NA", "c"]}


@pytest.mark.parametrize("before", [b"", b"\n\n", b"a\tb\tc\n\n", b"a\tb\tc\r\n\r\nd\te\tf\r\n"])
@pytest.mark.parametrize("row", [b"x", b"x\ty", b"x\ty\tz\tw"])
def test_a_line_of_other_columns_is_named(tmp_path, before, row):
    line, columns = before.count(b"\n") + 1, row.count(b"\t") + 1
    message = rf"table, line {line}: {columns} columns between tabs, 3 were expected \(head, rel"
    with pytest.raises(DataError, match=message):
        table(tmp_path, before + row + b"\na\tb\tc\n")


def test_what_is_no_utf8_is_named(tmp_path):
    with pytest.raises(DataError, match=r"table, line 2: byte 8 \(0xe9\) is not UTF-8"):
        table(tmp_path, b"a\tb\tc\na\t\xe9\tc\n")
