import numpy as np
import pytest

from kgclip_jax.data.lazy_pictures import EvaluationTransform
from kgclip_jax.data.suites.benchmarks import CompositionSuite
from kgclip_jax.errors import DataError


def line(identifier, label, sentence="a tower", directory="3"):
    return {
        "sentence": sentence,
        "label": label,
        "identifier": identifier,
        "directory": directory,
    }


@pytest.mark.parametrize("folder", ["", "3/"])
def test_a_sentence_chooses_its_scene(world, answers, folder):
    for number, identifier in enumerate(["5-0", "5-1", "5-2", "6-0", "7-0", "7-1"]):
        world.paint(f"{folder}dev-{identifier}-0.png", number)
    lines = [
        line("5-0", "true"),
        line("5-1", "false"),
        line("5-2", "false"),
        line("6-0", "false"),  # the same words, written for other scenes: no pair with 5
        line("7-0", "false", "a box"),
        line("7-1", "true", "a box"),
    ]
    world.write_lines("dev.json", lines)
    scores = {"a tower": [2, 1, 3, 0, 1, 0], "a box": [0, 1, 1, 0, 0, 1]}
    rows = answers(world.open("nlvr", "dev.json"), scores)
    scene = rows["scene of a pair"]
    assert (scene.value, scene.n, scene.chance) == (pytest.approx(2 / 3), 3, 1 / 2)
    assert rows["scene of a pair, blind"].value == 0  # each sentence about the other's scenes
    assert len(rows) == 2


def test_pictures_are_squashed(world):
    for name in ("5-0", "5-1"):
        world.paint(f"dev-{name}-0.png", 0, 1, 2, 3)
    world.write_lines("dev.json", [line("5-0", "true"), line("5-1", "false")])
    images, readable = next(world.open("nlvr", "dev.json").pictures.batches())
    assert readable.all()
    assert images[0, 0, 0, 0] < 5  # number 0, at the left end
    assert images[0, 0, -1, 0] > 25  # number 3, at the right end


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ({"label": "yes"}, r"dev\.json: line 2 has label 'yes', not true or false"),
        ({"identifier": 5}, r"dev\.json: line 2 has no 'identifier' of type str"),
    ],
)
def test_malformed_lines_are_named(world, broken, message):
    world.write_lines("dev.json", [line("5-0", "true"), line("5-1", "false") | broken])
    with pytest.raises(DataError, match=message):
        world.open("nlvr", "dev.json")


def test_the_real_sentences_and_scenes(shared_data):
    folder = shared_data / "nlvr" / "dev"
    settings = CompositionSuite(kind="nlvr", annotations="dev.json", images="images")
    data = settings.open("NLVR", folder, EvaluationTransform(8))
    (question,) = data.questions
    # 161 sentences with 2 true and 2 false scenes, 29 with 3 and 1, 47 with 2 and 1, 9 with 1 and 1
    assert len(question.right) == 161 * 4 + 29 * 3 + 47 * 2 + 9
    assert len(np.unique(question.clusters)) == 161 + 29 + 47 + 9
    images, readable = next(data.pictures.batches())
    assert readable.all()
    assert images.std(axis=(1, 2, 3)).min() > 1
