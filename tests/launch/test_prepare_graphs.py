"""Scene graphs from files, by `launch/prepare.py graphs`: stored, trained with, and refused."""

import json

import numpy as np
import pytest
from PIL import Image

from kgclip_jax.knowledge.graph_store import GraphStore

PICTURES = 12
COLOURS = ("red", "blue", "green", "white")
CONFIG = """
from ml_collections import ConfigDict

from configs import flickr8k


def get_config():
    config = ConfigDict(flickr8k.get_config().to_dict())
    config.objectives.contrastive.negatives = True
    config.streams.captions.negatives = dict(kinds=dict(swap_attributes=1.0))
    config.streams.captions.sources.photographs.split = None
    config.streams.captions.sources.photographs.evaluation_split = None
    config.streams.captions.sources.photographs.graphs = "graphs"
    return config
"""


def colours(number):
    return COLOURS[number % 4], COLOURS[(number + 1) % 4]


@pytest.fixture(scope="module")
def album(tmp_path_factory):
    """Pictures of Visual Genome with a caption each, which Structure-CLIP's file knows.

    In every second picture there are also things of the other thing's colour.
    """
    folder = tmp_path_factory.mktemp("photographs") / "album"
    (folder / "images").mkdir(parents=True)
    rng = np.random.default_rng(0)
    rows, entries, pictures = ["image,caption"], [], []
    for number in range(PICTURES):
        pixels = rng.integers(0, 256, (24, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"{number}.jpg")
        one, other = colours(number)
        text = f"a {one} dog on a {other} sofa"
        rows.append(f"{number}.jpg,{text}")
        entry = {"image": f"train2014/{number}.jpg", "text": text}
        pairs = [[one, "dog"], [other, "sofa"]]
        entries.append(entry | {"triples": [["dog", "on", "sofa"]], "pairs": pairs})
        things = [("Dog", other), ("sofa", one)] if number % 2 else [("cat", one)]
        objects = [
            {"object_id": index, "names": [name], "attributes": [colour]}
            for index, (name, colour) in enumerate(things)
        ]
        on = {"predicate": "ON", "subject_id": 0, "object_id": len(things) - 1}
        relations = [on, on | {"object_id": 99}] if number == 5 else [on]
        picture = {"image_id": number, "objects": objects, "relationships": relations}
        pictures.append(picture)
    (folder / "captions.txt").write_text("\n".join(rows))
    (folder / "train.json").write_text(json.dumps(entries))
    (folder / "scene_graphs.json").write_text(json.dumps(pictures))
    return folder


@pytest.fixture(scope="module")
def prepare(commands, result):
    def prepare(*options):
        return result(commands.start("launch/prepare.py", "graphs", *map(str, options)))

    return prepare


@pytest.fixture(scope="module")
def of_captions(prepare, album):
    source = f"--source=photographs:{album}", "--set=split=None"
    annotations = f"--annotations=structure_clip:{album / 'train.json'}"
    return prepare(annotations, *source, f"--output={album / 'graphs'}")


@pytest.fixture(scope="module")
def of_pictures(prepare, album):
    output = f"--output={album / 'scenes'}"
    return prepare(f"--annotations=visual_genome:{album}", output, "--bad_share=0.1")


def test_captions_get_the_graphs_of_their_entries(of_captions, album):
    assert (of_captions.returncode, of_captions.stderr) == (0, "")
    assert of_captions.stdout.endswith(
        f"{album / 'graphs'}: 12 captions of 12 records: 24 objects, 24 attributes, 12 relations; "
        "100.0% with a relation\n"
    )
    graph = GraphStore(album / "graphs").graphs("3.jpg", ["a white dog on a red sofa"]).graph(0)
    assert [(thing.name, thing.attributes[0].name) for thing in graph.objects] == [
        ("dog", "white"),
        ("sofa", "red"),
    ]


def test_pictures_get_theirs_and_what_is_left_out_is_said(of_pictures, album):
    assert of_pictures.returncode == 0
    assert of_pictures.stdout.endswith(
        f"{album / 'scenes'}: 12 pictures: 18 objects, 18 attributes, 12 relations; 100.0% with a "
        "relation; left out: 1 x relation to a missing object\n"
    )
    assert [thing.name for thing in GraphStore(album / "scenes").picture("5").objects] == [
        "dog",
        "sofa",
    ]


def test_negatives_that_are_true_of_the_picture_are_refused(
    commands, result, of_captions, of_pictures, album, tmp_path
):
    config = tmp_path / "recipe.py"
    config.write_text(CONFIG)
    graphs = {"streams__captions__sources__photographs__scene_graphs": "scenes"}
    settings = {"config": config, "data__path": album, "total_steps": 3} | graphs
    process = result(
        commands.start_training(tmp_path / "run", streams__captions__rows=12, **settings)
    )
    assert process.returncode == 0, process.stderr
    lines = [line.split() for line in process.stdout.splitlines() if line.startswith("negatives: ")]
    counts = {" ".join(words[3:]): words[1] for words in lines}
    assert counts == {"swap_attributes: made": "18", "swap_attributes: true of the picture": "18"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--annotations=structure_clip:x"], "name their --source"),
        (["--annotations=visual_genome:x", "--source=photographs:x"], "leave out --source"),
        (["--annotations=visual_genome:nowhere"], "nowhere has neither scene_graphs.json nor"),
        (["--annotations=visual:x"], "did you mean visual_genome?"),
        ([], "flag --annotations=None"),
    ],
)
def test_mistakes_end_in_one_line(prepare, tmp_path, options, message):
    process = prepare(*options, f"--output={tmp_path / 'graphs'}")
    (line,) = process.stderr.splitlines()
    assert process.returncode == 2
    assert line.startswith("error: ")
    assert message in line
