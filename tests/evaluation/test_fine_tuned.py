"""Items with labels, told by heads whose answers are known."""

import jax
import numpy as np
import pytest

from kgclip_jax.data.labelled_set import LabelledEvaluation
from kgclip_jax.data.lazy_pictures import EvaluationTransform
from kgclip_jax.errors import ConfigError, DataError
from kgclip_jax.evaluation.encoder import HeadReader
from kgclip_jax.evaluation.tasks import evaluate
from kgclip_jax.models.classifier import ClassifierHead
from tests.data.readers.labelled_files import (
    COLOURS,
    annotation,
    paint,
    question,
    small_snli_ve,
    write_glue,
    write_vqa,
)

SIZE = 4


class Seer:
    """Embeds pictures as their colour, texts by a table; a function stands in for its head."""

    def __init__(self, classify, texts=(), **settings):
        self.classify, self.known = classify, [*texts]
        self.heads = {"classifier": ClassifierHead(**settings)}

    def encode_image(self, images):
        return images.mean(axis=(1, 2)).astype(np.float32)

    def encode_text(self, texts):
        numbers = [self.known.index(text) if text in self.known else -1 for text in texts]
        return np.repeat(np.array(numbers, np.float32)[:, None], 3, axis=1)

    def texts(self, texts, length=None):
        raise NotImplementedError

    def read(self, rows, function, constants=None):
        heads = {
            "classifier": lambda rows: jax.numpy.asarray(self.classify(*map(np.asarray, rows)))
        }
        found = function(heads, jax.tree.map(jax.numpy.asarray, rows), constants)
        return jax.tree.map(np.asarray, found)


def open_set(root, data, **settings):
    evaluation = LabelledEvaluation(kind="labelled", data=data, **settings)
    return evaluation.open("set", root, EvaluationTransform(SIZE))


def rows_of(encoder, data):
    assert isinstance(encoder, HeadReader)
    rows = evaluate(encoder, [data])
    assert {row.task for row in rows} == {"fine-tuned"}
    return {row.metric + ", blind" * row.blind: row for row in rows}


def colour_of(pixels):
    """The number of the nearest colour of each picture."""
    distances = np.abs(pixels[:, None] - np.array([*COLOURS.values()])).sum(axis=2)
    return distances.argmin(axis=1)


@pytest.fixture
def vqa(tmp_path):
    """Pictures of a colour, of which people are sure, more or less; and a yes to each."""
    said = {"red": 10, "green": 3, "blue": 2, "grey": 1}
    asked, answered = [], []
    for number, (name, colour) in enumerate(COLOURS.items(), 1):
        paint(tmp_path / "val2014" / f"COCO_val2014_{number:012d}.jpg", colour)
        ids = 1000 * number, 1000 * number + 1
        asked += [question(ids[0], "Colour?"), question(ids[1], "Is it?")]
        others = [f"{name} {other}" for other in range(10 - said[name])]
        answered += [
            annotation(ids[0], [name] * said[name] + others),
            annotation(ids[1], ["yes"] * 10, kind="yes/no"),
        ]
    data = write_vqa(tmp_path, "val2014", asked, answered)
    return tmp_path, type(data)(**{**vars(data), "answers": 5})


def tells_colours(classes):
    """A head that says the colour, or yes."""

    def classify(pixels, text):
        logits = np.zeros((len(pixels), len(classes)), np.float32)
        names = [[*COLOURS][number] for number in colour_of(pixels)]
        for row, (name, words) in enumerate(zip(names, text[:, 0], strict=True)):
            logits[row, classes.index("yes" if words else name)] = 1
        return logits

    return classify


def test_vqa_is_measured_as_officially_over_all_and_by_type_of_answer(vqa):
    root, data = vqa
    held_out = open_set(root, data)
    classes = held_out.items.classes
    assert classes == ["yes", "blue", "green", "grey", "red"]
    encoder = Seer(tells_colours(classes), ["Colour?", "Is it?"], classes=5)
    rows = rows_of(encoder, held_out)
    colours = np.mean([1, 0.9, 0.6, 0.3])
    assert rows["accuracy"].value == pytest.approx((colours + 1) / 2)
    assert rows["accuracy, other"].value == pytest.approx(colours)
    assert rows["accuracy, yes/no"].value == 1
    assert [rows[f"accuracy{part}"].n for part in ("", ", other", ", yes/no")] == [8, 4, 4]
    # The best constant answer: yes.
    assert rows["accuracy"].chance == pytest.approx(0.5)
    assert rows["accuracy, other"].chance == pytest.approx(1 / 4)
    assert rows["accuracy"].low < rows["accuracy"].value < rows["accuracy"].high


def test_the_blind_row_has_the_pictures_of_other_items(vqa):
    root, data = vqa
    held_out = open_set(root, data)
    encoder = Seer(tells_colours(held_out.items.classes), ["Colour?", "Is it?"], classes=5)
    rows = rows_of(encoder, held_out)
    assert rows["accuracy, other, blind"].value == 0  # no two pictures have one colour
    assert rows["accuracy, yes/no, blind"].value == 1
    assert rows["accuracy, blind"].value == 0.5
    for row in rows.values():
        assert row.control == ("the pictures of another item" if row.blind else "")
        assert row.chance == rows[row.metric].chance


def test_items_of_pictures_that_cannot_be_read_are_left_out(tmp_path):
    data = small_snli_ve(tmp_path)
    (tmp_path / "flickr30k_images" / "102.jpg").unlink()
    held_out = open_set(tmp_path, data, bad_share=0.3)
    seen = []

    def classify(pixels, text):
        seen.append(colour_of(pixels))
        return np.eye(3, dtype=np.float32)[np.ones(len(pixels), int)]

    rows = rows_of(Seer(classify, classes=3), held_out)
    assert rows["accuracy"].n == rows["accuracy, blind"].n == 9
    assert rows["accuracy"].value == rows["accuracy"].chance == pytest.approx(1 / 3)
    assert seen[0].tolist() == [0, 0, 0, 1, 1, 1, 3, 3, 3]
    assert (seen[1] != seen[0]).all()
    assert (seen[1].reshape(3, 3) == seen[1][::3, None]).all()
    with pytest.raises(DataError, match=r"102\.jpg"):
        evaluate(Seer(classify, classes=3), [open_set(tmp_path, data)])


def test_one_picture_has_no_blind_row(tmp_path):
    data = small_snli_ve(tmp_path)
    lines = (tmp_path / data.file).read_text().split("\n")[:3]
    (tmp_path / data.file).write_text("\n".join(lines))
    encoder = Seer(lambda pixels, text: np.eye(3, dtype=np.float32), classes=3)
    rows = rows_of(encoder, open_set(tmp_path, data))
    assert [*rows] == ["accuracy"]


def test_pairs_of_texts_are_measured_as_glue_does(tmp_path):
    labels = [1, 1, 1, 0, 0, 1]
    lines = [f"{label}\t0\t0\ta{row}\tb{row}" for row, label in enumerate(labels)]
    header = "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String"
    data = write_glue(tmp_path, "MRPC", "\n".join([header, *lines]) + "\n")
    said = np.array([1, 1, 0, 1, 0, 1])

    def classify(first, second):
        np.testing.assert_array_equal(first, second - 6)
        return np.eye(2, dtype=np.float32)[said[first[:, 0].astype(int)]]

    texts = [f"{side}{row}" for side in "ab" for row in range(6)]
    rows = rows_of(Seer(classify, texts, classes=2), open_set(tmp_path, data))
    assert [*rows] == ["F1", "accuracy"]
    assert rows["F1"].value == pytest.approx(2 * 3 / (2 * 3 + 1 + 1))
    assert rows["F1"].chance == pytest.approx(2 * 4 / (2 * 4 + 2))
    assert (rows["accuracy"].value, rows["accuracy"].chance) == pytest.approx((4 / 6, 4 / 6))
    assert rows["F1"].low < rows["F1"].value < rows["F1"].high


def test_numbers_are_correlated(tmp_path):
    lines = [f"a{row}\tb{row}\t{score}" for row, score in enumerate((0, 1.5, 2.5, 5))]
    text = "\n".join(["sentence1\tsentence2\tscore", *lines])
    data = write_glue(tmp_path, "STS-B", text)
    encoder = Seer(lambda x, y: x**2, [f"a{row}" for row in range(4)], classes=1)
    rows = rows_of(encoder, open_set(tmp_path, data))
    assert rows["Spearman"].value == pytest.approx(1)
    expected = np.corrcoef([0, 1, 4, 9], [0, 1.5, 2.5, 5])[0, 1]
    assert rows["Pearson"].value == pytest.approx(expected)
    assert {row.chance for row in rows.values()} == {0}


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("other", {"classes": 3}, r"'set': heads\.other is not there; known here: classifier"),
        ("classifier", {"classes": 4}, r"'set': heads\.classifier\.classes must be 3"),
        ("classifier", {"classes": 3, "inputs": 1}, r"heads\.classifier\.inputs must be 2"),
    ],
)
def test_a_head_that_does_not_fit_is_refused(tmp_path, name, settings, message):
    held_out = open_set(tmp_path, small_snli_ve(tmp_path), head=name)
    with pytest.raises(ConfigError, match=message):
        evaluate(Seer(None, **settings), [held_out])
