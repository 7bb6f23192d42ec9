"""VQA v2. Expected values are those of the official code (GT-Vision-Lab/VQA, vqaEval.py)."""

import numpy as np
import pytest

from kgclip_jax.data.readers.vqa import accuracies, frequent_answers, normalised
from kgclip_jax.errors import DataError
from tests.data.readers.labelled_files import annotation, question, small_vqa, write_vqa


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("The red t-shirt", "red t shirt"),
        (" Two\tdogs,\n", "2 dogs"),
        ("none", "0"),
        ("1,000", "1000"),
        ("dogs,cats", "dogs cats"),
        ("dogs, cats", "dogs cats"),
        ("1,000 a/c", "1000 ac"),  # a comma in a number glues all other marks, too
        ("3.5", "3.5"),
        ("u.s.", "us"),
        ("dont", "don't"),
        ("couldnt've", "couldn't've"),
        ("couldn'tve", "couldn't've"),
        ("ow's'at", "'ow's'at"),
        ("lets", "lets"),
        ("somebody'd", "somebodyd"),
        ("5:30 pm", "5:30 pm"),
        ("a", ""),
    ],
)
def test_answers_are_normalised_as_officially(answer, expected):
    assert normalised(answer) == expected
    assert normalised(expected) == expected


def test_accuracy_leaves_each_person_out():
    """The loop of the official code."""
    said = ["red"] * 4 + ["blue"] * 3 + ["green"] * 2 + ["a green "]
    cleaned = [normalised(answer) for answer in said]
    expected = {}
    for guess in set(cleaned):
        others = [cleaned[:left] + cleaned[left + 1 :] for left in range(10)]
        expected[guess] = np.mean([min(1, rest.count(guess) / 3) for rest in others])
    assert accuracies(said) == pytest.approx(expected)
    assert expected == pytest.approx({"red": 1, "blue": 0.9, "green": 0.9})
    assert accuracies(["x"] + ["y"] * 9)["x"] == pytest.approx(0.3)
    assert accuracies(["x", "x"] + ["y"] * 8)["x"] == pytest.approx(0.6)


def test_ten_equal_answers_are_compared_as_they_stand():
    assert accuracies(["t-shirt"] * 10) == {"t-shirt": 1}
    assert accuracies(["t-shirt"] * 9 + ["shirt"])["t shirt"] == 1


def test_classes_are_the_most_frequent_answers_of_questions(tmp_path):
    """One for each question: what most people said, whatever the ten are."""
    data = write_vqa(
        tmp_path,
        "train2014",
        [],
        [annotation(n, ["x"] * 10, a) for n, a in enumerate(["no", "The cat", "cat", "b", "why"])],
    )
    files = [tmp_path / data.annotations]
    assert frequent_answers(files, 3) == ["cat", "b", "no"]
    assert frequent_answers(files * 2, 9) == ["cat", "b", "no", "why"]


def test_a_class_is_submitted_in_its_commonest_spelling(tmp_path):
    said = [["t-shirt"] * 10, ["t-shirt"] * 9 + ["shirt"], ["t shirt"] * 10]
    entries = [annotation(n, each, each[0]) for n, each in enumerate(said)]
    data = write_vqa(tmp_path, "train2014", [question(n, "What?") for n in range(3)], entries)
    items = data.read(tmp_path, bad_share=0.0)
    assert items.classes == ["t-shirt"]
    # Of ten equal answers the official code compares the spelling.
    assert [label.tolist()[0] for label in items.labels] == [0, 0, -1]


def test_the_part_must_be_named(tmp_path):
    data = small_vqa(tmp_path)
    path = tmp_path / data.questions
    path.write_text(path.read_text().replace('"data_subtype"', '"subtype"'))
    with pytest.raises(DataError, match="data_subtype must be like 'train2014', not None"):
        data.read(tmp_path, bad_share=0.0)


def test_questions_become_items(tmp_path):
    data = small_vqa(tmp_path)
    items = data.read(tmp_path, bad_share=0.0)
    assert items.classes == ["no", "blue", "green", "grey"]  # and not red and yes
    assert items.texts[0][:2] == ["What colour is it?", "Is it red?"]
    assert items.pictures[0] == "COCO_train2014_000000000001.jpg"
    np.testing.assert_array_equal(items.owners, [0, 0, 1, 1, 2, 2, 3, 3])
    assert items.parts.tolist() == ["other", "yes/no"] * 4
    assert items.labels[:4, 0].tolist() == [-1, -1, 2, 0]
    np.testing.assert_allclose(items.scores[:4, 0], [0, 0, 1, 1])


def test_all_answers_among_the_classes_are_targets(tmp_path):
    said = ["red"] * 3 + ["pink"] * 2 + ["maroon"] + ["?"] * 4
    answers = [annotation(1000, said), annotation(1001, ["pink"] * 10)]
    data = write_vqa(tmp_path, "val2014", [question(n, "?") for n in (1000, 1001)], answers)
    items = data.read(tmp_path, bad_share=0.0)
    assert items.classes == ["pink", "red"]
    np.testing.assert_array_equal(items.labels, [[1, 0], [0, -1]])
    np.testing.assert_allclose(items.scores, [[0.9, 0.6], [1, 0]])


@pytest.mark.parametrize(
    ("questions", "answers", "message"),
    [
        ([1000], [annotation(1000, ["a"] * 10) | {"answers": []}], r"annotations\[0\] has no answ"),
        ([], [annotation(1000, ["a"] * 10)], r"annotations\[0\]: no question 1000 in .*questions"),
        ([1000], [annotation(1000, ["a"])] * 2, r"annotations\[1\]: no question 1000 in .*or two"),
        ([1000, 1001], [annotation(1000, ["a"])], "no answers to question 1001"),
        ([1000], [{"question_id": 1000}], r"annotations\[0\] has no 'multiple_choice_answer'"),
        ([1000], [], "no answers to question 1000"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, questions, answers, message):
    data = write_vqa(tmp_path, "val2014", [question(n, "?") for n in questions], answers)
    with pytest.raises(DataError, match=message):
        data.read(tmp_path, bad_share=0.0)
