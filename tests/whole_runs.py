"""Whole runs that take seconds: their settings, pictures to train on, and what they leave."""

import io
import json

import jax
import numpy as np
from PIL import Image
from rich.console import Console

from kgclip_jax import config
from kgclip_jax.config_file import load_config
from kgclip_jax.run import Run
from kgclip_jax.schema import Override
from kgclip_jax.store.workdir import Workdir
from kgclip_jax.training.step import checkpoint_items

BLOCKS = {"width": 16, "depth": 1, "heads": 2, "mlp_width": 32}
SHRUNK = {
    "model.vision.image_size": 16,
    "model.embedding": 16,
    **{
        f"model.{tower}.transformer.{key}": value
        for tower in ("vision", "text")
        for key, value in BLOCKS.items()
    },
    "optimizer.schedule.kind": "constant",
    "optimizer.schedule.warmup_steps": 0,
    "total_steps": 8,
    "checkpoints.every": 2,
    "streams.captions.rows": 8,
    "streams.captions.text_slots": "one",
    "log_every": 1,
    "data.workers": 0,
}
SCENES = {
    "streams.captions.sources.emoji.evaluation_items": 8,
    "streams.captions.sources.emoji.world.concepts": 12,
    "streams.captions.sources.emoji.world.unseen_concepts": 4,
    "streams.captions.sources.emoji.world.scenes": 100,
}


def dotted(changes):
    """Settings by their path; keyword arguments have `__` for its dots."""
    return {key.replace("__", "."): value for key, value in changes.items()}


def experiment(file, **changes):
    """A shipped config, made small and then changed, as on the command line."""
    values = load_config(file).values
    for key, value in (SHRUNK | dotted(changes)).items():
        *sections, last = key.split(".")
        place = values
        for section in sections:
            place = place.setdefault(section, {})
        place[last] = Override(value)
    return config.experiment(values)


def open_run(root, settings, **options):
    """Return a run and what it will print."""
    printed = io.StringIO()
    return Run(settings, Workdir(root), Console(file=printed, width=200), **options), printed


def execute(root, settings, **options):
    """Run to the end; returns what was printed."""
    run, printed = open_run(root, settings, **options)
    assert run.execute()
    return printed.getvalue()


def state_of(root, step):
    """The whole training state and the progress of a checkpoint, as NumPy arrays by path."""
    settings = config.experiment(Workdir(root).read_config())
    run, _ = open_run(root, settings)
    state = run.checkpoints.restore(step, checkpoint_items(run.setup.abstract))
    progress = run.checkpoints.progress(step)
    run.checkpoints.close()
    leaves = jax.tree_util.tree_leaves_with_path(jax.device_get(state))
    return {jax.tree_util.keystr(keys): leaf for keys, leaf in leaves}, progress


def assert_same_state(left, right, step):
    (mine, progress), (other, other_progress) = state_of(left, step), state_of(right, step)
    assert progress == other_progress
    assert mine.keys() == other.keys()
    for path, leaf in mine.items():
        np.testing.assert_array_equal(leaf, other[path], err_msg=path)


def losses(root):
    return [(line["step"], line["loss"]) for line in Workdir(root).read_metrics()]


def names(folder):
    return sorted(path.name for path in folder.iterdir())


COLOURS = ("red", "blue", "green", "white", "black")
CAPTIONS = (
    "A {0} dog chases a {1} cat",
    "A small {0} dog runs behind a {1} cat on the grass",
    "The {1} cat is in front of a tall man in a {0} shirt",
)


def write_album(folder, pictures, held_out=5, captions=CAPTIONS):
    """A folder as Flickr8k has it, of pictures with several captions each."""
    (folder / "images").mkdir(parents=True)
    rng = np.random.default_rng(0)
    rows = ["image,caption"]
    for number in range(pictures):
        pixels = rng.integers(0, 256, (24, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"{number}.jpg")
        colours = COLOURS[number % 5], COLOURS[number // 5 % 5]
        rows += [f"{number}.jpg,{caption.format(*colours)}" for caption in captions]
    (folder / "captions.txt").write_text("\n".join(rows))
    files = [f"{number}.jpg" for number in range(pictures)]
    splits = {"train": files[held_out:], "dev": files[:held_out]}
    (folder / "splits.json").write_text(json.dumps(splits))
    return folder
