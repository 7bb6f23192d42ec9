"""The files of a run survive crashes, and what is damaged is named."""

import json
import re

import pytest

from kgclip_jax.data.tokenization.tokenizer_config import TokenizerJson, Tokenizers
from kgclip_jax.errors import ConfigError, UserError
from kgclip_jax.files import write_json
from kgclip_jax.store.workdir import Workdir


@pytest.fixture
def workdir(tmp_path):
    workdir = Workdir(tmp_path / "runs" / "one")
    workdir.create()
    return workdir


def fill(workdir, steps):
    workdir.metrics.write_text("".join(f'{{"step": {n}, "loss": {n / 2}}}\n' for n in steps))


def test_creating_makes_parents_and_leaves_nothing_behind(workdir):
    workdir.create()
    assert list(workdir.root.iterdir()) == []


@pytest.mark.parametrize("root", ["{file}/run", "/proc/run", "/dev/null/a/b"])
def test_a_folder_that_cannot_be_written_is_named(tmp_path, root):
    file = tmp_path / "file"
    file.write_text("in the way")
    root = root.format(file=file)
    with pytest.raises(UserError, match=f"cannot write to the workdir {root}: .*--workdir"):
        Workdir(type(tmp_path)(root)).create()


def test_tokenizers_of_texts_and_of_word_pieces_are_kept_apart(workdir, tmp_path):
    files = [tmp_path / "one.json", tmp_path / "two.model"]
    for file in files:
        file.write_text(file.name)
    both = Tokenizers(*(TokenizerJson("json", str(file), pad_id=0) for file in files))
    workdir.keep_tokenizers(both)
    own = workdir.own_tokenizers(both)
    copies = [workdir.root / "tokenizer.json", workdir.root / "element_tokenizer.model"]
    assert [own.text.file, own.elements.file] == [str(copy) for copy in copies]
    assert [copy.read_text() for copy in copies] == ["one.json", "two.model"]
    assert workdir.own_tokenizers(Tokenizers()) == Tokenizers()


def test_the_config_is_read_back(workdir):
    write_json(workdir.config, {"a": [1, 2], "b": None})
    assert workdir.read_config() == {"a": [1, 2], "b": None}


def test_a_missing_or_damaged_config_is_named(workdir):
    with pytest.raises(ConfigError, match=r"one holds no run: .*config\.json is missing"):
        workdir.read_config()
    workdir.config.write_text('{\n"a": 1,\n')
    with pytest.raises(ConfigError, match=r"config\.json, line 3, column 1: "):
        workdir.read_config()


def test_a_last_line_cut_off_by_a_crash_is_left_out(workdir):
    assert workdir.read_metrics() == []
    fill(workdir, [1, 2])
    with workdir.metrics.open("a") as file:
        file.write('{"step": 3, "lo')
    assert workdir.read_metrics() == [{"step": 1, "loss": 0.5}, {"step": 2, "loss": 1.0}]


def test_evaluations_add_up_and_are_forgotten_with_their_steps(workdir):
    for step in (3, 6):
        workdir.add_evaluation(step, [{"metric": "R@1"}])
    workdir.forget_after(5)
    assert workdir.read_evaluations() == [{"step": 3, "results": [{"metric": "R@1"}]}]


def test_launches_add_up_and_are_forgotten_with_their_steps(workdir):
    for start, step in ((0, 3), (3, 6)):
        workdir.add_session(start, step, {"steps": 2.0}, {"peak_host_memory": 0.5})
    first = {"start": 0, "step": 3, "seconds": {"steps": 2.0}, "memory": {"peak_host_memory": 0.5}}
    assert [line["step"] for line in workdir.read_sessions()] == [3, 6]
    workdir.forget_after(5)
    assert workdir.read_sessions() == [first]


def test_steps_that_are_taken_again_are_forgotten(workdir):
    workdir.forget_after(3)
    assert not workdir.metrics.exists()
    fill(workdir, [1, 2, 3, 4])
    with workdir.metrics.open("a") as file:
        file.write('{"step": 5, "lo')
    workdir.forget_after(3)
    lines = [json.loads(line) for line in workdir.metrics.read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3]
    workdir.forget_after(0)
    assert workdir.metrics.read_text() == ""


DAMAGED = {
    "not JSON": b'{"step": 2, "loss": }',
    "not UTF-8": b'{"step": 2, "note": "\xff"}',
    "NUL bytes": b"\0\0\0",
    "blank": b"",
    "no object": b"[2]",
    "no step": b'{"loss": 1.0}',
    "a number of 5,000 digits": b'{"step": 2, "loss": ' + b"1" * 5000 + b"}",
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_line_of_metrics_is_named_and_put_aside(workdir, caplog, content):
    lines = [b'{"step": 1, "loss": 0.5}', content, content, b'{"step": 3, "loss": 1.5}', b""]
    workdir.metrics.write_bytes(b"\n".join(lines))
    whole = [{"step": 1, "loss": 0.5}, {"step": 3, "loss": 1.5}]
    assert workdir.read_metrics() == whole
    (told,) = caplog.messages
    assert re.match(r".*metrics\.jsonl, line 2.*; 2 damaged lines are left out$", told)
    caplog.clear()
    workdir.forget_after(3)
    (told,) = caplog.messages
    assert told.endswith(f"; 2 damaged lines lie in {workdir.root}/metrics.damaged now")
    assert (workdir.root / "metrics.damaged").read_bytes() == (content + b"\n") * 2
    caplog.clear()
    assert workdir.read_metrics() == whole
    assert caplog.messages == []
