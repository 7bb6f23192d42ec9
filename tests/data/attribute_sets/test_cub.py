import logging

import numpy as np
import pytest

from kgclip_jax.data.attribute_sets.cub import Attribute, outstanding
from kgclip_jax.data.evaluation_config import EVALUATIONS
from kgclip_jax.data.lazy_pictures import EvaluationTransform
from kgclip_jax.errors import ConfigError, DataError
from kgclip_jax.evaluation.tasks import evaluate
from kgclip_jax.schema import parse
from tests.data.attribute_sets.attribute_reader import SIZE, AttributeReader, paint

ATTRIBUTES = [
    "1 has_bill_shape::curved_(up_or_down)",
    "2 has_bill_shape::dagger",
    "3 has_wing_color::blue",
    "4 has_wing_color::brown",
    "5 has_size::medium_(9_-_16_in)",
]
SPECIES = ["001.Black_footed_Albatross", "002.Laysan_Albatross", "003.Acadian_Flycatcher"]
CLASS_ATTRIBUTES = ["80.5 .5 0 60 0", "10 90 70 20 0.0", "0 0 0 95 30"]
MARKS = [
    "1 1 1 3 27.708",  # picture 1, of the test part
    "1 2 0 4 27.708",
    "1 3 1 2 1.5",  # guessing
    "1 4 1 4 3.2",
    "1 5 0 1 0.7",  # not visible
    "7 1 0 4 0 1.509",  # picture 7, for training: a column too many
    "7 2 1 4 0  1.509",
    "7 4 1 3 2.0",
    "3 1 1 4 2.0",
]
WORDS = ["(up or down)", "dagger", "blue", "brown", "(9 - 16 in)"]


@pytest.fixture
def folder(tmp_path):
    """Three species; pictures 1, 2 and 3 are for tests, 7 is for training."""
    files = {
        "images.txt": "1 a/x 1.jpg\n2 b/y.jpg\n3 c/z.jpg\n7 a/w.jpg\n",
        "image_class_labels.txt": "1 1\n2 2\n3 3\n7 1\n",
        "train_test_split.txt": "1 0\n2 0\n3 0\n7 1\n",
        "classes.txt": "".join(f"{n} {name}\n" for n, name in enumerate(SPECIES, 1)),
        "attributes/attributes.txt": "\n".join(ATTRIBUTES) + "\n",
        "attributes/class_attribute_labels_continuous.txt": "\n".join(CLASS_ATTRIBUTES),
        "attributes/image_attribute_labels.txt": "\n".join(MARKS) + "\n\n",
    }
    root = tmp_path / "CUB_200_2011"
    for file, text in files.items():
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_text(text)
    for number, file in enumerate(["a/x 1.jpg", "b/y.jpg", "c/z.jpg", "a/w.jpg"]):
        paint(root / "images" / file, number)
    return root


def opened(folder, **settings):
    values = {"kind": "cub", "folder": "CUB_200_2011", **settings}
    found = parse(EVALUATIONS.find(values["kind"], "x"), values)
    return found.open("birds", folder.parent, EvaluationTransform(SIZE))


def test_species_are_told_by_the_commonest_value_of_each_family(folder):
    data = opened(folder)
    assert data.prompts == [
        [
            "a photo of a bird whose bill shape is curved (up or down).",
            "a photo of a bird whose wing color is brown.",
        ],
        [
            "a photo of a bird whose bill shape is dagger.",
            "a photo of a bird whose wing color is blue.",
        ],
        ["a photo of a bird whose wing color is brown."],  # 30 is below the mean of 95 and 30
    ]
    assert data.labels.tolist() == [0, 1, 2]
    names = opened(folder, texts="names")
    assert names.prompts[2] == ["a photo of an Acadian Flycatcher."]
    both = opened(folder, texts="both").prompts[2]
    assert both == ["a photo of an Acadian Flycatcher whose wing color is brown."]


def test_what_stands_out_is_above_the_mean_of_what_occurs():
    family = [Attribute("size", "small"), Attribute("size", "large"), Attribute("eye", "red")]
    assert outstanding(family, np.array([20.0, 60.0, 41.0])) == [family[1], family[2]]
    assert outstanding(family, np.array([50.0, 50.0, 50.0])) == []
    assert outstanding(family, np.zeros(3)) == []


def test_test_pictures_are_found_by_what_they_show(folder):
    shown = [["(up or down)", "brown"], ["dagger", "brown"], ["brown"]]
    encoder = AttributeReader(WORDS, shown)
    (row,) = evaluate(encoder, [opened(folder)])
    assert (row.task, row.metric, row.value, row.n) == ("zero-shot", "top-1", 2 / 3, 3)


def test_marks_are_those_of_enough_certainty(folder, caplog):
    with caplog.at_level(logging.INFO):
        data = opened(folder, kind="cub_attribute_probe")
    none = [-1] * 5
    assert data.marks.tolist() == [[1, 0, -1, 1, -1], none, [1, -1, -1, -1, -1]]
    assert data.training_marks.tolist() == [[0, 1, -1, 1, -1]]
    assert data.families == [*["bill shape"] * 2, *["wing color"] * 2, "size"]
    assert data.attributes[0] == "bill shape: curved (up or down)"
    assert "image_attribute_labels.txt: 2 lines read without a 0 before the seconds" in caplog.text
    assert "of 20 marks 2 are too uncertain, and 11 are missing" in caplog.text
    sure = opened(folder, kind="cub_attribute_probe", least_certainty=4)
    assert sure.marks.tolist()[0] == [-1, 0, -1, 1, -1]
    guessed = opened(folder, kind="cub_attribute_probe", least_certainty=1)
    assert guessed.marks.tolist()[0] == [1, 0, 1, 1, 0]


@pytest.mark.parametrize("place", [".", ".."])
def test_attributes_may_lie_beside_or_above_their_folder(folder, place):
    (folder / "attributes" / "attributes.txt").rename(folder / place / "attributes.txt")
    assert len(opened(folder).prompts) == 3


def test_missing_attributes_are_said_to_be_looked_for(folder):
    (folder / "attributes" / "attributes.txt").unlink()
    message = r"looked for .*2011/attributes/attributes\.txt, .*2011/attributes\.txt, .*\.\./attr"
    with pytest.raises(DataError, match=message):
        opened(folder)


def test_a_missing_picture_counts_as_bad(folder):
    (folder / "images" / "b" / "y.jpg").unlink()
    with pytest.raises(DataError, match=r"unreadable image: 1 of 3.*b/y\.jpg"):
        list(opened(folder).pictures.batches())
    ((_, readable),) = opened(folder, bad_share=0.4).pictures.batches()
    assert readable.tolist() == [True, False, True]


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("images.txt", "1 a.jpg\n2 ../../b.jpg\n", r"images\.txt: picture 2 is outside"),
        ("images.txt", "1\n", r"images\.txt, line 1: expected a number and a text, not '1'"),
        ("image_class_labels.txt", "1 1\n2 2\n3 3\n", r"labels\.txt: number 7 is missing"),
        (
            "image_class_labels.txt",
            "1 1\n2 4\n",
            r"labels\.txt: number 2 has '4'; expected a number from 1 to 3",
        ),
        ("train_test_split.txt", "1 2\n", r"split\.txt: number 1 has '2'; .* from 0 to 1"),
        ("attributes/attributes.txt", "1 has_size\n", r"attributes\.txt: number 1 is 'has_size'"),
        (
            "attributes/class_attribute_labels_continuous.txt",
            "1 2 3 4 5\n1 2 3 4 101\n",
            r"continuous\.txt, line 2: expected 5 numbers, from 0 to 100",
        ),
        (
            "attributes/class_attribute_labels_continuous.txt",
            "1 2 3 4 nan\n",
            r"continuous\.txt, line 1: expected 5 numbers",
        ),
        (
            "attributes/class_attribute_labels_continuous.txt",
            "0 0 0 0 0\n" * 3,
            r"continuous\.txt: the class 'Black footed Albatross' has no attribute",
        ),
    ],
)
def test_malformed_lists_are_named(folder, file, text, message):
    (folder / file).write_text(text)
    with pytest.raises(DataError, match=message):
        opened(folder)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1 1 1 3", r"labels\.txt, line 2: expected 5 columns, got '1 1 1 3'"),
        ("1 2 1 3 4 5.0", r"line 2: expected 5 columns, got"),
        ("1 2 1 3 0 0 5.0", r"line 2: expected 5 columns, got"),
        ("4 2 1 3 5.0", r"line 2: expected a picture, an attribute, 0 or 1, and a certainty"),
        ("1 6 1 3 5.0", r"line 2: expected a picture"),
        ("1 2 2 3 5.0", r"line 2: expected a picture"),
        ("1 2 1 5 5.0", r"line 2: expected a picture"),
        ("1 1 0 3 5.0", r"line 2: a second mark of this picture and attribute"),
    ],
)
def test_malformed_marks_are_named(folder, line, message):
    path = folder / "attributes" / "image_attribute_labels.txt"
    path.write_text(f"1 1 1 3 27.708\n{line}\n")
    with pytest.raises(DataError, match=message):
        opened(folder, kind="cub_attribute_probe")


def test_certainties_are_one_to_four():
    settings = {"kind": "cub_attribute_probe", "folder": ".", "least_certainty": 5}
    with pytest.raises(ConfigError, match="least_certainty must be at most 4"):
        parse(EVALUATIONS.find(settings["kind"], "x"), settings)
