import pytest

from kgclip_jax.data.attribute_sets.awa2 import CLAUSES, Awa2, Awa2AttributeProbe
from kgclip_jax.data.evaluation_config import EVALUATIONS
from kgclip_jax.data.lazy_pictures import EvaluationTransform
from kgclip_jax.errors import ConfigError, DataError
from kgclip_jax.evaluation.tasks import evaluate
from kgclip_jax.schema import parse
from tests.data.attribute_sets.attribute_reader import SIZE, AttributeReader, paint

CLASSES = ["antelope", "grizzly+bear", "killer+whale", "beaver", "otter"]
PREDICATES = ["black", "brown", "longneck", "flys"]
MATRIX = ["0 1 1 0", "0 1 0 0", "1 0 0 0", "0  1 0 1", "1 0 1 0"]
WORDS = ["black", "brown", "long neck", "flies", "bear", "beaver", "antelope"]


@pytest.fixture
def folder(tmp_path):
    """Five classes of pictures: each has one number, and the beaver a second one."""
    files = {
        "classes.txt": "".join(f"{n:6}\t{name}\n" for n, name in enumerate(CLASSES, 1)),
        "predicates.txt": "".join(f"{n:6}\t{name}\n" for n, name in enumerate(PREDICATES, 1)),
        "predicate-matrix-binary.txt": "\n".join(MATRIX) + "\n",
        "trainclasses.txt": "otter\nkiller+whale\n",
        "testclasses.txt": "beaver\r\nantelope\r\ngrizzly+bear\r\n",
    }
    for file, text in files.items():
        (tmp_path / file).write_text(text)
    for number, name in enumerate(CLASSES):
        paint(tmp_path / "JPEGImages" / name / f"{name}_10001.jpg", number)
    paint(tmp_path / "JPEGImages" / "beaver" / "beaver_10002.jpg", 9)
    return tmp_path


def opened(folder, **settings):
    values = {"kind": "awa2", "folder": ".", **settings}
    found = parse(EVALUATIONS.find(values["kind"], "x"), values)
    assert isinstance(found, (Awa2, Awa2AttributeProbe))
    return found.open("animals", folder, EvaluationTransform(SIZE))


def test_each_attribute_of_a_class_is_a_text_without_its_name(folder):
    data = opened(folder)
    assert data.prompts == [
        ["a photo of an animal that is brown.", "a photo of an animal that has a long neck."],
        ["a photo of an animal that is brown."],
        ["a photo of an animal that is brown.", "a photo of an animal that flies."],
    ]
    assert data.class_names[0] == "that is brown, that has a long neck"
    assert data.labels.tolist() == [0, 1, 2, 2]
    assert [name.rpartition("/")[2] for name in data.pictures.names()] == [
        *("antelope_10001.jpg", "grizzly+bear_10001.jpg", "beaver_10001.jpg", "beaver_10002.jpg")
    ]


def test_names_stand_alone_or_with_attributes(folder):
    names, both = (opened(folder, texts=texts) for texts in ("names", "both"))
    assert names.prompts[:2] == [["a photo of an antelope."], ["a photo of a grizzly bear."]]
    assert names.class_names == both.class_names == ["antelope", "grizzly bear", "beaver"]
    assert both.prompts[0] == [
        "a photo of an antelope that is brown.",
        "a photo of an antelope that has a long neck.",
    ]


def test_pictures_are_found_by_what_they_show(folder):
    """The second beaver looks like a bear; of the bear, nothing but its being brown is told."""
    shown = {0: ["brown", "long neck"], 1: ["brown"], 3: ["brown", "flies"], 9: ["brown"]}
    encoder = AttributeReader(WORDS, shown)
    rows = {row.metric: row for row in evaluate(encoder, [opened(folder)])}
    assert (rows["top-1"].value, rows["top-1"].n) == (3 / 4, 4)
    assert rows["top-1"].chance == 1 / 3
    assert len(encoder.texts) == 3  # equal ones are read once
    by_name = evaluate(encoder, [opened(folder, texts="names")])
    assert by_name[0].value == 0  # it sees no names


def test_classes_of_equal_attributes_are_as_classes_of_equal_names(folder):
    (folder / "predicate-matrix-binary.txt").write_text("\n".join(["0 1 0 0"] * 2 + MATRIX[2:]))
    encoder = AttributeReader(WORDS, {0: ["brown"], 1: ["brown"], 3: ["flies"], 9: ["flies"]})
    rows = {row.metric: row for row in evaluate(encoder, [opened(folder)])}
    assert rows["top-1"].value == 3 / 4  # the bear is taken for the antelope
    assert rows["top-1, equal names as one class"].value == 1


@pytest.mark.parametrize(("part", "labels"), [("train", [0, 1]), ("all", [0, 1, 2, 3, 3, 4])])
def test_other_classes_can_compete(folder, part, labels):
    data = opened(folder, classes=part)
    assert data.labels.tolist() == labels
    assert len(data.prompts) == max(labels) + 1
    assert data.prompts[-1][-1] == "a photo of an animal that has a long neck."  # the otter


def test_a_probe_is_fitted_to_training_classes_and_measured_on_test_classes(folder):
    data = opened(folder, kind="awa2_attribute_probe")
    assert data.marks.tolist() == [[0, 1, 1, 0], [0, 1, 0, 0], [0, 1, 0, 1], [0, 1, 0, 1]]
    assert data.training_marks.tolist() == [[1, 0, 0, 0], [1, 0, 1, 0]]  # order of classes.txt
    assert data.attributes == PREDICATES
    assert not {*data.pictures.names()} & {*data.training.names()}


def test_there_is_a_clause_for_all_85_predicates():
    assert len(CLAUSES) == 85
    assert CLAUSES["quadrapedal"] == "that is quadrupedal"


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("classes.txt", "1 cat\ndog\n", r"classes\.txt, line 2: expected a number and a text"),
        ("classes.txt", "1 cat\n1 dog\n", r"classes\.txt, line 2: a second line of number 1"),
        ("classes.txt", "1 cat\n3 dog\n", r"classes\.txt: number 3 is in place 2"),
        ("classes.txt", "\n", r"classes\.txt: no lines"),
        ("predicates.txt", "1 quadrupedal\n", r"number 1, 'quadrupedal', .*mean quadrapedal"),
        (
            "predicate-matrix-binary.txt",
            "0 1 1 0\n0 1 0\n",
            r"binary\.txt, line 2: expected 4 numbers, each 0 or 1, not 3 fields '0 1 0'",
        ),
        ("predicate-matrix-binary.txt", "0 1 2 0\n", r"line 1: expected 4 numbers, each 0 or 1"),
        ("predicate-matrix-binary.txt", "0 1 x 0\n", r"line 1: expected 4 numbers, each 0 or 1"),
        ("predicate-matrix-binary.txt", "0 1 1 0\n", r"binary\.txt: 1 rows for 5 classes"),
        (
            "predicate-matrix-binary.txt",
            "0 0 0 0\n" * 5,
            r"binary\.txt: the class 'antelope' has no attribute",
        ),
        ("testclasses.txt", "otter\nbeavers\n", r"testclasses\.txt, line 2: 'beavers' .* beaver"),
        ("testclasses.txt", "", r"testclasses\.txt: no classes"),
        ("testclasses.txt", None, r"testclasses\.txt: No such file"),
    ],
)
def test_malformed_files_are_named(folder, file, text, message):
    (folder / file).unlink()
    if text is not None:
        (folder / file).write_text(text)
    with pytest.raises(DataError, match=message):
        opened(folder)


def test_a_class_without_pictures_is_named(folder):
    (folder / "JPEGImages" / "beaver").rename(folder / "JPEGImages" / "Beaver")
    with pytest.raises(DataError, match=r"JPEGImages: no pictures of the class 'beaver'"):
        opened(folder)


def test_settings_are_checked():
    with pytest.raises(ConfigError, match="texts must be one of attributes, names, both"):
        parse(Awa2, {"kind": "awa2", "folder": ".", "texts": "words"})
