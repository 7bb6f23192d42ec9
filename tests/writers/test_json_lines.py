"""Numbers as lines of JSON: there at once, and with a reason where they cannot be."""

import json

import pytest

from kgclip_jax.errors import UserError
from kgclip_jax.writers.json_lines import JsonLines


def test_json_lines_are_whole_at_once_and_appended_to(tmp_path):
    path = tmp_path / "metrics.jsonl"
    first = JsonLines(path)
    first.write(1, {"loss": 0.5})
    assert json.loads(path.read_text()) == {"step": 1, "loss": 0.5}
    first.close()
    second = JsonLines(path)
    second.write(2, {"loss": 0.25})
    second.close()
    assert [json.loads(line)["step"] for line in path.read_text().splitlines()] == [1, 2]


def test_a_full_disk_is_an_error_that_names_the_file(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.symlink_to("/dev/full")
    lines = JsonLines(path)
    with pytest.raises(UserError, match=r"cannot write .*metrics\.jsonl: No space left on device"):
        lines.write(1, {"loss": 0.5})
    with pytest.raises(UserError, match="No space left"):
        lines.close()


def test_a_file_that_cannot_be_opened_is_an_error_that_names_it(tmp_path):
    (tmp_path / "metrics.jsonl").mkdir()
    with pytest.raises(UserError, match=r"cannot write .*metrics\.jsonl: Is a directory"):
        JsonLines(tmp_path / "metrics.jsonl")
