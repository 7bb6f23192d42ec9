"""Runs of the recipes of published methods on pictures with captions as Karpathy has them."""

import itertools
import json
import runpy
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import kgclip_jax
from kgclip_jax import config
from kgclip_jax.models.dual_encoder import Model
from kgclip_jax.store.workdir import Workdir
from kgclip_jax.training.optimizer import param_groups
from tests.data.made_up_embeddings import clustered, random_embeddings
from tests.knowledge.graph.made_up_graphs import make_graph

REPOSITORY = Path(__file__).parents[2]
CAPTIONS = (
    "a small red dog runs beside a large black car",
    "a young woman in a blue dress holds a white umbrella",
    "two old men sit on a wooden bench near a green tree",
    "a brown horse stands behind a tall white fence",
)
QUICK = {
    "total_steps": 3,
    "streams.captions.rows": 4,
    "log_every": 1,
    "data.workers": 0,
    "streams.captions.text_slots": "one",
}


def make_coco(folder):
    """Write pictures, captions and splits."""
    rng = np.random.default_rng(0)
    images = []
    splits = {"train": "train2014", "restval": "val2014", "val": "val2014", "test": "val2014"}
    for number in range(24):  # the last are of the test split, which is ranked in five folds
        split, place = [*splits.items()][number % 4 if number < 16 else 3]
        (folder / place).mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(256, size=(20, 24, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / place / f"{number}.png")
        sentences = [
            {"raw": f"{text} in picture {number}"} for text in CAPTIONS[number // 4 % 4 :][:2]
        ]
        images.append(
            {"filename": f"{number}.png", "filepath": place, "split": split, "sentences": sentences}
        )
    (folder / "dataset_coco.json").write_text(json.dumps({"images": images}))


def make_things(folder):
    """Store a graph of things with names, some of them with a picture."""
    things = ["car", "cat", "dog", "fence", "horse", "tree"]
    pixels = np.random.default_rng(0).integers(256, size=(30, 30, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / "thing.png")
    triples = [
        (head, "near" if place % 2 else "bigger than", tail)
        for place, (head, tail) in enumerate(itertools.combinations(things, 2))
    ]
    return make_graph(
        folder / "graph",
        {"train": triples[2:], "test": triples[:2]},
        images=[["thing.png"] if thing in ("car", "cat", "dog") else [] for thing in things],
    )


def make_teacher(coco):
    """Write embeddings and concepts of all captions beside them; return both folders."""
    texts = [f"{text} in picture {number}" for text in CAPTIONS for number in range(24)]
    with pytest.MonkeyPatch.context() as patched:
        clustered(random_embeddings(coco / "llama", texts), coco / "concepts", patched)
    return f"{coco / 'llama'},{coco / 'concepts'}"


def trainer(commands, result, coco, source, workdirs):
    """Return a function that trains a recipe from a source for three steps."""

    def train(recipe, arguments="", **changes):
        workdir = workdirs.mktemp("recipes") / "run"
        settings = QUICK | {"data.path": coco} | changes
        options = [f"--config.{key}={value}" for key, value in settings.items()]
        file = f"--config=configs/{recipe}.py:{source}{arguments}"
        process = result(commands.start("launch/train.py", file, f"--workdir={workdir}", *options))
        assert process.returncode == 0, process.stderr
        return Workdir(workdir), process.stdout

    return train


def assert_trained(workdir, output, made_by_torch, prefix):
    lines = workdir.read_metrics()
    assert [line["step"] for line in lines] == [1, 2, 3]
    assert all(f"{prefix}/loss" in line for line in lines)
    assert "text-to-image R@1" in output
    before, after = (
        kgclip_jax.load(source).encode_text(CAPTIONS) for source in (made_by_torch, workdir.root)
    )
    assert 1e-7 < np.abs(before - after).max() < 0.01  # three small steps from the given weights


def get_config(recipe):
    return runpy.run_path(str(REPOSITORY / "configs" / f"{recipe}.py"))["get_config"]


def resolved(recipe, source):
    """The experiment of a recipe, and how each of its parameters is trained."""
    experiment = config.experiment(get_config(recipe)(str(source)).to_dict())
    params = {"model": Model(experiment.model).abstract()}
    return experiment, param_groups(experiment.optimizer, experiment.tuning, params)
