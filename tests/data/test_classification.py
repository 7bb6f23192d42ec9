import importlib.util
import json
import logging
import runpy

import numpy as np
import pytest
from PIL import Image

from kgclip_jax.data.classification import (
    ClassificationFolder,
    classification_set,
    list_pictures,
    read_class_names,
    read_templates,
)
from kgclip_jax.data.lazy_pictures import EvaluationTransform
from kgclip_jax.errors import ConfigError, DataError
from kgclip_jax.evaluation.zero_shot import check_zero_shot_set
from kgclip_jax.schema import parse
from tests.array_pictures import all_images

COLOURS = {"n01_red_fox": (200, 30, 20), "n02_tree": (20, 160, 40), "n03_sky": (30, 60, 220)}


@pytest.fixture
def folder(tmp_path):
    """Three classes with two pictures each, one in a folder within, and files that are none."""
    for name, colour in COLOURS.items():
        (tmp_path / "set" / name / "more").mkdir(parents=True)
        picture = Image.new("RGB", (40, 30), colour)
        picture.save(tmp_path / "set" / name / "b.PNG")
        picture.save(tmp_path / "set" / name / "more" / "a.webp", lossless=True)
    (tmp_path / "set" / "n02_tree" / "notes.txt").write_text("no picture")
    (tmp_path / "set" / "n02_tree" / "._b.png").write_bytes(b"of another system")
    (tmp_path / "set" / ".cache").mkdir()
    (tmp_path / "set" / "README").write_text("no class")
    return tmp_path


def load(path, **settings):
    described = ClassificationFolder("classification", "set", **settings)
    transform = EvaluationTransform(16)
    return classification_set(described, path, name="colours", transform=transform)


def test_pictures_labels_and_default_names(folder):
    data = load(folder)
    check_zero_shot_set(data)
    assert data.name == "colours"
    assert data.class_names == ["n01 red fox", "n02 tree", "n03 sky"]
    assert data.templates == ("a photo of a {}.",)
    assert data.labels.tolist() == [0, 0, 1, 1, 2, 2]
    expected = [colour for colour in COLOURS.values() for _ in range(2)]
    images = all_images(data.pictures)
    assert images.shape == (6, 16, 16, 3)
    np.testing.assert_array_equal(images[:, 5, 5], expected)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("names.json", '["fox", "tree", "sky"]'),
        ("names.json", '{"n03_sky": "sky", "n01_red_fox": "fox", "n02_tree": "tree"}'),
        ("names.txt", "fox\n\ntree\r\nsky\n"),
        ("names.tsv", "n03_sky\tsky\nn02_tree\t tree\nn01_red_fox\tfox"),
    ],
)
def test_four_forms_of_class_names(folder, file, content):
    (folder / file).write_text(content)
    data = load(folder, classes=file)
    assert data.class_names == ["fox", "tree", "sky"]
    assert data.labels.tolist() == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize(
    ("file", "content"),
    [("t.json", '["a {}", "the {}, {}"]'), ("t.txt", "a {}\nthe {}, {}\n")],
)
def test_templates_of_a_file(folder, file, content):
    (folder / file).write_text(content)
    assert load(folder, templates=file).templates == ["a {}", "the {}, {}"]


def test_classes_may_share_a_name(folder):
    (folder / "names.txt").write_text("plant\nplant\nsky")
    data = load(folder, classes="names.txt")
    assert data.class_names == ["plant", "plant", "sky"]
    assert data.labels.tolist() == [0, 0, 1, 1, 2, 2]
    check_zero_shot_set(data)


def test_an_empty_class_folder_is_still_a_class(folder):
    (folder / "set" / "n00_nothing").mkdir()
    data = load(folder)
    assert len(data.class_names) == 4
    assert data.labels.tolist() == [1, 1, 2, 2, 3, 3]


def test_bad_pictures_are_told_up_to_a_share(folder, caplog):
    (folder / "set" / "n02_tree" / "b.PNG").write_bytes(b"broken")
    with pytest.raises(DataError, match=r"unreadable image: 1 of 6.*n02_tree/b\.PNG"):
        list(load(folder).pictures.batches())
    with caplog.at_level(logging.WARNING):
        ((_, readable),) = load(folder, bad_share=0.2).pictures.batches()
    assert readable.tolist() == [True, True, False, True, True, True]
    assert "{'unreadable image': 1}" in caplog.text


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("n.json", '["fox", "tree"]', r"n\.json: 2 class names for 3 folders"),
        ("n.txt", "fox\ntree\nsky\nsun", r"n\.txt: 4 class names for 3 folders"),
        ("n.json", '["fox", 3, "sky"]', r"n\.json, \[1\]: expected a text, not 3"),
        ("n.json", '["fox", " ", "sky"]', r"n\.json, \[1\]: expected a text"),
        ("n.json", '["fox",\n"tree"', r"n\.json, line 2, column 7: not valid JSON"),
        ("n.json", '"fox"', r"n\.json: expected a list"),
        ("n.txt", "\n \n", r"n\.txt: no entries"),
        ("n.tsv", "n01_red_fox\tfox\nn02_tree tree", r"n\.tsv, line 2: no tab"),
        ("n.tsv", "n01_red_fox\t\nn02_tree\ttree", r"n\.tsv, line 1: expected a text"),
        ("n.tsv", "n01_red_fox\tfox\n\nn1\tx", r"n\.tsv, line 3: there is no folder 'n1'"),
        ("n.tsv", "n03_sky\ta\nn03_sky\tb", r"n\.tsv, line 2: a second name for folder 'n03_sky'"),
        ("n.tsv", "n01_red_fox\tfox", r"n\.tsv: no class name for folder n02_tree, n03_sky"),
        ("n.json", '{"n1": "fox"}', r"n\.json, 'n1': there is no folder"),
    ],
)
def test_errors_of_class_names_name_the_place(tmp_path, file, content, message):
    (tmp_path / file).write_text(content)
    with pytest.raises(DataError, match=message):
        read_class_names(tmp_path / file, sorted(COLOURS))


def test_names_by_position_need_folders_of_one_order(tmp_path):
    (tmp_path / "n.txt").write_text("zero\none\ntwo\nten")
    numbers = ["0", "1", "10", "2"]
    message = r"n\.txt: the folders '10', '2' .* as text than as numbers; .* folder<TAB>name"
    with pytest.raises(DataError, match=message):
        read_class_names(tmp_path / "n.txt", numbers)
    padded = ["00", "01", "02", "10"]
    assert read_class_names(tmp_path / "n.txt", padded)["10"] == "ten"
    (tmp_path / "n.tsv").write_text("10\tten\n0\tzero\n1\tone\n2\ttwo")
    assert read_class_names(tmp_path / "n.tsv", numbers)["10"] == "ten"


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("t.txt", "a {}\na photo", r"t\.txt, line 2: 'a photo' lacks {}"),
        ("t.json", '["a {}", "x"]', r"t\.json, \[1\]: 'x' lacks {}"),
        ("t.json", '{"a": "{}"}', r"t\.json: expected a list of strings"),
        ("t.json", "[]", r"t\.json: no entries"),
        ("none.txt", None, r"none\.txt: No such file"),
    ],
)
def test_errors_of_templates_name_the_place(tmp_path, file, content, message):
    if content is not None:
        (tmp_path / file).write_text(content)
    with pytest.raises(DataError, match=message):
        read_templates(tmp_path / file)


def test_folders_without_pictures_are_refused(tmp_path):
    with pytest.raises(DataError, match="no such folder"):
        list_pictures(tmp_path / "nowhere")
    (tmp_path / "a").mkdir()
    with pytest.raises(DataError, match="no pictures"):
        list_pictures(tmp_path)


def test_settings_come_from_a_config():
    values = {"kind": "classification", "folder": "imagenet", "bad_share": 0.01}
    assert parse(ClassificationFolder, values).classes is None
    with pytest.raises(ConfigError, match="bad_share must be at most 1"):
        parse(ClassificationFolder, values | {"bad_share": 2.0})


def test_names_and_templates_of_imagenet_can_be_brought_along(tmp_path):
    """What the docstring of the settings says, without the import of the whole package."""
    package = importlib.util.find_spec("open_clip")
    if package is None:
        pytest.skip("open-clip-torch is not installed")
    metadata = runpy.run_path(package.origin.replace("__init__", "zero_shot_metadata"))
    (tmp_path / "c.json").write_text(json.dumps(metadata["IMAGENET_CLASSNAMES"]))
    templates = [fill("{}") for fill in metadata["OPENAI_IMAGENET_TEMPLATES"]]
    (tmp_path / "t.json").write_text(json.dumps(templates))
    names = read_class_names(tmp_path / "c.json", [f"n{i:04}" for i in range(1000)])
    assert (names["n0000"], names["n0999"]) == ("tench", "toilet paper")
    assert len(set(names.values())) == 998  # two are called missile, and two sunglasses
    assert len(read_templates(tmp_path / "t.json")) == 80
