import pytest

from kgclip_jax.errors import DataError


def line(image, caption, label):
    return {"image": image, "caption": caption, "label": label, "relation": "on"}


def test_verdicts_and_pictures_of_pairs(world, answers):
    for number in range(4):
        world.paint(f"{number}.jpg", number)
    lines = [
        line("0.jpg", "cat on mat", 1),
        line("1.jpg", "cat on mat", 0),
        line("2.jpg", "cat on mat", 0),
        line("3.jpg", "mat on cat", 1),
    ]
    world.write_lines("test.jsonl", lines)
    scores = {
        "cat on mat": [2, 1, 3, 0],  # prefers 0 to 1, but 2 to 0
        "mat on cat": [0, 0, 0, 0],
        "cat on mat (True)": [5, 5, 1, 0],  # says true of 0 and 1, false of 2
        "cat on mat (False)": [1, 1, 5, 0],
        "mat on cat (True)": [0, 0, 0, 2],
        "mat on cat (False)": [0, 0, 0, 2],  # a tie
    }
    rows = answers(world.open("vsr", "test.jsonl"), scores)
    assert (rows["verdict"].value, rows["verdict"].n) == (2 / 4, 4)
    assert rows["verdict, blind"].n == 4
    pair = rows["picture of a pair"]
    assert (pair.value, pair.n, pair.low, pair.high) == (1 / 2, 2, 1 / 2, 1 / 2)  # one cluster
    assert "picture of a pair, blind" not in rows


def test_captions_with_one_label_make_no_pairs(world):
    world.paint("0.jpg", 0)
    world.write_lines("test.jsonl", [line("0.jpg", "cat on mat", 1)])
    data = world.open("vsr", "test.jsonl")
    assert [question.metric for question in data.questions] == ["verdict"]


@pytest.mark.parametrize(
    ("label", "message"),
    [
        (2, r"test\.jsonl: line 1 has label 2, which is neither 0 nor 1"),
        ("1", r"test\.jsonl: line 1 has no 'label' of type int"),
    ],
)
def test_malformed_labels_are_named(world, label, message):
    world.write_lines("test.jsonl", [line("0.jpg", "cat on mat", label)])
    with pytest.raises(DataError, match=message):
        world.open("vsr", "test.jsonl")
