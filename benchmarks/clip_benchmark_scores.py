"""What CLIP_benchmark measures of an exported run, beside what we measure of the run.

    python -m benchmarks.clip_benchmark_scores runs/quickstart

Needs requirements-dev.txt, and in the same environment

    pip install --no-deps clip-benchmark==1.6.2
    pip install scikit-learn tqdm "numpy<2.4"

(a line of CLIP_benchmark fails with newer ones). Exports the run for open_clip, which loads it as
any user would, and gives the run's held-out pictures and texts to CLIP_benchmark's functions for
retrieval, zero-shot classification, and matching of two captions with two pictures. Prints a line
for each number; exit code 1 if one differs.
"""

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from clip_benchmark.metrics import (
    image_caption_selection,
    zeroshot_classification,
    zeroshot_retrieval,
)
from PIL import Image

import kgclip_jax
from kgclip_jax import config
from kgclip_jax.data.evaluation_sets import ChoiceSet, RetrievalSet, ZeroShotSet
from kgclip_jax.evaluation.retrieval import CUTOFFS
from kgclip_jax.evaluation.tasks import TASKS, evaluate
from kgclip_jax.held_out import held_out_sets
from kgclip_jax.knowledge.caption import words_of
from kgclip_jax.store.workdir import Workdir
from tests.torchvision_operators import make_torchvision_importable

BATCH = 64
CPU = {"device": "cpu", "amp": False}


class Exported(NamedTuple):
    """What open_clip reads of an exported folder."""

    model: torch.nn.Module
    preprocess: Callable[[Image.Image], torch.Tensor]
    tokenizer: Callable[[list[str]], torch.Tensor]


class Batches(list[Any]):
    """What is asked of a data loader: batches, and the names of its classes."""

    def __init__(self, batches: list[Any], classes: list[str] | None = None) -> None:
        super().__init__(batches)
        self.dataset = self
        self.classes = classes or []


def main(root: str) -> int:
    """Print both columns; return 1 if a number differs."""
    sets = held_out_sets(config.experiment(Workdir(Path(root)).read_config()))
    mine = {
        (row.task, row.set_name, row.metric): row.value
        for row in evaluate(kgclip_jax.load(root), sets)
        if not row.blind
    }
    with tempfile.TemporaryDirectory() as scratch:
        exported = exported_to(Path(scratch) / "exported", root)
    print("| set | number | ours | CLIP_benchmark |\n|---|---|---:|---:|")
    differing = 0
    for data in sets:
        task = TASKS[type(data)].name
        for metric, theirs in THEIRS[type(data)](exported, data):
            ours = mine[task, data.name, metric]
            differing += abs(ours - theirs) > 1e-6
            print(f"| {task}: {data.name} | {metric} | {100 * ours:.4f} | {100 * theirs:.4f} |")
    print(f"{differing} differ")
    return int(differing > 0)


def exported_to(folder: Path, root: str) -> Exported:
    """Export a run and let open_clip load it."""
    command = ["launch/export.py", f"--workdir={root}", "--format=open_clip", f"--output={folder}"]
    subprocess.run([sys.executable, *command], check=True, stdout=subprocess.DEVNULL)
    make_torchvision_importable()
    import open_clip

    model, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    return Exported(model.eval(), preprocess, open_clip.get_tokenizer(f"local-dir:{folder}"))


def pixels(exported: Exported, data: Any) -> torch.Tensor:
    """Return all pictures of a set as open_clip prepares them."""
    batches, readable = zip(*data.pictures.batches(), strict=True)
    if not np.concatenate(readable).all():
        raise SystemExit(f"{data.name}: CLIP_benchmark needs pictures that can be read")
    return torch.stack([exported.preprocess(Image.fromarray(p)) for b in batches for p in b])


def retrieval(exported: Exported, data: RetrievalSet) -> Iterator[tuple[str, float]]:
    """Measure recall."""
    captions: list[list[str]] = [[] for _ in range(len(data.pictures))]
    for caption, owner in zip(data.captions, data.owners, strict=True):
        captions[owner].append(words_of(caption))
    images = pixels(exported, data)
    batches = [(images[s : s + BATCH], captions[s : s + BATCH]) for s in starts(images)]
    scores = zeroshot_retrieval.evaluate(
        exported.model, batches, exported.tokenizer, recall_k_list=CUTOFFS, **CPU
    )
    for cutoff in CUTOFFS:
        yield f"text-to-image R@{cutoff}", scores[f"image_retrieval_recall@{cutoff}"]
        yield f"image-to-text R@{cutoff}", scores[f"text_retrieval_recall@{cutoff}"]


def zero_shot(exported: Exported, data: ZeroShotSet) -> Iterator[tuple[str, float]]:
    """Measure accuracy."""
    images, labels = pixels(exported, data), torch.tensor(data.labels)
    batches = [(images[s : s + BATCH], labels[s : s + BATCH]) for s in starts(images)]
    names = list(data.class_names)
    templates = [template.replace("{}", "{c}") for template in data.templates]
    scores = zeroshot_classification.evaluate(
        exported.model, Batches(batches, names), exported.tokenizer, names, templates, **CPU
    )
    yield "top-1", scores["acc1"]
    if len(names) > 5:
        yield "top-5", scores["acc5"]
    if np.ptp(np.unique(data.labels, return_counts=True)[1]) > 1:
        yield "top-1, mean of classes", scores["mean_per_class_recall"]


def matching(exported: Exported, data: ChoiceSet) -> Iterator[tuple[str, float]]:
    """Measure how often two captions and two pictures are matched without a mistake."""
    groups = [question for question in data.questions if question.metric == "group"]
    images = pixels(exported, data)
    for question in groups:
        pairs = question.right[:, :2]
        batches = [
            (images[item[:, :, 0]], [[words_of(data.texts[t]) for t in i[:, 1]] for i in item])
            for item in (pairs[s : s + BATCH] for s in starts(pairs))
        ]
        scores = image_caption_selection.evaluate(
            exported.model, batches, exported.tokenizer, **CPU
        )
        yield question.metric, scores["acc"]


def starts(rows: Any) -> range:
    """Where batches begin."""
    return range(0, len(rows), BATCH)


THEIRS: dict[type, Callable[[Exported, Any], Iterator[tuple[str, float]]]] = {
    RetrievalSet: retrieval,
    ZeroShotSet: zero_shot,
    ChoiceSet: matching,
}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
