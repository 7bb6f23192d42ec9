import logging

import pytest

from kgclip_jax.data.lazy_pictures import EvaluationTransform
from kgclip_jax.data.suites.benchmarks import CompositionSuite
from kgclip_jax.data.suites.of_captions import OrderSuite
from kgclip_jax.errors import ConfigError, DataError
from kgclip_jax.evaluation.choice import evaluate_choices
from kgclip_jax.schema import parse

CASE = {"caption": "yes", "negative_caption": "no"}


def cases(*files):
    return {str(number): {"filename": file, **CASE} for number, file in enumerate(files)}


def test_missing_pictures_are_named_with_their_home(world):
    world.paint("a.jpg", 0)
    world.write("data/swap_att.json", cases("a.jpg", "b.jpg"))
    message = r"images \(get the pictures: COCO val2017.*missing image: 1 of 2.*: b\.jpg"
    with pytest.raises(DataError, match=message):
        world.open("sugarcrepe", "data")


def test_what_is_asked_about_missing_and_broken_pictures_is_left_out(world, answers, caplog):
    for number in range(3):
        world.paint(f"{number}.jpg", number)
    (world.images / "2.jpg").write_bytes(b"broken")
    world.write("data/swap_att.json", cases("0.jpg", "1.jpg", "2.jpg", "gone.jpg"))
    data = world.open("sugarcrepe", "data", bad_share=0.5)
    scores = {"yes": [2, 0], "no": [1, 1]}
    with caplog.at_level(logging.WARNING):
        rows = answers(data, scores)
    assert (rows["swap_att"].value, rows["swap_att"].n) == (1 / 2, 2)
    assert "{'unreadable image': 2}" in caplog.text
    with pytest.raises(DataError, match=r"unreadable image: 2 of 4.*2\.jpg, gone\.jpg"):
        answers(world.open("sugarcrepe", "data", bad_share=0.25), scores)


def test_equal_pictures_and_texts_are_encoded_once(world, score):
    world.paint("a.jpg", 0)
    world.write("data/swap_att.json", cases(*["a.jpg"] * 5))
    encoder = score({"yes": [1], "no": [0]})
    evaluate_choices(encoder, world.open("sugarcrepe", "data"))
    assert encoder.pictures == 1
    assert encoder.texts == ["yes", "no"]


def test_a_file_that_holds_no_records(world):
    world.write("data.json", 3)
    settings = CompositionSuite(kind="aro_relation", annotations="data.json", images="images")
    with pytest.raises(DataError, match=r"data\.json: expected a list of records"):
        settings.open("x", world.root, EvaluationTransform(4))
    world.write("data.json", [])
    with pytest.raises(DataError, match=r"data\.json: no cases to ask about"):
        settings.open("x", world.root, EvaluationTransform(4))
    world.write("data.json", [3])
    with pytest.raises(DataError, match=r"data\.json: \[0\] is not an object"):
        settings.open("x", world.root, EvaluationTransform(4))


def test_settings_come_from_a_config():
    values = {"kind": "valse", "annotations": "a", "images": "b"}
    assert parse(CompositionSuite, values).bad_share == 0
    with pytest.raises(ConfigError, match="bad_share must be at most 1"):
        parse(CompositionSuite, values | {"bad_share": 2.0})
    with pytest.raises(ConfigError, match="kind must be one of aro_relation"):
        parse(CompositionSuite, values | {"kind": "crepe"})
    source = {"kind": "karpathy", "file": "dataset_coco.json", "split": "test"}
    assert parse(OrderSuite, {"kind": "order", "source": source}).source.split == "test"
    with pytest.raises(ConfigError, match="seed must be at least 0"):
        parse(OrderSuite, {"kind": "order", "source": source, "seed": -1})
