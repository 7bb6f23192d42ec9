import numpy as np
import pytest

from kgclip_jax.errors import DataError
from tests.data.readers.labelled_files import ROWS, write_glue

# The second text, or the only one, of both lines, the names of their labels, the metrics.
EXPECTED = {
    "CoLA": (['They "drank" it.', "They drank the"], ["1", "0"], ("Matthews",)),
    "SST-2": (["hide new secretions ", 'a "great film'], ["0", "1"], ("accuracy",)),
    "MRPC": (["His brother was accused", "Somebody else"], ["1", "0"], ("F1", "accuracy")),
    "QQP": (["What is death?", "How to go?"], ["0", "1"], ("F1", "accuracy")),
    "STS-B": (["An aircraft.", "A car."], ["score"] * 2, ("Pearson", "Spearman")),
    "MNLI": (["Everyone", "This"], ["neutral", "contradiction"], ("accuracy",)),
    "QNLI": (["In 1990.", 'In "Rome.'], ["entailment", "not_entailment"], ("accuracy",)),
    "RTE": (["Weapons", "Sorrow"], ["not_entailment", "entailment"], ("accuracy",)),
    "WNLI": (["The carrot", "He"], ["1", "0"], ("accuracy",)),
}


@pytest.mark.parametrize("task", ROWS)
def test_lines_become_items(tmp_path, task):
    data = write_glue(tmp_path, task)
    items = data.read(tmp_path, bad_share=0.0)
    texts, labels, metrics = EXPECTED[task]
    assert items.texts[-1] == texts
    assert len(items.texts) == (1 if task in ("CoLA", "SST-2") else 2)
    assert [items.classes[label] for label in items.labels[:, 0]] == labels
    assert data.metrics == metrics
    assert not items.pictures
    np.testing.assert_array_equal(items.owners, [0, 1])
    np.testing.assert_allclose(items.scores[:, 0], [1, 0.1] if task == "STS-B" else [1, 1])


def test_a_line_separator_of_unicode_ends_no_line(tmp_path):
    items = write_glue(tmp_path, "QQP").read(tmp_path, bad_share=0.0)
    assert items.texts[0][1] == "How do I \u2028 go?"


def test_ends_of_lines_of_windows_and_blank_lines_mean_nothing(tmp_path):
    whole = write_glue(tmp_path, "RTE").read(tmp_path, bad_share=0.0)
    text = ROWS["RTE"][0].replace("\n", "\r\n") + "\r\n"
    assert repr(write_glue(tmp_path, "RTE", text).read(tmp_path, bad_share=0.0)) == repr(whole)


def test_pairs_of_one_first_sentence_belong_together(tmp_path):
    text = "sentence1\tsentence2\tlabel\na\tb\t0\nc\td\t1\na\te\t0\n"
    items = write_glue(tmp_path, "WNLI", text).read(tmp_path, bad_share=0.0)
    np.testing.assert_array_equal(items.owners, [0, 1, 0])


def test_lines_of_other_columns_are_left_out_as_far_as_they_may_be(tmp_path):
    text = ROWS["RTE"][0] + "2\ta\tb\n"
    data = write_glue(tmp_path, "RTE", text)
    assert len(data.read(tmp_path, bad_share=0.4).owners) == 2
    message = r"RTE/train\.tsv: line with another number of columns.*: 1 of 3,.* line 4 \(3, not 4"
    with pytest.raises(DataError, match=message):
        data.read(tmp_path, bad_share=0.1)


@pytest.mark.parametrize(
    ("task", "text", "message"),
    [
        ("CoLA", "gj04\t2\t\tWhat?\n", "line 1: label is '2', none of 0, 1"),
        ("MNLI", "sentence1\tsentence2\tgold_label\na\tb\t-\n", "line 2: gold_label is '-', none"),
        ("STS-B", "sentence1\tsentence2\tscore\na\tb\tnan\n", "line 2: score is 'nan', no number"),
        ("STS-B", "sentence1\tsentence2\tscore\na\tb\t5.1\n", "line 2: score is '5.1', no number"),
        ("STS-B", "sentence1\tsentence2\tscore\na\tb\thigh\n", "'high', no number from 0 to 5"),
        ("SST-2", "index\tsentence\n0\tgood\n", "line 1: no column 'label', got 'index"),
        ("SST-2", "sentence\tlabel\n", "no items with a label"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, task, text, message):
    data = write_glue(tmp_path, task, text)
    with pytest.raises(DataError, match=rf"{task}/{data.split}\.tsv.*{message}"):
        data.read(tmp_path, bad_share=0.0)
